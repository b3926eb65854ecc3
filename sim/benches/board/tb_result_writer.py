# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the result writer: packets in, a memory of beats behind it."""

import random
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from tritforge.hw.schedule import RESULT_MAGIC, Status
from tritforge.sim.benches.common import begin, unpack
from tritforge.sim.benches.models.memory_port import PortMemory
from tritforge.sim.cocotb_run import test_parameters


class Bench:
    """A writer between a core that says packets and a memory.

    Attributes
    ----------
    offers : chance of a word in a cycle in which none waits.
    count : the cycles that the writer is told. last : when the packet's last word was taken.
    address : where the next packet goes.
    """

    def __init__(self, dut: Any) -> None:
        parameters = test_parameters()
        self.dut, self.words = dut, parameters["bits"] // 32
        self.port = PortMemory(dut, parameters["address_bits"], parameters["bits"])
        self.memory = self.port.memory
        self.end = 1 << parameters["address_bits"]
        self.offers, self.count, self.address = 1.0, 0, 0
        self.ends: list[tuple[int, int, int]] = []
        """When, token, status."""
        for name in ("results__tvalid", "start", "start_address"):
            getattr(dut, name).value = 0

    async def cycle(self) -> None:
        """The next cycle; what the writer says of packets is kept."""
        dut = self.dut
        await FallingEdge(dut.clk)
        self.count = self.count + 1 & 0xFFFFFFFF
        dut.cycles.value = self.count
        self.port.cycle()
        if int(dut.end__valid.value):
            self.ends.append((self.count, int(dut.end__token.value), int(dut.end__status.value)))

    async def starts(self, address: int) -> None:
        """The next packet goes there."""
        self.dut.start.value, self.dut.start_address.value = 1, address
        await self.cycle()
        self.dut.start.value, self.dut.start_address.value = 0, random.randrange(self.end)
        self.address = address

    async def says(self, packet: list[int]) -> int:
        """Give the words of a packet; when the last was taken."""
        dut = self.dut
        for index, word in enumerate(packet):
            while random.random() >= self.offers:
                dut.results__tvalid.value = 0
                dut.results__tdata.value, dut.results__tlast.value = random.getrandbits(32), random.getrandbits(1)
                await self.cycle()
            dut.results__tvalid.value, dut.results__tdata.value = 1, word
            dut.results__tlast.value = int(index == len(packet) - 1)
            while not int(dut.results__tready.value):
                await self.cycle()
            taken = self.count
            await self.cycle()
        dut.results__tvalid.value = 0
        return taken

    async def over(self, packets: int) -> None:
        """So many packets have ended."""
        for _ in range(3000):
            if len(self.ends) >= packets:
                return
            await self.cycle()
        raise AssertionError(f"{len(self.ends)} of {packets} packets have ended")

    def find(self, packet: list[int], taken: int, end: int, written: list[tuple[int, int, int]]) -> None:
        """A packet lies in the beats that were written for it, its cycles behind it."""
        assert all(write for _, write, _ in written)
        beats = -(-(len(packet) + 1) // self.words)
        assert [address for address, _, _ in written] == [(self.address + beat) % self.end for beat in range(beats)]
        words = [word for _, _, beat in written for word in unpack(beat, 32, self.words)]
        assert words[: len(packet)] == packet
        # they are taken while the packet is written
        assert 0 < (words[len(packet)] - taken) & 0xFFFFFFFF <= (end - taken) & 0xFFFFFFFF
        self.address = (self.address + beats) % self.end


def some_packet() -> tuple[list[int], int | None, int]:
    """Words, the last context's token, and the status."""
    sequence = random.getrandbits(32)
    if random.random() < 0.2:
        status = random.choice([status for status in Status if status is not Status.OK])
        logits = [random.getrandbits(32) for _ in range(random.choice([0, 0, 3]))]
        return [*logits, status | RESULT_MAGIC << 16, sequence], None, status
    contexts = random.choice([1, 1, 2, 8])
    logits = [random.getrandbits(32) for _ in range(random.choice([0, 0, 1, random.randint(2, 22)]))]
    said = [random.getrandbits(16) if index % 2 == 0 else random.getrandbits(32) for index in range(2 * contexts)]
    return [*logits, *said, contexts << 8 | RESULT_MAGIC << 16, sequence], said[-2], Status.OK


async def begun(dut: Any) -> Bench:
    """A writer after its reset."""
    bench = Bench(dut)
    await begin(dut)
    return bench


@cocotb.test()
async def packets(dut: Any) -> None:
    """Every packet in beats of its own, each written once, the cycles behind it; what its end says."""
    bench = await begun(dut)
    await bench.starts(random.randrange(bench.end))
    lengths = set()
    for number in range(150):
        memory = bench.memory
        memory.latency, memory.interval = 1, random.choice([1, 8])
        memory.chance, bench.offers = random.choice([1.0, 0.5, 0.1]), random.choice([1.0, 0.5, 0.1])
        if random.random() < 0.2:
            await bench.starts(random.choice([bench.end - 1, 0, random.randrange(bench.end)]))
        packet, token, status = some_packet()
        lengths.add(len(packet))
        before = len(memory.taken)
        taken = await bench.says(packet)
        await bench.over(number + 1)
        for _ in range(random.choice([0, 0, 30])):
            await bench.cycle()
        end, said, ended = bench.ends[number]
        bench.find(packet, taken, end, memory.taken[before:])
        assert ended == status and token in (None, said)
        assert int(dut.address.value) == bench.address
        assert int(dut.last_word.value) == len(packet) % bench.words
    assert min(lengths) == 2 and max(lengths) > 30 and len(bench.ends) == 150


@cocotb.test()
async def close_behind(dut: Any) -> None:
    """The same of packets that wait for one another, at the pace of a word a cycle but for what is written."""
    bench = await begun(dut)
    await bench.starts(0)
    saying = [some_packet() for _ in range(40)]
    taken, cycles = [], bench.count
    for packet, _, _ in saying:
        taken.append(await bench.says(packet))
    await bench.over(len(saying))
    cycles = bench.count - cycles
    written = list(bench.memory.taken)
    for (packet, token, status), last, (end, said, ended) in zip(saying, taken, bench.ends, strict=True):
        beats = -(-(len(packet) + 1) // bench.words)
        bench.find(packet, last, end, written[:beats])
        del written[:beats]
        assert ended == status and token in (None, said)
    assert not written
    # a cycle for a word, a beat and the cycles of a packet
    words = sum(len(packet) + 1 for packet, _, _ in saying)
    assert cycles <= words + len(bench.memory.taken) + 3
