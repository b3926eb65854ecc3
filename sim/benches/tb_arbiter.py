# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the arbiter: users that read and write at random against a model of one memory."""

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, Timer

from tritforge.hw.memory.arbiter import CYCLES, Arbiter
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.word_memory import WordMemory
from tritforge.sim.cocotb_run import test_parameters

Request = tuple[int, int, int]
"""Address, write, data."""


class Bench:
    """Users at the ports and a memory behind them.

    Attributes
    ----------
    taken : requests that the arbiter took, in order. due : answers that a user waits for.
    """

    def __init__(self, dut: Any, memory: WordMemory) -> None:
        parameters = test_parameters()
        self.dut, self.memory, self.address_bits = dut, memory, parameters["address_bits"]
        self.count, self.writers = parameters["ports"], parameters["writers"]
        self.offered: list[Request | None] = [None] * self.count
        self.due: list[deque[int]] = [deque() for _ in range(self.count)]
        self.taken: list[Request] = []
        self.waited: list[int] = []
        """Users that waited in the cycle before."""
        self.told = dict(memory.words)
        """What the memory holds once it has carried out what was taken."""

    def request(self, user: int) -> Request:
        """Something a user wants, among few addresses so that writes and reads meet."""
        write = int(user in self.writers and random.random() < 0.5)
        return random.randrange(8), write, random.getrandbits(self.memory.bits)

    async def drive(self, chances: list[float]) -> None:
        """A cycle in which each user offers something with its chance, unless it still does."""
        dut, memory = self.dut, self.memory
        for user, chance in enumerate(chances):
            if self.offered[user] is None and random.random() < chance:
                self.offered[user] = self.request(user)
            address, write, data = self.offered[user] or (0, 0, 0)
            getattr(dut, f"ports__{user}__request__valid").value = int(self.offered[user] is not None)
            bits = address | write << self.address_bits | data << self.address_bits + 1
            getattr(dut, f"ports__{user}__request__payload").value = bits
        given = None
        if int(dut.port__request__valid.value):
            bits = int(dut.port__request__payload.value)
            given = bits & (1 << self.address_bits) - 1, bits >> self.address_bits & 1, bits >> self.address_bits + 1
        ready, answer = memory.cycle(given)
        dut.port__request__ready.value = int(ready)
        dut.port__answer_valid.value = int(answer is not None)
        dut.port__answer.value = random.getrandbits(memory.bits) if answer is None else answer
        await Timer(1, "ns")

        for user in range(self.count):
            got = int(getattr(dut, f"ports__{user}__answer_valid").value)
            assert not got or answer is not None
            if got:
                assert int(getattr(dut, f"ports__{user}__answer").value) == answer == self.due[user].popleft()
                answer = None
        assert answer is None, "nobody got an answer"
        waiting = [user for user in range(self.count) if self.offered[user] is not None]
        granted = [user for user in range(self.count) if int(getattr(dut, f"ports__{user}__request__ready").value)]
        if granted:
            assert granted == self.waited[:1], "the first goes first, of those that waited when it was chosen"
            self.take(granted[0])
        self.waited = waiting
        await FallingEdge(dut.clk)

    def take(self, user: int) -> None:
        """What follows from a request that was taken."""
        address, write, data = request = self.offered[user]
        self.offered[user] = None
        self.taken.append(request)
        if write:
            self.told[address] = data
        else:
            self.due[user].append(self.told.get(address, self.memory.word(address)))


async def begun(dut: Any, **memory: Any) -> Bench:
    """An arbiter after its reset."""
    parameters = test_parameters()
    dut.port__request__ready.value = 0
    dut.port__answer_valid.value = 0
    for user in range(parameters["ports"]):
        getattr(dut, f"ports__{user}__request__valid").value = 0
    await begin(dut)
    return Bench(dut, WordMemory(parameters["bits"], **memory))


@cocotb.test()
async def joins(dut: Any) -> None:
    """Every request once, in the order in which they were taken, answers to who asked, never too many outstanding."""
    bench = await begun(dut)
    memory, most = bench.memory, test_parameters()["outstanding"]
    for _ in range(40):
        memory.latency = random.choice([1, 3, random.randint(1, 30), 60])
        memory.interval = random.choice([1, 1, 2, 8])
        memory.chance = random.choice([1.0, 0.6, 0.1])
        chances = [random.choice([0.0, 0.05, 0.3, 1.0]) for _ in range(bench.count)]
        for _ in range(150):
            await bench.drive(chances)
            assert memory.outstanding <= most
    memory.chance = 1.0
    for _ in range(9 * most + 200):
        await bench.drive([0.0] * bench.count)
    assert not any(bench.due) and not any(bench.offered)
    assert [(a, w, d * w) for a, w, d in memory.taken] == [(a, w, d * w) for a, w, d in bench.taken]
    assert len(bench.taken) > 500 and memory.most == most


@cocotb.test()
async def a_request_in_three_cycles(dut: Any) -> None:
    """Reads at full rate up to the latency that ``outstanding`` allows and no further."""
    most, last = test_parameters()["outstanding"], test_parameters()["ports"] - 1
    longest = CYCLES * most - 3
    assert Arbiter.needed_outstanding(longest) == most < Arbiter.needed_outstanding(longest + 1)
    for latency in (longest, longest + 1):
        bench = await begun(dut, latency=latency)
        bench.writers = []
        chances = [0.0] * last + [1.0]
        for _ in range(100):
            await bench.drive(chances)
        before = len(bench.memory.taken)
        for _ in range(100 * CYCLES):
            await bench.drive(chances)
        assert (len(bench.memory.taken) - before == 100) == (latency == longest)
