# SPDX-License-Identifier: Apache-2.0
"""The result unit: argmax of the logits, the logits themselves if asked for, and the trailer of every token."""

from amaranth.hdl import Array, Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.params import CoreParams

RESULT_WORD = data.StructLayout({"data": unsigned(32), "last": unsigned(1)})


class ResultUnit(wiring.Component):
    """Takes the head's accumulators in row order and answers each token with one packet (layout in hw/packet.py).

    Logits are one integer times one positive scale a token, so the largest accumulator is the argmax; the lowest
    index wins a tie. With ``logits`` an accumulator is accepted when its word has gone out. ``begin`` starts a
    token; ``finish`` sends the trailer with ``status``; ``done`` pulses when its last word is taken.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        super().__init__(
            {
                "begin": In(1),
                "rows": In(stream.Signature(signed(core.acc_bits))),
                "logits": In(1),
                "finish": In(1),
                "status": In(4),
                "sequence": In(unsigned(32)),
                "mantissa": In(unsigned(core.formats.mantissa)),
                "shift": In(signed(12)),
                "result": Out(stream.Signature(RESULT_WORD)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        acc, result = self.rows.payload, self.result
        index, token = Signal(range(self._core.max_vocab)), Signal(range(self._core.max_vocab))
        largest, first = Signal.like(acc), Signal(init=1)
        taken = Signal()
        m.d.comb += taken.eq(self.rows.valid & self.rows.ready)
        with m.If(self.begin):
            m.d.sync += [index.eq(0), token.eq(0), first.eq(1)]
        with m.Elif(taken):
            m.d.sync += [index.eq(index + 1), first.eq(0)]
            with m.If(first | (acc > largest)):
                m.d.sync += [largest.eq(acc), token.eq(index)]

        sent = Signal(range(sc.RESULT_WORDS))
        status, scale = Signal(32), Signal(32)
        m.d.comb += [
            status.eq(self.status | sc.RESULT_MAGIC << 16),
            scale[:20].eq(self.mantissa),
            scale[20:].eq(self.shift),
        ]
        trailer = Array([status, self.sequence, token, scale])
        with m.If(result.ready):
            m.d.sync += result.valid.eq(0)
        free = ~result.valid | result.ready
        with m.FSM():
            with m.State("ROWS"):
                m.d.comb += self.rows.ready.eq(~self.logits | free)
                with m.If(taken & self.logits):
                    m.d.sync += [result.valid.eq(1), result.payload.data.eq(acc), result.payload.last.eq(0)]
                with m.If(self.finish):
                    m.d.sync += sent.eq(0)
                    m.next = "TRAILER"
            with m.State("TRAILER"), m.If(free):
                last = sent == sc.RESULT_WORDS - 1
                m.d.sync += [
                    result.valid.eq(1),
                    result.payload.data.eq(trailer[sent]),
                    result.payload.last.eq(last),
                    sent.eq(sent + 1),
                ]
                with m.If(last):
                    m.next = "TAKEN"
            with m.State("TAKEN"), m.If(result.ready):
                m.d.comb += self.done.eq(1)
                m.next = "ROWS"
        return m
