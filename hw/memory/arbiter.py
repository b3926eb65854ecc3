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
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.memory.port import MemoryPort

CYCLES = 3
"""Of a request."""


class Arbiter(wiring.Component):
    """Requests of several ports to one memory, the first port's first, and each answer to the port that asked.

    Made for a memory whose words take several cycles, and for a fast clock: who is next is chosen in a cycle of its
    own, so that ``ready`` of every port is a register::

        cycle     0       1       2              3
        port    valid   ready
        memory                  valid (waits)  next choice

    With a request that reads, the number of its port goes into a queue whose head says whose the next answer is. A
    port waits as long as one before it has requests. What is read behind a write, from any port, sees it, since the
    memory carries out requests in order.

    Throughput: a request in three cycles, an answer a cycle. Latency: two cycles of a request, none of an answer.

    Parameters
    ----------
    ports : how many.
    address_bits, bits : of an address and of a word.
    writers : numbers of the ports that may write; ``write`` and ``data`` of the others are not looked at, which saves
        a table a bit.
    outstanding : most reads that are taken and not answered, a power of two, see `needed_outstanding`.

    Attributes
    ----------
    ports : In, the users' ports, of the highest priority first.
    port : Out, the memory's.
    """

    def __init__(
        self, ports: int, address_bits: int, bits: int, writers: Collection[int], outstanding: int = 8
    ) -> None:
        if ports < 1:
            raise TritforgeError(f"An arbiter has 1 port or more, not {ports}.")
        if not {*writers} <= {*range(ports)}:
            raise TritforgeError(f"The ports that write are some of 0 to {ports - 1}, not {sorted(writers)}.")
        if outstanding < 2 or outstanding & (outstanding - 1):
            raise TritforgeError(f"The reads outstanding at an arbiter are 2, 4, 8 and so on, not {outstanding}.")
        self._count, self._outstanding, self._writers = ports, outstanding, sorted(writers)
        port = MemoryPort(address_bits, bits)
        super().__init__({"ports": In(port).array(ports), "port": Out(port)})

    @staticmethod
    def needed_outstanding(latency: int, interval: int = CYCLES) -> int:
        """Least ``outstanding`` with which a memory never waits for it.

        A read is outstanding from the cycle before the memory can take it to the one behind its answer, and the next
        one is chosen two cycles before the memory can take it::

            (latency + 3) / interval, up to a power of two

        Parameters
        ----------
        latency
            Cycles from a request that the memory takes to its answer.
        interval
            Cycles between two answers.
        """
        return 1 << max(1, (-(-(latency + 3) // interval) - 1).bit_length())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request, users = self.port.request, [user.request for user in self.ports]
        states = OneHot(m, ("CHOOSE", "TAKE", "OFFER"))
        at = states.at
        room = Signal()
        chosen = Signal(self._count)
        earlier: Value = Const(0, 1)
        for index, user in enumerate(users):
            m.d.sync += chosen[index].eq(at["CHOOSE"] & room & user.valid & ~earlier)
            m.d.comb += user.ready.eq(chosen[index])
            earlier = earlier | user.valid
        states.go("CHOOSE", "TAKE", room & earlier)
        states.go("TAKE", "OFFER")
        states.go("OFFER", "CHOOSE", request.ready)
        states.build()

        is_write = reduce(or_, (chosen[index] & users[index].payload.write for index in self._writers), Const(0, 1))
        with m.If(at["TAKE"]):
            m.d.sync += [
                request.payload.address.eq(_chosen(chosen, [user.payload.address for user in users])),
                request.payload.write.eq(is_write),
            ]
            if self._writers:
                # of a read it is anything
                first = Cat(chosen[index] for index in self._writers)
                m.d.sync += request.payload.data.eq(_chosen(first, [users[i].payload.data for i in self._writers]))
        m.d.comb += request.valid.eq(at["OFFER"])

        # who asked
        m.submodules.askers = askers = Memory(
            shape=unsigned(self._count), depth=self._outstanding, init=[], attrs={"ram_style": "distributed"}
        )
        write = askers.write_port()
        read = askers.read_port(domain="comb")
        ask_at = Signal(range(self._outstanding))
        answer_at = Signal(range(self._outstanding))
        level = Signal(range(self._outstanding + 1))
        reads = Signal()
        m.d.comb += [
            reads.eq(at["TAKE"] & ~is_write),
            write.addr.eq(ask_at),
            write.data.eq(chosen),
            write.en.eq(reads),
            read.addr.eq(answer_at),
            # there are never more than there is room for
            room.eq(level != self._outstanding),
        ]
        with m.If(reads):
            m.d.sync += ask_at.eq(plus_one(ask_at))
        with m.If(self.port.answer_valid):
            m.d.sync += answer_at.eq(plus_one(answer_at))
        m.d.sync += level.eq(cut(level + reads - self.port.answer_valid, level))
        for index, port in enumerate(self.ports):
            m.d.comb += [
                port.answer_valid.eq(self.port.answer_valid & read.data[index]),
                port.answer.eq(self.port.answer),
            ]
        return m


def _chosen(chosen: Value, values: Sequence[Value]) -> Value:
    """The value of the one that is chosen; of one alone its own."""
    if len(values) == 1:
        return values[0]
    return reduce(or_, (Mux(chosen[index], value, 0) for index, value in enumerate(values)))
