# SPDX-License-Identifier: Apache-2.0
"""The simulated SDRAM chip: what it stores and drives, and each rule at the very clock from which on it is kept."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sdram_chips import FAST, WIDE, library
from tritforge.hw.memory.chip import ULX3S, SdramChip
from tritforge.sim.board.chip_timing import ChipTiming, chip_timing
from tritforge.sim.board.sdram_unit import PINS, Chip

NAMES = ("mode", "refresh", "precharge", "activate", "write", "read", "stop", "nothing")
ALL = 1 << 10
MODE = 3 << 4 | 3
"""Bursts of 8, CAS latency 3."""

# clocks at 1000 / 7 MHz, with times such that no rule hides behind another
TIMES = {"rcd": 4, "rp": 5, "ras": 9, "rc": 17, "rrd": 3, "rfc": 12, "wr": 3, "mrd": 2, "refi": 1000, "power_up": 100}

Command = tuple[str, int, int]
"""Its name, bank and address."""


def timing(chip: SdramChip = ULX3S, **changes: int) -> ChipTiming:
    made = chip_timing(chip, FAST)
    for name, value in (TIMES | {"initial_refreshes": 2} | changes).items():
        setattr(made, name, value)
    return made


def pins(commands: Mapping[int, Command], cycles: int, data: Mapping[int, int] | None = None) -> NDArray[Any]:
    """Pins with commands, and with data driven, at given clocks."""
    made = np.zeros(cycles, PINS)
    made["cke"] = 1
    for name in ("ras_n", "cas_n", "we_n"):
        made[name] = 1
    for at, (name, bank, address) in commands.items():
        code = NAMES.index(name)
        for bit, pin in enumerate(("we_n", "cas_n", "ras_n")):
            made[pin][at] = code >> bit & 1
        made["ba"][at], made["a"][at] = bank, address
    for at, value in (data or {}).items():
        made["dq"][at], made["dq_driven"][at] = value, 1
    return made


def masked(given: NDArray[Any], cycles: int = TIMES["power_up"]) -> NDArray[Any]:
    """The same pins with dqm high at first."""
    given["dqm"][:cycles] = 0b1111
    return given


def begun(made: ChipTiming, mode: int = MODE) -> Chip:
    """A chip after its initialisation; its clocks go on from 0."""
    chip = Chip(library("16-8-cl3"), made)
    start = made.power_up
    commands = {
        start: ("precharge", 0, ALL),
        start + made.rp: ("refresh", 0, 0),
        start + made.rp + made.rfc: ("refresh", 0, 0),
        start + made.rp + 2 * made.rfc: ("mode", 0, mode),
    }
    chip.clock(masked(pins(commands, start + made.rp + 2 * made.rfc + made.mrd)))
    assert not chip.violations()
    return chip


ACTIVATE, READ, WRITE, PRECHARGE = ("activate", 1, 5), ("read", 1, 16), ("write", 1, 16), ("precharge", 1, 0)
WRITTEN = {at: at for at in range(4, 12)}
SPACED: dict[str, tuple[dict[int, Command], Command, int]] = {
    "tRCD": ({0: ACTIVATE}, READ, 4),
    "tRP": ({0: ACTIVATE, 20: PRECHARGE}, ACTIVATE, 25),
    "tRP of a refresh": ({0: ACTIVATE, 20: ("precharge", 0, ALL)}, ("refresh", 0, 0), 25),
    "tRP of a mode": ({0: ACTIVATE, 20: PRECHARGE}, ("mode", 0, MODE), 25),
    "tRAS": ({0: ACTIVATE}, PRECHARGE, 9),
    "tRAS of all": ({0: ACTIVATE}, ("precharge", 0, ALL), 9),
    "tRC": ({0: ACTIVATE, 9: PRECHARGE}, ACTIVATE, 17),
    "tRC of a refresh": ({0: ACTIVATE, 9: PRECHARGE}, ("refresh", 0, 0), 17),
    "tRRD": ({0: ACTIVATE}, ("activate", 2, 5), 3),
    "tRFC": ({0: ("refresh", 0, 0)}, ACTIVATE, 12),
    "tRFC of a refresh": ({0: ("refresh", 0, 0)}, ("refresh", 0, 0), 12),
    "tWR": ({0: ACTIVATE, 4: WRITE}, PRECHARGE, 11 + 3),
    "tMRD": ({0: ("mode", 0, MODE)}, ACTIVATE, 2),
    "burst": ({0: ACTIVATE, 4: READ}, READ, 12),
    "burst of a row": ({0: ACTIVATE, 4: READ}, PRECHARGE, 12),
    "burst stopped": ({0: ACTIVATE, 4: READ}, ("stop", 0, 0), 12),
}
"""Commands, one more, and the first clock at which it breaks no rule; the rule's name begins the case's."""


@pytest.mark.parametrize("case", SPACED)
def test_a_rule_is_broken_until_the_clock_from_which_on_it_is_kept(case: str) -> None:
    before, command, kept = SPACED[case]
    made = timing()
    for at, expected in ((kept, set()), (kept - 1, {case.split()[0]})):
        chip = begun(made)
        chip.clock(pins(before | {at: command}, kept + 1, WRITTEN if WRITE in before.values() else {}))
        assert set(chip.violations()) == expected


@pytest.mark.parametrize(
    ("rule", "commands"),
    [
        ("open bank", {0: ACTIVATE, 17: ACTIVATE}),
        ("open bank", {0: ACTIVATE, 17: ("refresh", 0, 0)}),
        ("open bank", {0: ACTIVATE, 17: ("mode", 0, MODE)}),
        ("closed bank", {0: READ}),
        ("closed bank", {0: ACTIVATE, 9: PRECHARGE, 14: WRITE}),
        ("closed bank", {0: ACTIVATE, 4: ("read", 2, 0)}),
        ("command", {0: ACTIVATE, 4: ("read", 1, ALL)}),
        ("mode register", {0: ("mode", 0, 3 << 4 | 4)}),
        ("mode register", {0: ("mode", 0, 4 << 4 | 3)}),
        ("mode register", {0: ("mode", 0, 1 << 9 | MODE)}),
        ("data bus", {0: ACTIVATE, 4: WRITE}),
    ],
)
def test_a_command_out_of_place_is_found(rule: str, commands: dict[int, Command]) -> None:
    chip = begun(timing())
    chip.clock(pins(commands, 40))
    assert set(chip.violations()) == {rule}


def test_a_latency_too_short_for_the_clock_is_found() -> None:
    chip = Chip(library("16-8-cl3"), timing())
    chip.clock(masked(pins({100: ("precharge", 0, ALL), 105: ("mode", 0, 2 << 4 | 3)}, 110)))
    assert set(chip.violations()) == {"CAS latency"}


@pytest.mark.parametrize(
    ("rule", "commands"),
    [
        ("power-up", {99: ("precharge", 0, ALL)}),
        ("initialisation", {100: ("refresh", 0, 0)}),
        ("initialisation", {100: ("mode", 0, MODE)}),
        (
            "initialisation",
            {100: ("precharge", 0, ALL), 105: ("refresh", 0, 0), 117: ("refresh", 0, 0), 129: ACTIVATE},
        ),
        (
            "initialisation",
            {100: ("precharge", 0, ALL), 105: ("mode", 0, MODE), 107: ("refresh", 0, 0), 119: ACTIVATE},
        ),
        ("initialisation", {100: ("precharge", 0, 0), 105: ("mode", 0, MODE)}),
    ],
)
def test_the_initialisation_has_an_order(rule: str, commands: dict[int, Command]) -> None:
    chip = Chip(library("16-8-cl3"), timing())
    chip.clock(masked(pins(commands, 140)))
    assert set(chip.violations()) == {rule}


def test_data_pins_are_masked_during_the_power_up() -> None:
    for cycles, expected in ((99, set()), (98, {"power-up"})):
        chip = Chip(library("16-8-cl3"), timing())
        chip.clock(masked(pins({}, 140), cycles))
        assert set(chip.violations()) == expected


def test_a_chip_without_a_clock_takes_no_commands() -> None:
    given = pins({0: ACTIVATE, 4: READ}, 20)
    given["cke"][3] = 0
    chip = begun(timing())
    chip.clock(given)
    assert set(chip.violations()) == {"command"}
    # nor one that is not chosen
    given = pins({0: READ}, 20)
    given["cs_n"][:] = 1
    chip = begun(timing())
    assert not chip.clock(given)["driven"].any() and not chip.violations()


def test_refreshes_may_be_postponed_so_far() -> None:
    late = 9 * 1000 - TIMES["mrd"]
    for cycles, expected in ((late, 0), (late + 1, 1), (late + 1001, 2)):
        chip = begun(timing())
        chip.clock(pins({}, cycles))
        assert chip.violations().total() == chip.violations()["tREFI"] == expected
    # eight together pay for eight periods, and none is paid in advance
    many: dict[int, Command] = {8100 + 12 * k: ("refresh", 0, 0) for k in range(8)}
    for cycles, expected in ((late + 8000, 0), (late + 8001, 1)):
        chip = begun(timing())
        chip.clock(pins(many, cycles))
        assert chip.violations()["tREFI"] == expected
    chip = begun(timing())
    chip.clock(pins({12 * k: ("refresh", 0, 0) for k in range(50)}, 588 + 9001))
    assert chip.violations()["tREFI"] == 1


@pytest.mark.parametrize("latency", [2, 3])
@pytest.mark.parametrize("length", [1, 2, 4, 8])
@pytest.mark.parametrize("interleaved", [False, True])
def test_a_burst_has_its_latency_and_order(latency: int, length: int, interleaved: bool) -> None:
    mode = latency << 4 | interleaved << 3 | length.bit_length() - 1
    chip = begun(timing(cas_latency=2), mode)
    row, column = 5, 18 + (length > 4)
    place = (row << 2 | 1) << 9
    words = chip.memory(1 << 20).view(np.uint16)
    words[:] = np.random.default_rng(1).integers(0, 1 << 16, len(words), np.uint16)
    outs = chip.clock(pins({0: ACTIVATE, 4: ("read", 1, column)}, 30))
    first = 4 + latency - 1
    assert list(np.flatnonzero(outs["driven"] == 3)) == [*range(first, first + length)]
    base = place | column & -length
    order = [(column ^ k if interleaved else column + k) & length - 1 for k in range(length)]
    assert list(outs["dq"][first : first + length]) == [words[base | at] for at in order]
    assert not chip.violations()


def test_a_burst_goes_on_while_rows_of_other_banks_are_closed_and_opened() -> None:
    chip = begun(timing())
    rows = {0: ACTIVATE, 3: ("activate", 2, 1)}
    outs = chip.clock(pins(rows | {11: READ, 12: ("precharge", 2, 0), 17: ("activate", 0, 0)}, 30))
    assert list(np.flatnonzero(outs["driven"])) == [*range(13, 21)] and not chip.violations()


def test_masked_bytes_are_neither_written_nor_driven() -> None:
    chip = begun(timing(WIDE))
    data = {4 + k: 0x11111111 * (k + 1) for k in range(8)}
    given = pins({0: ACTIVATE, 4: WRITE, 20: READ}, 40, data)
    given["dqm"][5], given["dqm"][21] = 0b0101, 0b1000
    outs = chip.clock(given)
    # two clocks after the mask
    assert list(outs["driven"][22:30]) == [0b0111, *[0b1111] * 7]
    assert outs["dq"][22] == 0x11111111 and outs["dq"][23] == 0x22002200
    assert not chip.violations()


@pytest.mark.parametrize(
    ("gap", "expected"), [(0, {"burst", "data bus"}), (8, {"data bus"}), (11, {"data bus"}), (12, set())]
)
def test_data_pins_have_one_driver_at_a_time(gap: int, expected: set[str]) -> None:
    chip = begun(timing())
    at = 4 + gap if gap else 5
    chip.clock(pins({0: ACTIVATE, 4: READ, at: WRITE}, 40, {at + k: k for k in range(8)}))
    assert set(chip.violations()) == expected


def test_contents_lie_by_row_bank_and_column() -> None:
    chip = begun(timing())
    memory = chip.memory(ULX3S.size).view(np.uint16)
    commands: dict[int, Command] = {
        0: ("activate", 3, 0x1FFF),
        4: ("write", 3, 504),
        17: ("activate", 0, 1),
        21: ("write", 0, 8),
    }
    chip.clock(pins(commands, 40, {at: at for at in (*range(4, 12), *range(21, 29))}))
    assert list(memory[-8:]) == [*range(4, 12)]
    assert list(memory[(1 << 11) + 8 :][:8]) == [*range(21, 29)]
    assert not chip.violations()


def test_columns_go_around_the_address_bit_that_closes() -> None:
    chip = begun(timing(replace(ULX3S, column_bits=11, row_bits=12)), 3 << 4)
    memory = chip.memory(1 << 20).view(np.uint16)
    memory[:] = np.arange(len(memory)) & 0xFFFF
    outs = chip.clock(pins({0: ("activate", 0, 0), 4: ("read", 0, 1 << 11 | 77)}, 10))
    assert outs["dq"][6] == 1 << 10 | 77 and not chip.violations()
