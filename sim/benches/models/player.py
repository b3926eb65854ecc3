# SPDX-License-Identifier: Apache-2.0
"""What surrounds a player: its settings, a reader, a core and a line, each at its own pace."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from cocotb.triggers import FallingEdge

from tritforge.hw.board.machine_map import SETTINGS
from tritforge.hw.memory.reader import BEATS_BITS
from tritforge.sim.cocotb_run import test_parameters

TOLD = 7
"""Cycles from a result to its token."""
Run = tuple[int, int, int]
"""Address, beats, last."""


class Said(NamedTuple):
    """What a core answers."""

    token: int
    status: int


class Token(NamedTuple):
    """What a player says of a token."""

    number: int
    token: int
    cycles: int
    status: int


class Surroundings:
    """Drives a player, keeps what it does, and checks that it takes back nothing.

    Attributes
    ----------
    cycle : that goes on. settings : that it finds. say : asked for what the core answers a packet.
    takes, line, delay : chances that a run and a token are taken in a cycle, and that the core answers. at_last : a
        token is taken as late as it may be for the next one, if ``line`` does not.
    counted : what the player said of cycles with the last result.
    taken : runs, and when. asked : when the first run of each packet was asked for. results : when, and which.
    pushed : when, and which. stuck : cycles in which a token waits. places : when and where results are to go.
    """

    def __init__(self, dut: Any) -> None:
        self.dut, self.address_bits = dut, test_parameters()["address_bits"]
        self.settings = [0] * SETTINGS
        self.say: Callable[[], Said] = _silent
        self.takes = self.line = self.delay = 1.0
        self.at_last = False
        self.cycle = 0
        self.counted = 0
        self.begin_story()
        self._setting: int | None = None
        self._run: Run | None = None
        self._token: Token | None = None
        self._works = self._opens = False
        for name in ("start", "stop", "runs__ready", "result__valid", "tokens__ready", "setting_data"):
            getattr(dut, name).value = 0

    def begin_story(self) -> None:
        """Nothing is known of a story."""
        self.taken: list[tuple[int, Run]] = []
        self.asked: list[int] = []
        self.results: list[tuple[int, Said]] = []
        self.pushed: list[tuple[int, Token]] = []
        self.stuck: set[int] = set()
        self.places: list[tuple[int, int]] = []
        self._opens = True

    async def goes_on(self) -> None:
        """The next cycle."""
        dut = self.dut
        await FallingEdge(dut.clk)
        self.cycle += 1
        dut.start.value = dut.stop.value = 0
        # it has the settings while it plays
        found = random.getrandbits(32) if self._setting is None else self.settings[self._setting]
        dut.setting_data.value = found
        self._setting = int(dut.setting.value) if int(dut.playing.value) else None
        if int(dut.result_start.value):
            self.places.append((self.cycle, int(dut.result_address.value)))
        self._core()
        self._reader()
        self._line()

    def _core(self) -> None:
        dut, answers = self.dut, self._works and random.random() < self.delay
        token, status = self.say() if answers else (random.getrandbits(16), random.getrandbits(4))
        dut.result__valid.value, dut.result__token.value, dut.result__status.value = int(answers), token, status
        if answers:
            self._works, self._opens, self.counted = False, True, int(dut.count.value)
            self.results.append((self.cycle, Said(token, status)))

    def _reader(self) -> None:
        dut, takes = self.dut, random.random() < self.takes
        dut.runs__ready.value = int(takes)
        run = None
        if int(dut.runs__valid.value):
            bits, mask = int(dut.runs__payload.value), (1 << self.address_bits) - 1
            rest = bits >> self.address_bits
            run = bits & mask, rest & (1 << BEATS_BITS) - 1, rest >> BEATS_BITS
        assert self._run in (None, run), f"{self._run} was not taken, and is now {run}"
        self._run = None if takes else run
        if run is None:
            return
        if self._opens:
            self.asked.append(self.cycle)
            self._opens = False
        if takes:
            self.taken.append((self.cycle, run))
            assert not self._works, "it goes on without a result"
            self._works = bool(run[2])

    def _line(self) -> None:
        dut = self.dut
        takes = random.random() < self.line
        takes |= self.at_last and bool(self.results) and self.cycle == self.results[-1][0] + TOLD - 1
        dut.tokens__ready.value = int(takes)
        token = None
        if int(dut.tokens__valid.value):
            bits = int(dut.tokens__payload.value)
            token = Token(bits & 0xFFFF, bits >> 16 & 0xFFFF, bits >> 32 & 0xFFFFFFFF, bits >> 64)
        assert self._token in (None, token), f"{self._token} was not taken, and is now {token}"
        if token is not None and self._token is None:
            self.pushed.append((self.cycle, token))
        self._token = None if takes else token
        if self._token:
            self.stuck.add(self.cycle)


def _silent() -> Said:
    return Said(0, 0)
