# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the reader behind AXI4: runs against what a memory holds there, that of cocotbext-axi and one with
several bursts under way; the protocol; how deep the ring must be; errors."""

import itertools
import logging
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiRamRead, AxiReadBus

from tritforge.hw.memory.axi_reader import AxiReader
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.axi_memory import DECERR, EXOKAY, SLVERR, AxiMemory, burst_of
from tritforge.sim.benches.models.registers import pauses
from tritforge.sim.benches.models.replay import Replay, Run
from tritforge.sim.cocotb_run import test_parameters


class Bench:
    """The reader between a list of runs, a memory and a stream that takes beats or not."""

    def __init__(self, dut: Any, memory: AxiMemory) -> None:
        self.dut, self.memory, self.parameters = dut, memory, test_parameters()
        self.replay = Replay(dut, self.parameters["address_bits"], memory.word)

    def drive(self, runs: Iterator[Run], offers: bool, takes: bool) -> None:
        """A cycle: a run is offered or not, a beat taken or not."""
        dut, memory = self.dut, self.memory
        self.replay.offer(runs, offers)
        assert int(dut.axi__rready.value), "an answer must wait"
        ready, beat = memory.cycle(burst_of(dut))
        assert memory.outstanding <= self.parameters["outstanding"] and memory.words <= self.parameters["depth"]
        dut.axi__arready.value = int(ready)
        dut.axi__rvalid.value = int(beat is not None)
        data, last, response = beat or (random.getrandbits(memory.bits), random.getrandbits(1), random.getrandbits(2))
        dut.axi__rdata.value = data
        dut.axi__rlast.value = int(last)
        dut.axi__rresp.value = response
        self.replay.take(takes)


async def begun(dut: Any, **memory: Any) -> Bench:
    """A reader after its reset."""
    for name in ("runs__valid", "axi__arready", "axi__rvalid", "axi__rid", "beats__tready"):
        getattr(dut, name).value = 0
    await begin(dut)
    return Bench(dut, AxiMemory(len(dut.beats__tdata), test_parameters()["burst"], **memory))


@cocotb.test()
async def replays(dut: Any) -> None:
    """Every beat of every run in order, TLAST where it belongs, no more outstanding than there is room."""
    bench = await begun(dut)
    memory, replay, burst, full = bench.memory, bench.replay, bench.parameters["burst"], 0
    for phase in range(24):
        memory.latency = random.choice([1, 3, random.randint(1, 40), 3 * bench.parameters["depth"]])
        memory.interval = random.choice([1, 1, 2])
        memory.chance = random.choice([1.0, 0.7, 0.3])
        offers, takes = random.choice([1.0, 0.3, 0.05]), random.choice([1.0, 0.8, 0.3])
        runs = replay.some_runs(3 if phase % 4 == 0 else 3 * burst)
        for _ in range(300 + 2 * burst):
            memory.paused = random.random() < 0.02 or (memory.paused and random.random() < 0.9)
            bench.drive(runs, random.random() < offers, random.random() < takes)
            full += memory.words + burst > bench.parameters["depth"]
            await FallingEdge(dut.clk)
    memory.paused, memory.chance, memory.latency = False, 1.0, 1
    for _ in range(len(replay.due) * 2 + 30 * burst):
        bench.drive(iter(()), False, True)
        await FallingEdge(dut.clk)
    assert not replay.due and memory.taken == replay.asked and not int(dut.error.value)
    assert {1, burst} < {*memory.bursts} and memory.most == bench.parameters["outstanding"]
    assert replay.given > 1000 and full > 20, (replay.given, full)


@cocotb.test()
async def from_the_usual_memory(dut: Any) -> None:
    """The same from cocotbext-axi's memory, with pauses in all channels."""
    bench = await begun(dut)
    size, address_bits = bench.memory.bits // 8, bench.parameters["address_bits"]
    content = random.randbytes(size << address_bits)
    logging.getLogger("cocotb.unit_axi_reader").setLevel(logging.WARNING)
    ram = AxiRamRead(AxiReadBus.from_prefix(dut, "axi_"), dut.clk, dut.rst, size=len(content))
    ram.write(0, content)
    ram.ar_channel.set_pause_generator(pauses(0.4))
    ram.r_channel.set_pause_generator(pauses(0.2))
    replay = Replay(dut, address_bits, lambda place: int.from_bytes(content[place * size :][:size], "little"))
    burst = bench.parameters["burst"]
    runs = itertools.islice(replay.some_runs(2 * burst), 20 + 400 // burst)
    cycles = 0
    while cycles < 100 or replay.due:
        replay.offer(runs, random.random() < 0.5)
        replay.take(random.random() < 0.8)
        await FallingEdge(dut.clk)
        cycles += 1
        assert cycles < 30_000, "beats are missing"
    assert next(runs, None) is None and replay.given == len(replay.asked) > 100


@cocotb.test()
async def a_beat_a_cycle(dut: Any) -> None:
    """Full rate at the latency that depth and bursts allow, and less at a longer one."""
    parameters = test_parameters()
    burst, depth, outstanding = (parameters[name] for name in ("burst", "depth", "outstanding"))
    longest = min(depth - burst + 1 - AxiReader.turnaround, (outstanding - 1) * burst - 2)
    if longest < 1:
        return
    for latency, enough in ((longest, True), (longest + 1, False)):
        needed = AxiReader.needed_depth(latency, burst), AxiReader.needed_outstanding(latency, burst)
        assert (needed[0] <= depth and needed[1] <= outstanding) == enough
        bench = await begun(dut, latency=latency)
        whole = (1 << parameters["address_bits"]) // burst
        runs = ((random.randrange(whole) * burst, 2 * burst, 0) for _ in iter(int, 1))
        for _ in range(4 * (depth + latency)):
            bench.drive(runs, True, True)
            await FallingEdge(dut.clk)
        before, count = bench.replay.given, 20 * burst
        for _ in range(count):
            bench.drive(runs, True, True)
            await FallingEdge(dut.clk)
        assert (bench.replay.given - before == count) == enough, (bench.replay.given - before, count)


@cocotb.test()
async def errors(dut: Any) -> None:
    """A read that fails is told from the next cycle on, and the beats go on; one that is exclusive has not failed."""
    for response in (EXOKAY, SLVERR, DECERR):
        bench = await begun(dut)
        bench.memory.faults[100] = response
        runs = iter([(60, 80, 1)])
        for cycle in range(400):
            bench.drive(runs, True, cycle % 3 > 0)
            await FallingEdge(dut.clk)
            assert int(dut.error.value) == bench.memory.failed
        assert bench.replay.given == 80 and bench.memory.failed == (response != EXOKAY)
