# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the side words: random reads behind random arrivals, against a list of beats."""

import random
from collections import Counter, deque
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from tritforge.hw.stream.side import UNDER_WAY
from tritforge.sim.benches.common import begin
from tritforge.sim.cocotb_run import test_parameters

CYCLES = 300
"""Of one phase."""


class Bench:
    """The ring's model: the beats from the base on, and what the addresses of the last cycles must bring."""

    def __init__(self, dut: Any) -> None:
        parameters = test_parameters()
        self.depth, self.units, self.limit = (parameters[name] for name in ("depth", "units", "limit"))
        self.dut = dut
        self.room = deque([True] * 4, maxlen=4)
        self.per_beat, self.per_group = len(dut.beats__beat) // 32, len(dut.read__words) // 32
        self.beats: list[list[int]] = []
        self.released = 0
        self.due: deque[list[int] | None] = deque([None] * parameters["latency"])
        self.seen: Counter[str] = Counter()

    def compare(self) -> None:
        """Outputs of this cycle."""
        dut, level = self.dut, len(self.beats)
        assert int(dut.level.value) == level + self.released
        assert int(dut.beats__room.value) == self.room[-1]
        self.room.append(level + self.released <= self.depth - UNDER_WAY)
        words = self.due.popleft()
        if words is not None:
            found = int(dut.read__words.value)
            assert [found >> 32 * k & 0xFFFFFFFF for k in range(self.per_group)] == words

    def drive(self, arrival: float, release: float, clear: bool) -> None:
        """Inputs of this cycle, with the given probabilities, and what follows from them."""
        dut, level = self.dut, len(self.beats)
        groups = min(level * self.per_beat // self.per_group, self.units)
        address = random.choice([0, groups - 1, random.randrange(groups)]) if groups else random.randrange(self.units)
        first = address * self.per_group
        words = [word for beat in self.beats for word in beat]
        self.due.append(words[first : first + self.per_group] if groups else None)

        beat = [random.getrandbits(32) for _ in range(self.per_beat)]
        offered, releases = random.random() < arrival, random.random() < release
        amount = random.choice([0, 1, min(level, self.limit), random.randint(0, min(level, self.limit))])
        amount = min(amount, level)
        # decided two cycles ago
        taken = offered and self.room[0]
        if taken:
            self.beats.append(beat)
        self.released = amount if releases and not clear else 0
        if releases:
            del self.beats[:amount]
        if clear:
            self.beats.clear()
        self.seen += Counter(
            taken=taken,
            refused=offered and not taken,
            released_when_full=releases and amount > 0 and level == self.depth,
            together=taken and releases and amount > 0,
            most=releases and amount == self.limit,
            none=releases and amount == 0,
            farthest=groups > 0 and address == self.units - 1,
            empty=level == 0,
            cleared=clear and level > 0 and taken and releases,
        )
        dut.beats__put.value = int(taken)
        dut.beats__beat.value = sum(word << 32 * k for k, word in enumerate(beat))
        dut.read__address.value = address
        dut.read__release.value = amount if releases else 0
        dut.clear.value = int(clear)


@cocotb.test()
async def side(dut: Any) -> None:
    """Every word at its address, the exact level in every cycle; full, empty, over the end of the ring, cleared."""
    for name in ("beats__put", "read__release", "clear", "read__address"):
        getattr(dut, name).value = 0
    await begin(dut)
    bench = Bench(dut)
    # a ring of 128 beats fills and empties in a phase too
    phases = [(0.95, 0.01), (0.3, 0.6), (0.9, 0.1), (0.6, 0.3), (1.0, 0.05), (1.0, 1.0)]
    for arrival, release in phases * 3:
        for cycle in range(CYCLES):
            bench.compare()
            bench.drive(arrival, release, clear=cycle > CYCLES // 2 and random.random() < 0.02)
            await FallingEdge(dut.clk)
    assert bench.seen["taken"] > 5 * bench.depth
    rare = {
        name: bench.seen[name]
        for name in (
            "refused",
            "released_when_full",
            "together",
            "most",
            "none",
            "farthest",
            "empty",
            "cleared",
        )
    }
    assert all(rare.values()), rare
