# SPDX-License-Identifier: Apache-2.0
"""The serial line's ends against a model from elsewhere, and the rates that a clock can serve."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden import TritforgeError
from tritforge.hw.bridge.uart import UartReceiver, UartTransmitter, cycles_a_bit

OFF_NS = {4: [0], 5: [-1, 0, 1], 44: [-8, 0, 8], 133: [-26, 0, 26]}
"""By cycles a bit, of 10 ns: by how much longer bits of the other end are, about 2 %."""


@pytest.mark.parametrize("cycles", OFF_NS)
def test_bytes_are_received(cycles: int, tmp_path: Path) -> None:
    told = {"cycles": cycles, "off_ns": OFF_NS[cycles]}
    assert bench(UartReceiver(cycles), "bridge.uart", told, tmp_path, testcase="receiver") == ["receiver"]


@pytest.mark.parametrize("cycles", [4, 44])
def test_what_is_no_byte_is_dropped(cycles: int, tmp_path: Path) -> None:
    assert bench(UartReceiver(cycles), "bridge.uart", {"cycles": cycles}, tmp_path, testcase="broken") == ["broken"]


@pytest.mark.parametrize("cycles", [4, 44])
def test_bytes_are_sent(cycles: int, tmp_path: Path) -> None:
    told = {"cycles": cycles}
    assert bench(UartTransmitter(cycles), "bridge.uart", told, tmp_path, testcase="transmitter") == ["transmitter"]


@pytest.mark.parametrize(
    "clock, baud, cycles",
    [
        (133_000_000, 3_000_000, 44),
        (100_000_000, 115_200, 868),
        (12_000_000, 3_000_000, 4),
        (50_000_000, 2_000_000, 25),
    ],
)
def test_the_nearest_divider_is_taken(clock: int, baud: int, cycles: int) -> None:
    assert cycles_a_bit(clock, baud) == cycles


@pytest.mark.parametrize(
    "clock, baud, message",
    [
        (11_999_999, 3_000_000, "serves 1 to 2999999 baud, not 3000000"),
        (100_000_000, 0, "not 0"),
        (13_500_000, 3_000_000, r"would be off by \+12.5%: choose 3375000"),
        (25_000_000, 3_900_000, r"off by \+6.8%: choose 4166666"),
    ],
)
def test_a_rate_that_cannot_be_had_is_refused(clock: int, baud: int, message: str) -> None:
    with pytest.raises(TritforgeError, match=message):
        cycles_a_bit(clock, baud)


def test_a_bit_of_few_cycles_is_refused() -> None:
    for unit in (UartReceiver, UartTransmitter):
        with pytest.raises(TritforgeError, match="takes 4 cycles or more, not 3"):
            unit(3)
