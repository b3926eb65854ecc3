# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the port beside a reader: both at a memory behind AXI4 that answers IDs in any order, as late as it
likes, and writes when it answers."""

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, Timer

from tritforge.hw.memory.axi_port import OWN, READER
from tritforge.sim.benches.common import begin
from tritforge.sim.cocotb_run import test_parameters

Word = tuple[int, int, int]
"""Of a read: ID, data, last."""


class Slave:
    """The memory, which checks that what is offered stays until it is taken.

    Attributes
    ----------
    words : what it holds. chance : that it takes or gives something in a cycle. writes : that it carried out.
    """

    def __init__(self, dut: Any, bits: int, words: list[int]) -> None:
        self.dut, self.words, self.size = dut, words, bits // 8
        self.chance = 1.0
        self.writes = 0
        self._held: dict[str, tuple[int, ...]] = {}
        self._due: dict[int, deque[Word]] = {READER: deque(), OWN: deque()}
        self._given: Word | None = None
        self._parts: dict[str, tuple[int, ...]] = {}
        self._answers = False

    def drive(self) -> None:
        """What it takes and gives in a cycle."""
        dut = self.dut
        for channel in ("ar", "aw", "w"):
            getattr(dut, f"axi__{channel}ready").value = int(random.random() < self.chance)
        if self._given is None and random.random() < self.chance:
            dues = [due for due in self._due.values() if due]
            self._given = random.choice(dues).popleft() if dues else None
        dut.axi__rvalid.value = int(self._given is not None)
        anything = random.getrandbits(1), random.getrandbits(8 * self.size), random.getrandbits(1)
        dut.axi__rid.value, dut.axi__rdata.value, dut.axi__rlast.value = self._given or anything
        if len(self._parts) == 2 and not self._answers and random.random() < self.chance:
            self._write()
        dut.axi__bvalid.value = int(self._answers)

    def sample(self) -> None:
        """What comes of it; a read gets what the memory holds when it takes the address."""
        names = ("addr", "len", "id", "size", "burst")
        if read := self._taken("ar", names):
            address, length, owner, size, burst = read
            assert (1 << size, burst, address % self.size) == (self.size, 1, 0)
            assert owner == READER or length == 0
            first = address // self.size
            self._due[owner] += ((owner, self.words[first + at], int(at == length)) for at in range(length + 1))
        for channel, members in (("aw", names), ("w", ("data", "strb", "last"))):
            if part := self._taken(channel, members):
                assert channel not in self._parts, "a write is not answered, and here is another"
                self._parts[channel] = part
        if int(self.dut.axi__rready.value):
            self._given = None
        if self._answers and int(self.dut.axi__bready.value):
            self._parts, self._answers = {}, False

    def _taken(self, channel: str, names: tuple[str, ...]) -> tuple[int, ...] | None:
        dut = self.dut
        if not int(getattr(dut, f"axi__{channel}valid").value):
            assert channel not in self._held, f"{channel} was given up"
            return None
        offered = tuple(int(getattr(dut, f"axi__{channel}{name}").value) for name in names)
        assert self._held.get(channel, offered) == offered, f"{channel} was not taken, and changed"
        if int(getattr(dut, f"axi__{channel}ready").value):
            self._held.pop(channel, None)
            return offered
        self._held[channel] = offered
        return None

    def _write(self) -> None:
        (address, length, owner, size, burst), (word, strobes, last) = self._parts["aw"], self._parts["w"]
        assert (length, owner, 1 << size, burst, last) == (0, OWN, self.size, 1, 1)
        assert strobes == (1 << self.size) - 1
        self.words[address // self.size] = word
        self.writes += 1
        self._answers = True


class Master:
    """The port's user: a request after the other, and what the memory holds for whoever saw them taken.

    Attributes
    ----------
    known : that. answers : so many came.
    """

    def __init__(self, dut: Any, slave: Slave) -> None:
        self.dut, self.known, self._slave = dut, list(slave.words), slave
        self.expected: deque[int] = deque()
        self.answers = 0
        self._request: tuple[int, int, int] | None = None

    def drive(self, offers: bool) -> None:
        """A new request, or not."""
        dut, count = self.dut, len(self.known)
        if self._request is None and offers:
            self._request = random.randrange(count), random.getrandbits(1), random.getrandbits(8 * self._slave.size)
            address, write, word = self._request
            width = (count - 1).bit_length()
            dut.port__request__payload.value = address | write << width | word << width + 1
        dut.port__request__valid.value = int(self._request is not None)

    def sample(self) -> None:
        """Whether it is taken, and an answer."""
        dut = self.dut
        if int(dut.port__answer_valid.value):
            assert int(dut.port__answer.value) == self.expected.popleft()
            self.answers += 1
        if int(dut.port__request__ready.value) and self._request is not None:
            address, write, word = self._request
            if write:
                self.known[address] = word
                assert self._slave.words[address] == word, "taken before the memory has it"
            else:
                assert not self.expected, "two at a time"
                self.expected.append(self.known[address])
            self._request = None


class Reader:
    """The reader: bursts one behind the other, and the words that each may give.

    Attributes
    ----------
    due : possible data, last, word. words : so many came.
    """

    def __init__(self, dut: Any, slave: Slave) -> None:
        self.dut, self._slave = dut, slave
        self.due: deque[tuple[set[int], int, int]] = deque()
        self.words = 0
        self._burst: tuple[int, int] | None = None

    def drive(self, offers: bool) -> None:
        """A new burst, or not."""
        dut, count = self.dut, len(self._slave.words)
        if self._burst is None and offers and len(self.due) < 400:
            length = random.choice([0, 1, random.randrange(16), random.randrange(128)])
            self._burst = random.randrange(count - length), length
            dut.reads__araddr.value = self._burst[0] * self._slave.size
            dut.reads__arlen.value = length
        dut.reads__arvalid.value = int(self._burst is not None)

    def sample(self) -> None:
        """Whether it is taken, and a word: that of now, or any that is written until it comes."""
        dut, words = self.dut, self._slave.words
        for possible, _, at in self.due:
            possible.add(words[at])
        if int(dut.reads__rvalid.value):
            possible, last, _ = self.due.popleft()
            assert int(dut.reads__rdata.value) in possible
            assert (int(dut.reads__rlast.value), int(dut.reads__rid.value)) == (last, READER)
            self.words += 1
        if self._burst is not None and int(dut.reads__arready.value):
            first, length = self._burst
            self.due += (({words[first + at]}, int(at == length), first + at) for at in range(length + 1))
            self._burst = None


@cocotb.test()
async def both(dut: Any) -> None:
    """Requests are carried out in order, and the reader gets its own, whoever waits."""
    parameters = test_parameters()
    bits, count = parameters["bits"], 1 << parameters["address_bits"]
    for name in ("port__request__valid", "reads__arvalid", *(f"axi__{name}" for name in _BEGINS_LOW)):
        getattr(dut, name).value = 0
    dut.reads__rready.value = 1
    await begin(dut)
    slave = Slave(dut, bits, [random.getrandbits(bits) for _ in range(count)])
    master, reader = Master(dut, slave), Reader(dut, slave)

    async def cycles(number: int, offers: float, bursts: float) -> None:
        for _ in range(number):
            await FallingEdge(dut.clk)
            master.drive(random.random() < offers)
            reader.drive(random.random() < bursts)
            slave.drive()
            await Timer(1, "ns")
            # the slave last: what it writes is written before what it takes is read
            master.sample()
            reader.sample()
            slave.sample()

    for _ in range(60):
        slave.chance = random.choice([1.0, 1.0, 0.6, 0.1])
        await cycles(200, random.choice([1.0, 0.3, 0.02, 0.0]), random.choice([1.0, 1.0, 0.1, 0.0]))
    slave.chance = 1.0
    await cycles(1000, 0.0, 0.0)
    assert not reader.due and not master.expected
    assert min(reader.words / 10, master.answers, slave.writes) > 200, (reader.words, master.answers, slave.writes)


_BEGINS_LOW = ("arready", "awready", "wready", "rvalid", "bvalid")
