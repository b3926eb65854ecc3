# SPDX-License-Identifier: Apache-2.0
"""Times of SDRAM chips in clocks, and what chips do not allow."""

from dataclasses import replace

import pytest

from tritforge.golden import TritforgeError
from tritforge.hw.memory.chip import ULX3S, SdramClocks


def test_times_are_rounded_up_and_refreshes_down() -> None:
    expected = SdramClocks(
        cas_latency=2, rcd=2, rp=2, ras=5, rc=7, rrd=2, rfc=7, wr=2, mrd=2, refi=781, power_up=20000
    )
    assert ULX3S.clocks(100, 2) == expected
    assert ULX3S.clocks(101, 3).rcd == 3 and ULX3S.clocks(50, 2).wr == 2 and ULX3S.clocks(1, 2).rcd == 1


def test_a_whole_number_of_clocks_is_not_rounded() -> None:
    clocks = replace(ULX3S, t_rcd=15, t_rp=15.01, t_rfc=60).clocks(1000 / 7.5, 3)
    assert (clocks.rcd, clocks.rp, clocks.rfc) == (2, 3, 8)


def test_a_row_is_open_long_enough_for_both_rules() -> None:
    clocks = ULX3S.clocks(100, 2)
    assert clocks.row == 5 and replace(clocks, rc=9).row == 7


def test_a_chip_has_its_size() -> None:
    assert ULX3S.size == 32 << 20


@pytest.mark.parametrize(
    ("mhz", "latency", "match"),
    [
        (150, 3, "runs at 142.857 MHz at most, not at 150; choose a slower clock"),
        (120, 2, "at 120 MHz with a CAS latency of 2; choose 3"),
        (50, 1, "at 50 MHz with a CAS latency of 1; choose 2"),
        (50, 4, "at 50 MHz with a CAS latency of 4; choose 2"),
    ],
)
def test_a_clock_that_the_chip_has_not_is_refused(mhz: float, latency: int, match: str) -> None:
    with pytest.raises(TritforgeError, match=match):
        ULX3S.clocks(mhz, latency)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("dq_bits", 8, "16 or 32 data pins, not 8"),
        ("row_bits", 10, "11 row bits"),
        ("column_bits", 7, "8 to 12 column bits"),
        ("bank_bits", 3, "1 or 2 bank bits"),
    ],
)
def test_a_chip_of_another_kind_is_refused(field: str, value: int, match: str) -> None:
    with pytest.raises(TritforgeError, match=match):
        replace(ULX3S, **{field: value})
