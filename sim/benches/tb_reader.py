# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the reader: runs against what the memory holds there, and how deep its ring must be."""

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from tritforge.hw.memory.reader import Reader
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.word_memory import WordMemory
from tritforge.sim.cocotb_run import test_parameters

Run = tuple[int, int, int]
"""Address, beats, last."""


class Bench:
    """The reader between a list of runs, a memory and a stream that takes beats or not."""

    def __init__(self, dut: Any, memory: WordMemory) -> None:
        self.dut, self.memory = dut, memory
        self.address_bits, self.depth = len(dut.port__request__payload) - memory.bits - 1, test_parameters()["depth"]
        self.due: deque[tuple[int, int]] = deque()
        self.given = 0
        self.dry = 0
        """Cycles in which a beat would have been taken."""
        self.asked: list[tuple[int, int, int]] = []
        self.offered: Run | None = None
        self.held: tuple[int, int] | None = None

    def drive(self, runs: Iterator[Run], offers: bool, takes: bool) -> None:
        """A cycle: a run is offered or not, a beat taken or not."""
        dut, memory = self.dut, self.memory
        if self.offered is None and offers:
            self.offered = next(runs, None)
        dut.runs__valid.value = int(self.offered is not None)
        if self.offered is not None:
            address, beats, last = self.offered
            dut.runs__payload.value = address | beats << self.address_bits | last << self.address_bits + 23
            if int(dut.runs__ready.value):
                for offset in range(beats):
                    place = (address + offset) % (1 << self.address_bits)
                    self.asked.append((place, 0, 0))
                    self.due.append((memory.word(place), int(last and offset == beats - 1)))
                self.offered = None

        request = None
        if int(dut.port__request__valid.value):
            bits = int(dut.port__request__payload.value)
            request = (
                bits & (1 << self.address_bits) - 1,
                bits >> self.address_bits & 1,
                bits >> self.address_bits + 1,
            )
        ready, answer = memory.cycle(request)
        assert memory.outstanding <= self.depth
        dut.port__request__ready.value = int(ready)
        dut.port__answer_valid.value = int(answer is not None)
        dut.port__answer.value = random.getrandbits(memory.bits) if answer is None else answer

        dut.beats__tready.value = int(takes)
        beat = (int(dut.beats__tdata.value), int(dut.beats__tlast.value)) if int(dut.beats__tvalid.value) else None
        assert self.held in (None, beat), "a beat that was not taken is gone"
        self.held = None if takes else beat
        if beat and takes:
            assert beat == self.due.popleft(), f"beat {self.given} is not what the memory holds"
            self.given += 1
        self.dry += takes and beat is None


async def begun(dut: Any, **memory: Any) -> Bench:
    """A reader after its reset."""
    for name in ("runs__valid", "port__request__ready", "port__answer_valid", "beats__tready"):
        getattr(dut, name).value = 0
    await begin(dut)
    return Bench(dut, WordMemory(len(dut.beats__tdata), **memory))


def some_runs(address_bits: int, longest: int) -> Iterator[Run]:
    """Runs without end; some are a beat, some go over the end of the memory."""
    while True:
        beats = random.choice([1, 1, 2, random.randint(1, longest)])
        address = random.choice([random.getrandbits(address_bits), (1 << address_bits) - random.randint(1, longest)])
        yield address, beats, random.getrandbits(1)


@cocotb.test()
async def replays(dut: Any) -> None:
    """Every beat of every run in order, TLAST where it belongs, never more asked for than there is room."""
    bench = await begun(dut)
    memory, full = bench.memory, 0
    for phase in range(40):
        memory.latency = random.choice([1, 3, random.randint(1, 40), 3 * bench.depth])
        memory.interval = random.choice([1, 1, 2, 8])
        memory.chance = random.choice([1.0, 0.7, 0.2])
        offers, takes = random.choice([1.0, 0.3, 0.05]), random.choice([1.0, 0.8, 0.3, 0.05])
        runs = some_runs(bench.address_bits, 3 if phase % 4 else 50)
        for _ in range(250):
            memory.paused = random.random() < 0.02 or (memory.paused and random.random() < 0.9)
            bench.drive(runs, random.random() < offers, random.random() < takes)
            full += memory.outstanding == bench.depth
            await FallingEdge(dut.clk)
    memory.paused, memory.chance = False, 1.0
    for _ in range(len(bench.due) * 8 + 200):
        bench.drive(iter(()), False, True)
        await FallingEdge(dut.clk)
    assert not bench.due and memory.taken == bench.asked
    assert bench.given > 1000 and full > 20 and memory.most == bench.depth


async def rate(dut: Any, latency: int, count: int) -> tuple[int, int]:
    """Requests that a memory takes, and beats given, in so many cycles when nobody pauses; runs of 2 to 9 beats."""
    bench = await begun(dut, latency=latency)
    runs = ((random.getrandbits(bench.address_bits), random.randint(2, 9), 0) for _ in range(count))
    for _ in range(100 + 2 * latency):
        bench.drive(runs, True, True)
        await FallingEdge(dut.clk)
    before = len(bench.memory.taken), bench.given
    for _ in range(count):
        bench.drive(runs, True, True)
        await FallingEdge(dut.clk)
    return len(bench.memory.taken) - before[0], bench.given - before[1]


@cocotb.test()
async def a_beat_a_cycle(dut: Any) -> None:
    """Full rate up to the latency that the depth allows and no further; runs follow without a gap."""
    depth = test_parameters()["depth"]
    longest = max(1, depth - Reader.turnaround)
    for latency in (longest, longest + 1):
        in_use = latency + Reader.turnaround
        assert (Reader.needed_depth(latency) == depth) == (in_use == depth)
        assert await rate(dut, latency, 30 * in_use) == (30 * depth, 30 * depth)


@cocotb.test()
async def gaps(dut: Any) -> None:
    """Neither side waits for the other's pauses that the depth bridges, but for longer ones."""
    depth, interval, latency = test_parameters()["depth"], 4, 9
    longest = depth * interval - latency - Reader.turnaround
    if longest < 1:
        return
    assert (
        Reader.needed_depth(latency, longest, interval) == depth < Reader.needed_depth(latency, longest + 1, interval)
    )

    async def wasted(gap: int, memory_pauses: bool) -> int:
        """Cycles in which the side that does not pause, and gives or takes a beat each 4 cycles, had none."""
        bench = await begun(dut, latency=latency, interval=1 if memory_pauses else interval)
        wasted, quiet = 0, 4 * depth * interval
        for cycle in range(6 * (gap + quiet)):
            pauses = cycle % (gap + quiet) >= quiet
            bench.memory.paused = memory_pauses and pauses
            takes = cycle % interval == 0 if memory_pauses else not pauses
            before = bench.dry if memory_pauses else bench.memory.idle
            bench.drive(some_long_runs, True, takes)
            after = bench.dry if memory_pauses else bench.memory.idle
            wasted += (after - before) * (cycle >= quiet)
            await FallingEdge(dut.clk)
        return wasted

    some_long_runs = ((random.getrandbits(8), 50, 0) for _ in iter(int, 1))
    for memory_pauses in (False, True):
        assert await wasted(longest, memory_pauses) == 0
        # two beats more than the ring holds are in the registers behind it, and one is on its way
        assert await wasted(longest + 4 * interval, memory_pauses) > 0
