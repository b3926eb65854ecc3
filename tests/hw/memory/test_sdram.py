# SPDX-License-Identifier: Apache-2.0
"""The SDRAM controller at the simulated chip: data, cycles, and each rule of the chip broken by a controller that was
made for a faster one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.sdram_chips import CONFIGURATIONS, FAST, unit
from tritforge.golden import TritforgeError
from tritforge.hw.memory.bursts import CAPTURES
from tritforge.hw.memory.chip import ULX3S
from tritforge.hw.memory.sdram import REFRESHES, SdramController
from tritforge.sim.board.chip_timing import ChipTiming, chip_timing
from tritforge.sim.board.sdram_unit import SdramUnit, requests

EXAMPLE = "16-8-cl3"


class Memory:
    """The chip's contents as they should be, all random at first."""

    def __init__(self, under_test: SdramUnit, name: str, seed: int = 1) -> None:
        chip, _, word_bits, _ = CONFIGURATIONS[name]
        self.random = np.random.default_rng(seed)
        self.unit, self.word_bytes = under_test, word_bits // 8
        self.inside = under_test.chip.memory(chip.size).reshape(-1, self.word_bytes)
        self.inside[:] = self.random.integers(0, 256, self.inside.shape, np.uint8)
        self.words = self.inside.copy()
        self.row = (chip.dq_bits // 8 << chip.column_bits) // self.word_bytes
        self.banks = 1 << chip.bank_bits

    def some(self, count: int, rows: int = 3) -> NDArray[Any]:
        """Addresses in few rows of all banks, and in the last ones."""
        row = self.random.choice([*range(rows - 1), len(self.words) // self.row // self.banks - 1], count)
        return (row * self.banks + self.random.integers(self.banks, size=count)) * self.row + self.random.integers(
            self.row, size=count
        )

    def check(self, asked: NDArray[Any], capture: int = 0) -> Any:
        """Have requests carried out and their answers compared."""
        data = self.random.integers(0, 256, (len(asked), self.word_bytes), np.uint8)
        traffic = self.unit.run(asked, data, capture)
        answers = iter(traffic.answers)
        for request, word in zip(asked, data, strict=True):
            address = int(request["address"])
            if request["write"]:
                self.words[address] = word
            else:
                assert (next(answers) == self.words[address]).all()
        return traffic


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_requests_are_carried_out_in_order(name: str) -> None:
    memory = Memory(under_test := unit(name), name)
    random, count = memory.random, 6000
    for mix in (0.5, 0.05, 0.95):
        gap = random.integers(0, 20, count) * (random.random(count) < 0.3)
        memory.check(requests(memory.some(count), random.random(count) < mix, gap))
    # runs of both, each a row's end with the next one's beginning
    first = memory.row - 5
    runs = [range(start, start + 10) for start in (first, first, first + memory.row, 0)]
    memory.check(requests(np.concatenate(runs), np.repeat([1, 0, 1, 0], 10)))
    under_test.idle(100)
    assert (memory.inside == memory.words).all() and not under_test.chip.violations()


@pytest.mark.parametrize(("name", "least"), [("16-8-cl3", 0.99), ("16-8-cl2", 0.99), ("32-4", 0.99)])
def test_a_long_run_is_read_at_the_speed_of_the_pins(
    name: str, least: float, record_property: Callable[[str, object], None]
) -> None:
    chip, mhz, word_bits, latency = CONFIGURATIONS[name]
    memory, transfers = Memory(under_test := unit(name), name), word_bits // chip.dq_bits
    clocks = chip.clocks(mhz, latency)
    under_test.initialised_after()
    traffic = memory.check(requests(range(40_000)))
    steps = np.diff(traffic.answered.astype(int))
    share = len(steps) * transfers / int(steps.sum())
    print(f"{name}: {share:.4f} of the peak")
    record_property("share", share)
    assert share >= least and not under_test.chip.violations()
    # nothing but refreshes comes between two words; a row may have to stay open for longer than a burst
    refresh = clocks.rp + REFRESHES * clocks.rfc + max(clocks.rcd, 3)
    refresh += max(0, clocks.row - clocks.rcd - transfers)
    periods = int(steps.sum()) // (REFRESHES * clocks.refi)
    assert set(steps) == {transfers, transfers + refresh}
    assert periods - 1 <= (steps > transfers).sum() <= periods + 1


def test_an_open_row_is_read_after_the_latency() -> None:
    memory = Memory(under_test := unit(EXAMPLE), EXAMPLE)
    under_test.initialised_after()
    traffic = memory.check(requests([0, 1, 2, 3], gap=[0, 50, 50, 50]))
    chip, mhz, word_bits, latency = CONFIGURATIONS[EXAMPLE]
    clocks, controller = chip.clocks(mhz, latency), SdramController(chip, mhz, word_bits, latency)
    opening = max(clocks.rcd, 3) - 1
    waits = [controller.latency + opening, *(controller.latency,) * 3]
    assert list((traffic.answered - traffic.taken).astype(int)) == waits


def test_a_write_takes_eleven_cycles() -> None:
    memory = Memory(under_test := unit(EXAMPLE), EXAMPLE)
    under_test.initialised_after()
    traffic = memory.check(requests(range(64), write=1))
    steps = np.diff(traffic.taken.astype(int))
    assert set(steps[3:]) == {11}


def test_the_chip_is_refreshed_while_nobody_asks() -> None:
    under_test = unit(EXAMPLE)
    chip, mhz, _, latency = CONFIGURATIONS[EXAMPLE]
    under_test.initialised_after()
    assert under_test.chip.refreshes() == REFRESHES
    period = REFRESHES * chip.clocks(mhz, latency).refi
    under_test.idle(50 * period)
    assert under_test.chip.refreshes() in (50 * REFRESHES, 51 * REFRESHES) and not under_test.chip.violations()


def test_the_power_up_takes_its_time() -> None:
    chip, mhz, _, latency = CONFIGURATIONS[EXAMPLE]
    clocks = chip.clocks(mhz, latency)
    period = REFRESHES * clocks.refi
    assert clocks.power_up <= unit(EXAMPLE).initialised_after() <= clocks.power_up + period + 10 * clocks.rfc


@pytest.mark.parametrize("delay", range(CAPTURES))
def test_data_that_come_late_are_taken_late(delay: int) -> None:
    memory = Memory(under_test := unit(EXAMPLE, delay=delay), EXAMPLE)
    asked = requests(memory.some(500))
    memory.check(asked, capture=delay)
    for capture in {*range(CAPTURES)} - {delay}:
        with pytest.raises(AssertionError):
            memory.check(asked, capture=capture)
    assert not under_test.chip.violations()


def slower(name: str, **times: Any) -> ChipTiming:
    """A chip with one time longer than that of the chip which a controller was made for."""
    chip, mhz, _, _ = CONFIGURATIONS[name]
    return chip_timing(replace(chip, **times), mhz)


def changed(name: str, **times: int) -> ChipTiming:
    """The same in clocks."""
    chip, mhz, _, _ = CONFIGURATIONS[name]
    timing = chip_timing(chip, mhz)
    for field, value in times.items():
        assert getattr(timing, field) < value
        setattr(timing, field, value)
    return timing


@pytest.mark.parametrize(
    ("rule", "timing"),
    [
        ("tRCD", slower(EXAMPLE, t_rcd=27)),
        ("tRP", slower(EXAMPLE, t_rp=27)),
        ("tRAS", slower(EXAMPLE, t_ras=100)),
        ("tRC", slower(EXAMPLE, t_rc=120)),
        ("tRRD", slower(EXAMPLE, t_rrd=60)),
        ("tRFC", slower(EXAMPLE, t_rfc=77)),
        ("tWR", slower(EXAMPLE, t_wr=27)),
        ("tMRD", changed(EXAMPLE, mrd=5)),
        ("tREFI", slower(EXAMPLE, t_refi=0.9 * ULX3S.t_refi)),
        ("power-up", slower(EXAMPLE, t_power_up=300)),
        ("initialisation", slower(EXAMPLE, initial_refreshes=9)),
        ("data bus", changed(EXAMPLE, turn=2)),
        ("CAS latency", changed("16-8-cl2", cas_latency=3)),
    ],
)
def test_a_controller_made_for_a_faster_chip_breaks_its_rule(rule: str, timing: ChipTiming) -> None:
    name = "16-8-cl2" if rule == "CAS latency" else EXAMPLE
    memory = Memory(under_test := unit(name, timing), name)
    memory.check(requests(memory.some(4000), memory.random.random(4000) < 0.3))
    under_test.idle(2_000_000 if rule == "tREFI" else 0)
    assert set(under_test.chip.violations()) == {rule}


@pytest.mark.parametrize("word_bits", [8, 24, 48, 256])
def test_a_word_that_is_no_burst_is_refused(word_bits: int) -> None:
    with pytest.raises(TritforgeError, match=f"1, 2, 4 or 8 transfers of 16 bits, not {word_bits} bits"):
        SdramController(ULX3S, FAST, word_bits, 3)


def test_a_chip_that_closes_rows_too_slowly_is_refused() -> None:
    with pytest.raises(TritforgeError, match=r"too slow in closing a row at 142\.857 MHz"):
        SdramController(replace(ULX3S, t_wr=40), FAST, 128, 3)
