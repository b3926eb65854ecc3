# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the reader: runs against what the memory holds there, and how deep its ring must be."""

import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from tritforge.hw.memory.reader import Reader
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.replay import Replay, Run
from tritforge.sim.benches.models.word_memory import WordMemory
from tritforge.sim.cocotb_run import test_parameters


class Bench:
    """The reader between a list of runs, a memory and a stream that takes beats or not."""

    def __init__(self, dut: Any, memory: WordMemory) -> None:
        self.dut, self.memory, self.depth = dut, memory, test_parameters()["depth"]
        self.address_bits = len(dut.port__request__payload) - memory.bits - 1
        self.replay = Replay(dut, self.address_bits, memory.word)

    def drive(self, runs: Iterator[Run], offers: bool, takes: bool) -> None:
        """A cycle: a run is offered or not, a beat taken or not."""
        dut, memory = self.dut, self.memory
        self.replay.offer(runs, offers)
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
        self.replay.take(takes)


async def begun(dut: Any, **memory: Any) -> Bench:
    """A reader after its reset."""
    for name in ("runs__valid", "port__request__ready", "port__answer_valid", "beats__tready"):
        getattr(dut, name).value = 0
    await begin(dut)
    return Bench(dut, WordMemory(len(dut.beats__tdata), **memory))


@cocotb.test()
async def replays(dut: Any) -> None:
    """Every beat of every run in order, TLAST where it belongs, never more asked for than there is room."""
    bench = await begun(dut)
    memory, replay, full = bench.memory, bench.replay, 0
    for phase in range(40):
        memory.latency = random.choice([1, 3, random.randint(1, 40), 3 * bench.depth])
        memory.interval = random.choice([1, 1, 2, 8])
        memory.chance = random.choice([1.0, 0.7, 0.2])
        offers, takes = random.choice([1.0, 0.3, 0.05]), random.choice([1.0, 0.8, 0.3, 0.05])
        runs = replay.some_runs(3 if phase % 4 else 50)
        for _ in range(250):
            memory.paused = random.random() < 0.02 or (memory.paused and random.random() < 0.9)
            bench.drive(runs, random.random() < offers, random.random() < takes)
            full += memory.outstanding == bench.depth
            await FallingEdge(dut.clk)
    memory.paused, memory.chance = False, 1.0
    for _ in range(len(replay.due) * 8 + 200):
        bench.drive(iter(()), False, True)
        await FallingEdge(dut.clk)
    assert not replay.due and memory.taken == [(place, 0, 0) for place in replay.asked]
    assert replay.given > 1000 and full > 20 and memory.most == bench.depth


async def rate(dut: Any, latency: int, count: int) -> tuple[int, int]:
    """Requests that a memory takes, and beats given, in so many cycles when nobody pauses; runs of 2 to 9 beats."""
    bench = await begun(dut, latency=latency)
    runs = ((random.getrandbits(bench.address_bits), random.randint(2, 9), 0) for _ in range(count))
    for _ in range(100 + 2 * latency):
        bench.drive(runs, True, True)
        await FallingEdge(dut.clk)
    before = len(bench.memory.taken), bench.replay.given
    for _ in range(count):
        bench.drive(runs, True, True)
        await FallingEdge(dut.clk)
    return len(bench.memory.taken) - before[0], bench.replay.given - before[1]


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
    runs = ((random.getrandbits(8), 50, 0) for _ in iter(int, 1))

    async def wasted(gap: int, memory_pauses: bool) -> int:
        """Cycles in which the side that does not pause, and gives or takes a beat each 4 cycles, had none."""
        bench = await begun(dut, latency=latency, interval=1 if memory_pauses else interval)
        wasted, quiet = 0, 4 * depth * interval
        for cycle in range(6 * (gap + quiet)):
            pauses = cycle % (gap + quiet) >= quiet
            bench.memory.paused = memory_pauses and pauses
            takes = cycle % interval == 0 if memory_pauses else not pauses
            before = bench.replay.dry if memory_pauses else bench.memory.idle
            bench.drive(runs, True, takes)
            after = bench.replay.dry if memory_pauses else bench.memory.idle
            wasted += (after - before) * (cycle >= quiet)
            await FallingEdge(dut.clk)
        return wasted

    for memory_pauses in (False, True):
        assert await wasted(longest, memory_pauses) == 0
        # two beats more than the ring holds are in the registers behind it, and one is on its way
        assert await wasted(longest + 4 * interval, memory_pauses) > 0
