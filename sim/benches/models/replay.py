# SPDX-License-Identifier: Apache-2.0
"""What surrounds a reader: runs that it is given, and the stream that must come of them."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from tritforge.hw.memory.reader import BEATS_BITS

Run = tuple[int, int, int]
"""Address, beats, last."""


class Replay:
    """Runs, and beats compared with what the memory holds.

    Parameters
    ----------
    dut : a reader.
    address_bits : of a run's address.
    word : what the memory holds at an address.

    Attributes
    ----------
    asked : addresses of the beats of all runs that were taken. due : those beats that are not given yet, with TLAST.
    given : beats. dry : cycles in which a beat would have been taken.
    """

    def __init__(self, dut: Any, address_bits: int, word: Callable[[int], int]) -> None:
        self.dut, self.address_bits, self._word = dut, address_bits, word
        self.due: deque[tuple[int, int]] = deque()
        self.asked: list[int] = []
        self.given = self.dry = 0
        self._offered: Run | None = None
        self._held: tuple[int, int] | None = None

    def offer(self, runs: Iterator[Run], offers: bool) -> None:
        """A cycle in which the next run is offered, or not unless it already is."""
        dut = self.dut
        if self._offered is None and offers:
            self._offered = next(runs, None)
        dut.runs__valid.value = int(self._offered is not None)
        if self._offered is None:
            return
        address, beats, last = self._offered
        dut.runs__payload.value = address | beats << self.address_bits | last << self.address_bits + BEATS_BITS
        if int(dut.runs__ready.value):
            places = [(address + offset) % (1 << self.address_bits) for offset in range(beats)]
            self.asked += places
            self.due += [(self._word(place), int(last and place == places[-1])) for place in places]
            self._offered = None

    def take(self, takes: bool) -> None:
        """A cycle in which a beat is taken, or not."""
        dut = self.dut
        dut.beats__tready.value = int(takes)
        beat = (int(dut.beats__tdata.value), int(dut.beats__tlast.value)) if int(dut.beats__tvalid.value) else None
        assert self._held in (None, beat), "a beat that was not taken is gone"
        self._held = None if takes else beat
        if beat is not None and takes:
            assert beat == self.due.popleft(), f"beat {self.given} is not what the memory holds"
            self.given += 1
        self.dry += takes and beat is None

    def some_runs(self, longest: int) -> Iterator[Run]:
        """Runs without end; some are a beat, some go over the end of the memory."""
        while True:
            beats = random.choice([1, 1, 2, random.randint(1, longest)])
            near_end = (1 << self.address_bits) - random.randint(1, longest)
            yield random.choice([random.getrandbits(self.address_bits), near_end]), beats, random.getrandbits(1)
