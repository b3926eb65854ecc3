# SPDX-License-Identifier: Apache-2.0
"""The result unit: argmax of each context's logits, the logits themselves if asked for, and the trailer."""

from collections.abc import Callable

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.ops import context_bits
from hw.params import CoreParams
from hw.rescale import SHIFT_BITS
from hw.schedule import Status

RESULT_WORD = data.StructLayout({"data": unsigned(32), "last": unsigned(1)})


def head_rows(core: CoreParams) -> data.StructLayout:
    """A row group of the head.

    acc : its accumulators. live : which of its rows exist, from lane 0 on. context : whose. row : number of lane
    0's row, a multiple of V.
    """
    return data.StructLayout(
        {
            "acc": data.ArrayLayout(signed(core.acc_bits), core.vector_rows),
            "live": core.vector_rows,
            "context": context_bits(core),
            "row": range(core.blocks(core.max_vocab) * core.rows),
        }
    )


class ResultUnit(wiring.Component):
    """Takes the head's accumulators and answers each packet with one packet (layout in hw/packet.py).

    Logits are one integer times one positive scale a context, so the largest accumulator is the argmax; the lowest
    index wins a tie. Rows of a context come in order.

    Throughput: one row group a cycle of a context that sends no logits, otherwise one live row; such a group is
    accepted when its last word is in the output register. The trailer's first word is valid two cycles after
    ``finish`` and the others follow one a cycle, both if the output is not held up.

    Parameters
    ----------
    core : geometry and formats.

    Attributes
    ----------
    begin : In, pulse before a packet's first rows.
    rows : In, stream of `head_rows`; valid may fall without a transfer only if the packet then ends in an error.
    logits : In, mask of the contexts that send their logits, stable from the first row on to the last.
    contexts : In, 1 to ``core.batch``; needed from ``finish`` to ``done``, as are status, sequence and scales.
    finish : In, pulse, at the earliest in the cycle after the last row was accepted; sends the trailer.
    status, sequence : In, a `Status` and the packet's number. An error has no contexts in its trailer.
    scale_context : Out, the context whose logit scale is to be in ``mantissa`` and ``shift`` in the same cycle.
    mantissa, shift : In, logit = accumulator * mantissa * 2**-shift.
    result : Out, stream of 32 bit words.
    done : Out, pulse in the cycle in which the last word is taken.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        super().__init__(
            {
                "begin": In(1),
                "rows": In(stream.Signature(head_rows(core))),
                "logits": In(sc.MAX_BATCH),
                "contexts": In(4),
                "finish": In(1),
                "status": In(4),
                "sequence": In(unsigned(32)),
                "scale_context": Out(context_bits(core)),
                "mantissa": In(unsigned(core.formats.mantissa)),
                "shift": In(signed(SHIFT_BITS)),
                "result": Out(stream.Signature(RESULT_WORD)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tokens = self._argmax(m)
        result = self.result
        free = ~result.valid | result.ready
        with m.If(result.ready):
            m.d.sync += result.valid.eq(0)

        def send(word: Value, last: int) -> None:
            m.d.sync += [result.valid.eq(1), result.payload.data.eq(word), result.payload.last.eq(last)]

        ok = self.status == Status.OK
        scale, head = Signal(32), Signal(32)
        m.d.comb += [
            scale[:20].eq(self.mantissa),
            scale[20:].eq(self.shift),
            head.eq(self.status | Mux(ok, self.contexts, 0) << 8 | sc.RESULT_MAGIC << 16),
        ]
        with m.FSM():
            with m.State("ROWS"):
                self._logits(m, free, send)
                m.d.sync += self.scale_context.eq(0)
                with m.If(self.finish):
                    m.next = "HEAD"
                    with m.If(ok):
                        m.next = "TOKEN"
            with m.State("TOKEN"), m.If(free):
                send(tokens[self.scale_context], 0)
                m.next = "SCALE"
            with m.State("SCALE"), m.If(free):
                send(scale, 0)
                m.d.sync += self.scale_context.eq(self.scale_context + 1)
                m.next = "TOKEN"
                with m.If(self.scale_context == self.contexts - 1):
                    m.next = "HEAD"
            with m.State("HEAD"), m.If(free):
                send(head, 0)
                m.next = "SEQUENCE"
            with m.State("SEQUENCE"), m.If(free):
                send(self.sequence, 1)
                m.next = "TAKEN"
            with m.State("TAKEN"), m.If(result.ready):
                m.d.comb += self.done.eq(1)
                m.next = "ROWS"
        return m

    def _logits(self, m: Module, free: Value, send: Callable[[Value, int], None]) -> None:
        """Accepts row groups; one of a sending context stays until its live lanes have gone out one by one."""
        rows, lane = self.rows.payload, Signal(range(self._core.vector_rows))
        sends, last_lane = Signal(), Signal()
        m.d.comb += [
            sends.eq(self.logits.bit_select(rows.context, 1) & rows.live[0]),
            last_lane.eq(~(rows.live >> 1).bit_select(lane, 1)),
            self.rows.ready.eq(~sends | (free & last_lane)),
        ]
        with m.If(self.rows.valid & sends & free):
            send(rows.acc[lane], 0)
            m.d.sync += lane.eq(Mux(last_lane, 0, lane + 1))
        with m.If(self.finish):  # an error may come in the middle of a group
            m.d.sync += lane.eq(0)

    def _argmax(self, m: Module) -> Array:
        """The token of each context, up to date two cycles after its last rows were accepted.

        The group's largest is registered before it meets the largest of its context.
        """
        core, rows = self._core, self.rows.payload
        nodes = [(acc, rows.live[lane], Const(lane)) for lane, acc in enumerate(rows.acc)]
        while len(nodes) > 1:
            nodes = [
                self._larger(m, left, right, f"of_{len(nodes)}_{pair}")
                for pair, (left, right) in enumerate(zip(nodes[::2], nodes[1::2], strict=True))
            ]
        (acc, live, lane) = nodes[0]

        valid, whose = Signal(), Signal.like(rows.context)
        candidate, index = Signal(signed(core.acc_bits)), Signal(range(core.max_vocab))
        m.d.sync += [
            valid.eq(self.rows.valid & self.rows.ready & live),
            whose.eq(rows.context),
            candidate.eq(acc),
            index.eq(rows.row | lane),
        ]
        seen = Signal(core.batch)
        largest = Array(Signal.like(candidate, name=f"largest_{c}") for c in range(core.batch))
        tokens = Array(Signal.like(index, name=f"token_{c}") for c in range(core.batch))
        with m.If(valid):
            m.d.sync += seen.bit_select(whose, 1).eq(1)
            with m.If(~seen.bit_select(whose, 1) | (candidate > largest[whose])):
                m.d.sync += [largest[whose].eq(candidate), tokens[whose].eq(index)]
        with m.If(self.begin):
            m.d.sync += seen.eq(0)
        return tokens

    def _larger(self, m: Module, left: tuple, right: tuple, name: str) -> tuple:
        """The larger of two live lanes or groups of them, the left of equal ones; left is live if right is."""
        acc = Signal(signed(self._core.acc_bits), name=f"largest_{name}")
        lane = Signal(range(self._core.vector_rows), name=f"lane_{name}")
        wins = Signal(name=f"right_{name}")
        m.d.comb += [
            wins.eq(right[1] & (right[0] > left[0])),
            acc.eq(Mux(wins, right[0], left[0])),
            lane.eq(Mux(wins, right[2], left[2])),
        ]
        return acc, left[1], lane
