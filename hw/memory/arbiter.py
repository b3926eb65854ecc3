# SPDX-License-Identifier: Apache-2.0
"""Joins several users of a memory to its one port."""

from collections.abc import Collection, Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.memory.port import MemoryPort


class Arbiter(wiring.Component):
    """Requests of several ports to one memory, the first port's first, and each answer to the port that asked.

    A request waits in a register in front of the memory; with it goes, if it reads, the number of its port into a
    queue whose head says whose the next answer is. A port waits as long as one before it has requests. What is read
    behind a write, from any port, sees it, since the memory carries out requests in order.

    Throughput: a request and an answer a cycle. Latency: a cycle of a request, none of an answer.

    Parameters
    ----------
    ports : how many.
    address_bits, bits : of an address and of a word.
    writers : numbers of the ports that may write; ``write`` and ``data`` of the others are not looked at, which saves
        a table a bit.
    outstanding : most reads that are taken and not answered, a power of two; so many that the memory never waits for
        one, see `needed_outstanding`.

    Attributes
    ----------
    ports : In, the users' ports, of the highest priority first.
    port : Out, the memory's.
    """

    def __init__(
        self, ports: int, address_bits: int, bits: int, writers: Collection[int], outstanding: int = 16
    ) -> None:
        if ports < 1:
            raise TritforgeError(f"An arbiter has 1 port or more, not {ports}.")
        if not {*writers} <= {*range(ports)}:
            raise TritforgeError(f"The ports that write are some of 0 to {ports - 1}, not {sorted(writers)}.")
        if outstanding < 4 or outstanding & (outstanding - 1):
            raise TritforgeError(f"The reads outstanding at an arbiter are 4, 8, 16 and so on, not {outstanding}.")
        self._count, self._outstanding, self._writers = ports, outstanding, sorted(writers)
        port = MemoryPort(address_bits, bits)
        super().__init__({"ports": In(port).array(ports), "port": Out(port)})

    @staticmethod
    def needed_outstanding(latency: int, interval: int = 1) -> int:
        """Least ``outstanding`` with which a memory never waits for it.

        A read is outstanding from its register on, and two places are kept back since it is seen late that there is
        room::

            (latency + 1) / interval + 2, up to a power of two

        Parameters
        ----------
        latency
            Cycles from a request that the memory takes to its answer.
        interval
            Cycles between two answers.
        """
        return 1 << max(2, (1 - (-(latency + 1) // interval)).bit_length())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request = self.port.request
        room = Signal(init=1)
        takes, reads = flags("takes", "reads")
        m.d.comb += takes.eq(room & (~request.valid | request.ready))

        # the first that is valid
        chosen: list[Signal] = []
        earlier: Value = Const(0, 1)
        for index, user in enumerate(self.ports):
            chosen.append(Signal(name=f"chosen_{index}"))
            m.d.comb += [
                chosen[index].eq(user.request.valid & ~earlier),
                user.request.ready.eq(takes & ~earlier),
            ]
            earlier = earlier | user.request.valid
        requests = [user.request for user in self.ports]
        is_write = reduce(
            or_, (chosen[index] & requests[index].payload.write for index in self._writers), Const(0, 1)
        )
        m.d.comb += reads.eq(takes & earlier & ~is_write)
        with m.If(~request.valid | request.ready):
            m.d.sync += [
                request.valid.eq(earlier & room),
                request.payload.address.eq(_first(requests, "address")),
                request.payload.write.eq(is_write),
            ]
            # of a read they are anything
            if self._writers:
                m.d.sync += request.payload.data.eq(_first([requests[index] for index in self._writers], "data"))

        # who asked
        m.submodules.askers = askers = Memory(
            shape=unsigned(self._count), depth=self._outstanding, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = askers.write_port(), askers.read_port(domain="comb")
        ask_at = Signal(range(self._outstanding))
        answer_at = Signal(range(self._outstanding))
        level = Signal(range(self._outstanding + 1))
        m.d.comb += [
            write.addr.eq(ask_at),
            write.data.eq(Cat(chosen)),
            write.en.eq(reads),
            read.addr.eq(answer_at),
        ]
        with m.If(reads):
            m.d.sync += ask_at.eq(plus_one(ask_at))
        with m.If(self.port.answer_valid):
            m.d.sync += answer_at.eq(plus_one(answer_at))
        m.d.sync += [
            # places of the queue that are taken, never more than there are
            level.eq(cut(level + reads - self.port.answer_valid, level)),
            # a cycle late: a read may be taken meanwhile
            room.eq(level < self._outstanding - 1),
        ]
        for index, user in enumerate(self.ports):
            m.d.comb += [
                user.answer_valid.eq(self.port.answer_valid & read.data[index]),
                user.answer.eq(self.port.answer),
            ]
        return m


def _first(requests: Sequence[wiring.PureInterface], field: str) -> Value:
    """A field of the first valid request; of the last where none is valid."""
    *others, last = requests
    value: Value = last.payload[field]
    for request in reversed(others):
        value = Mux(request.valid, request.payload[field], value)
    return value
