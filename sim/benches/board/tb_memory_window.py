# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the memory's window: words of the bus against a memory of beats."""

import random
from typing import Any

import cocotb

from tritforge.hw.board.machine_map import CORE
from tritforge.sim.benches.common import begin, pack, unpack
from tritforge.sim.benches.models.memory_port import PortMemory
from tritforge.sim.benches.models.word_bus import BusMaster
from tritforge.sim.cocotb_run import test_parameters

BUS_WORDS = CORE // 4
"""Of the bus' addresses that are the memory's."""


class Bench:
    """A window between a master and a memory."""

    def __init__(self, dut: Any) -> None:
        parameters = test_parameters()
        self.beats, self.words = 1 << parameters["address_bits"], parameters["bits"] // 32
        self.port = PortMemory(dut, parameters["address_bits"], parameters["bits"])
        self.memory = self.port.memory
        self.master = BusMaster(dut, self.port.cycle)

    def another_pace(self) -> None:
        """Of the memory."""
        memory = self.memory
        memory.latency, memory.interval = random.choice([1, 2, 20]), random.choice([1, 8])
        memory.chance = random.choice([1.0, 0.5, 0.1])

    def some_beat(self) -> int:
        """Often at an end."""
        return random.choice([0, self.beats - 1, random.randrange(self.beats)])

    async def reads(self, beat: int, index: int) -> None:
        """A word is what the memory holds, and the memory was asked for its beat once."""
        before = len(self.memory.taken)
        expected = unpack(self.memory.word(beat), 32, self.words)[index]
        assert await self.master.read(beat * self.words + index) == expected
        assert [(address, write) for address, write, _ in self.memory.taken[before:]] == [(beat, 0)]

    async def refuses(self) -> None:
        """An access beyond the memory is an error, and the memory does not see it."""
        end, before = self.beats * self.words, len(self.memory.taken)
        # a bit that is not looked at leads back into the memory
        beyond = [end << shift for shift in range(BUS_WORDS.bit_length()) if end << shift < BUS_WORDS]
        if not beyond:
            return
        address = random.choice(beyond) + random.randrange(end)
        if random.random() < 0.5:
            assert await self.master.read(address) is None
        else:
            assert not await self.master.write(address, random.getrandbits(32))
        assert len(self.memory.taken) == before


@cocotb.test()
async def words(dut: Any) -> None:
    """Beats are written once, whole, and when their last word has come; words are read; beyond is an error."""
    bench = Bench(dut)
    await begin(dut)
    for _ in range(80):
        bench.another_pace()
        beat, before = bench.some_beat(), len(bench.memory.taken)
        written = [random.getrandbits(32) for _ in range(bench.words)]
        for index, word in enumerate(written):
            assert len(bench.memory.taken) == before, "written too early"
            assert await bench.master.write(beat * bench.words + index, word)
            if index < bench.words - 1 and random.random() < 0.1:
                # what is read meanwhile leaves the words that wait alone
                await bench.reads(bench.some_beat(), random.randrange(bench.words))
                before += 1
        assert bench.memory.taken[before:] == [(beat, 1, pack(written, 32))]
        await bench.reads(beat, random.randrange(bench.words))
        await bench.reads(bench.some_beat(), random.randrange(bench.words))
        if random.random() < 0.5:
            await bench.refuses()
