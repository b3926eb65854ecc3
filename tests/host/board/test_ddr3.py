# SPDX-License-Identifier: Apache-2.0
"""Initialisation and levelling by the host, against a memory of one word behind delay lines with windows."""

from collections.abc import Sequence

import pytest

from tests.host.board.ddr3_models import DESCRIPTION, REGISTERS, DelayLines, OneWord
from tritforge.golden import Failure
from tritforge.host.board.ddr3 import Ddr3, Window

BASE = 0x4000


def board(*windows: Window) -> tuple[Ddr3, OneWord, DelayLines]:
    memory = OneWord()
    lines = DelayLines(memory, DESCRIPTION, windows)
    return Ddr3(lines, DESCRIPTION, sleep=lambda _: None), memory, lines


def test_the_initialisation_is_litedrams_sequence_behind_a_reset() -> None:
    memory, slept = OneWord(), []
    at = {name: BASE + address for name, (address, _) in REGISTERS.items()}
    Ddr3(memory, DESCRIPTION, BASE, slept.append).initialise()
    assert memory.written == [
        (at["sdram_dfii_control"], 0),
        (at["sdram_dfii_pi0_address"], 0),
        (at["sdram_dfii_pi0_baddress"], 0),
        (at["sdram_dfii_control"], 12),
        (at["sdram_dfii_pi0_address"], 0x320),
        (at["sdram_dfii_pi0_baddress"], 2),
        (at["sdram_dfii_pi0_command"], 15),
        (at["sdram_dfii_pi0_command_issue"], 1),
    ]
    # the standard asks for 0.2 ms with the reset, and for 0.5 ms behind it
    assert slept[0] >= 200e-6 and slept[1] >= 500e-6 and len(slept) == 3


@pytest.mark.parametrize(
    "windows",
    [
        (Window(0, 0, 7), Window(3, 2, 5)),
        (Window(2, 7, 7), Window(1, 0, 0)),
        (Window(1, 3, 6), Window(1, 4, 7)),
    ],
)
def test_each_strobe_gets_the_middle_of_its_window(windows: tuple[Window, Window]) -> None:
    host, _, lines = board(*windows)
    assert host.level() == list(windows)
    assert lines.delays == [(window.first + window.last) // 2 for window in windows]
    assert lines.bitslips == [window.bitslip for window in windows]


@pytest.mark.parametrize("fault", ["hole", "unseen"])
def test_the_longest_window_is_taken(fault: str) -> None:
    lines = DelayLines(OneWord(), DESCRIPTION, (Window(0, 0, 7), Window(2, 1, 7)), **{fault: 5})
    assert Ddr3(lines, DESCRIPTION).level() == [Window(0, 0, 4), Window(2, 1, 4)]


def test_a_strobe_that_reads_nothing_right_is_named() -> None:
    host, _, _ = board(Window(0, 0, 7), Window(2, 9, 9))
    with pytest.raises(Failure, match="at any delay of strobe 1: check that"):
        host.level()


def test_a_memory_that_does_not_stay_right_is_found() -> None:
    host, memory, lines = board(Window(0, 1, 4), Window(0, 1, 4))
    reads, writes, settings = lines.read, lines.write, 0

    def counting(address: int, data: Sequence[int]) -> None:
        nonlocal settings
        settings += address == REGISTERS["ddrphy_rdly_dq_bitslip_rst"][0]
        writes(address, data)

    def failing(address: int, words: int) -> object:
        came = reads(address, words)
        # the strobes have been set, each by itself, behind the trials
        if settings == 3 and address == REGISTERS["sdram_dfii_pi1_rddata"][0]:
            came[0] ^= 1 << 31
        return came

    lines.read, lines.write = failing, counting  # type: ignore[method-assign,assignment] # a fault
    with pytest.raises(Failure, match="not always"):
        host.level()
    assert (REGISTERS["ddrctrl_init_done"][0], 1) not in memory.written


def test_the_controller_gets_the_memory_when_all_is_done() -> None:
    host, memory, _ = board(Window(0, 1, 4), Window(1, 2, 4))
    host.start()
    assert memory.written[-2:] == [(REGISTERS["sdram_dfii_control"][0], 1), (REGISTERS["ddrctrl_init_done"][0], 1)]
