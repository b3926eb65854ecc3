# SPDX-License-Identifier: Apache-2.0
"""A ring of beats that a memory answers with, given as a stream."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.lib.width import cut, plus_one


class BeatRing(wiring.Component):
    """Places for the beats that were asked of a memory, so that an answer always has room.

    Places are taken when beats are asked for, filled by the answers, in order, and free again when their beat is
    fetched from block RAM on its way to the register at the output::

        cycle            0    1    2    3    4
        taken            1
        answer_valid          A                   (of a memory that answers in the next cycle)
        fetched                    A
        free, again                     1
        beats                                A

    Throughput: a beat a cycle. Latency: 3 cycles.

    Parameters
    ----------
    bits : of a beat.
    depth : places.
    most : places taken at once, at most.

    Attributes
    ----------
    free : Out, places that are not taken, a register.
    taken : In, so many become taken, at most those that are free.
    answer_valid : In, the oldest of the taken places without a beat gets one.
    answer, last : In, the beat, and whether it has TLAST.
    beats : Out.
    """

    turnaround = 2
    """Cycles from an answer until its place is among those that are free."""

    def __init__(self, bits: int, depth: int, most: int = 1) -> None:
        self._bits, self._depth = bits, depth
        super().__init__(
            {
                "free": Out(range(depth + 1), init=depth),
                "taken": In(range(most + 1)),
                "answer_valid": In(1),
                "answer": In(bits),
                "last": In(1),
                "beats": Out(AxiStream(bits)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = 1 << (self._depth - 1).bit_length()
        m.submodules.places = memory = Memory(
            shape=unsigned(self._bits + 1), depth=words, init=[], attrs={"ram_style": "block", "no_rw_check": 1}
        )
        write, read = memory.write_port(), memory.read_port()
        answer_at = Signal(range(words))
        fetch_at = Signal(range(words))
        level = Signal(range(self._depth + 1))
        some, fetch, fetches, moves, is_fetched = flags("some", "fetch", "fetches", "moves", "is_fetched")
        beats = self.beats
        m.d.comb += [
            some.eq(level != 0),
            moves.eq(~beats.tvalid | beats.tready),
            fetches.eq(~is_fetched | moves),
            fetch.eq(some & fetches),
            write.addr.eq(answer_at),
            write.data.eq(Cat(self.answer, self.last)),
            write.en.eq(self.answer_valid),
            read.addr.eq(fetch_at),
            read.en.eq(fetches),
        ]
        m.d.sync += [
            # both count places and stay among them
            self.free.eq(cut(self.free + fetch - self.taken, self.free)),
            level.eq(cut(level + self.answer_valid - fetch, level)),
        ]
        with m.If(self.answer_valid):
            m.d.sync += answer_at.eq(plus_one(answer_at))
        with m.If(fetch):
            m.d.sync += fetch_at.eq(plus_one(fetch_at))
        # nothing between block RAM and its register, which has the same enable and no reset
        held = Signal(self._bits + 1, reset_less=True)
        with m.If(fetches):
            m.d.sync += is_fetched.eq(some)
        with m.If(moves):
            m.d.sync += [beats.tvalid.eq(is_fetched), held.eq(read.data)]
        m.d.comb += [beats.tdata.eq(held[:-1]), beats.tlast.eq(held[-1])]
        return m
