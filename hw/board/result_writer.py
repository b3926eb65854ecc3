# SPDX-License-Identifier: Apache-2.0
"""Results go into the memory, where the host finds them whatever becomes of its line."""

from itertools import pairwise

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import plus_one
from tritforge.hw.memory.port import MemoryPort
from tritforge.hw.schedule import STATUS_BITS


class ResultEnd(wiring.Signature):
    """What the end of a result packet says, seen from who reads it.

    Attributes
    ----------
    valid : Out, pulse: the packet is in the memory. token : Out, the argmax of its last context, of no meaning after
    an error. status : Out, how the packet ended.
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "token": Out(16), "status": Out(STATUS_BITS)})


class ResultWriter(wiring.Component):
    """Gathers the words of result packets to beats and writes them one behind the other.

    A packet begins with a beat of its own; behind its last word comes the number of cycles that it took, and the rest
    of the beat is whatever it was. A word a cycle, but for one that waits while the beat before it is written.

    Parameters
    ----------
    address_bits : of the memory's address, which counts beats.
    bits : of a beat, 32 times a power of two.

    Attributes
    ----------
    results : In, the core's (hw/packet.py).
    port : Out.
    start : In, pulse: the next packet goes to ``start_address``.
    start_address : In. address : Out, behind the last packet; ``last_word`` : Out, where in its last beat it ends.
    cycles : In, taken when the last word has come.
    end : Out.
    """

    def __init__(self, address_bits: int, bits: int) -> None:
        self._words = bits // 32
        super().__init__(
            {
                "results": In(AxiStream(32)),
                "port": Out(MemoryPort(address_bits, bits)),
                "start": In(1),
                "start_address": In(address_bits),
                "address": Out(address_bits),
                "last_word": Out(range(max(2, self._words))),
                "cycles": In(32),
                "end": Out(ResultEnd()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        results, request, words = self.results, self.port.request, self._words
        beat = Signal(data.ArrayLayout(32, words), reset_less=True)
        # one hot: where the next word goes
        place = Signal(words, init=1)
        ended, closed, takes, full = flags("ended", "closed", "takes", "full")
        states = OneHot(m, ("TAKE", "APPEND", "WRITE"))
        at, go = states.at, states.go
        written = at["WRITE"] & request.ready
        m.d.comb += [
            takes.eq(at["TAKE"] & results.tvalid),
            full.eq(place[-1]),
        ]
        go("TAKE", "WRITE", results.tvalid & full)
        go("TAKE", "APPEND", results.tvalid & ~full & results.tlast)
        go("APPEND", "WRITE")
        go("WRITE", "APPEND", request.ready & ended & ~closed)
        go("WRITE", "TAKE", request.ready & ~(ended & ~closed))
        states.build()

        word = Mux(at["APPEND"], self.cycles, results.tdata)
        for index in range(words):
            with m.If((takes | at["APPEND"]) & place[index]):
                m.d.sync += beat[index].eq(word)
            with m.If(at["APPEND"] & place[index]):
                m.d.sync += self.last_word.eq(index)
        with m.If(written):
            m.d.sync += place.eq(1)
        with m.Elif(takes):
            m.d.sync += place.eq(place.rotate_left(1))

        # the last words but one: token, scale, status
        low_halves = [Signal(16, name=name, reset_less=True) for name in ("status_word", "scale_word", "token_word")]
        with m.If(takes & ~results.tlast):
            m.d.sync += low_halves[0].eq(results.tdata[:16])
            m.d.sync += [later.eq(earlier) for earlier, later in pairwise(low_halves)]
        m.d.sync += self.end.valid.eq(written & closed)
        m.d.comb += [self.end.token.eq(low_halves[2]), self.end.status.eq(low_halves[0][:STATUS_BITS])]

        with m.If(takes & results.tlast):
            m.d.sync += ended.eq(1)
        with m.If(at["APPEND"]):
            m.d.sync += closed.eq(1)
        with m.If(written & closed):
            m.d.sync += [ended.eq(0), closed.eq(0)]
        with m.If(self.start):
            m.d.sync += self.address.eq(self.start_address)
        with m.Elif(written):
            m.d.sync += self.address.eq(plus_one(self.address))
        m.d.comb += [
            results.tready.eq(at["TAKE"]),
            request.valid.eq(at["WRITE"]),
            request.payload.address.eq(self.address),
            request.payload.write.eq(1),
            request.payload.data.eq(beat.as_value()),
        ]
        return m
