# SPDX-License-Identifier: Apache-2.0
"""The result unit: argmax of each context's logits, the logits themselves if asked for, and the trailer."""

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from tritforge.hw import schedule as sc
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.params import CONTEXTS_BITS, MAX_BATCH, CoreParams
from tritforge.hw.scales.scales import OutputScale
from tritforge.hw.schedule import Status

_WORD = data.StructLayout({"data": unsigned(32), "last": unsigned(1)})

UNDER_WAY = 8
"""Row groups that may still come after ``room`` has fallen."""
_PARTS = ("acc", "live", "offset")


class HeadRows(wiring.Signature):
    """Row groups of the head, seen from the sequencer.

    Attributes
    ----------
    valid : Out, qualifies the others; at least two cycles after the row group before it.
    live : Out, which of its rows exist, from row 0 on. context : Out, whose.
    row : Out, number of row 0 of the group, a multiple of V.
    room : In, `UNDER_WAY` more row groups may come.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "live": Out(params.vector_rows),
                "context": Out(params.context_bits),
                "row": Out(range(params.blocks(params.max_vocab) * params.rows)),
                "room": In(1, init=1),
            }
        )


class PacketEnd(wiring.Signature):
    """The course of a result packet, seen from the sequencer.

    Attributes
    ----------
    begin : Out, pulse before a packet's first rows.
    finish : Out, pulse, at the earliest with the last row group; sends the trailer.
    status : Out, a `Status`, from ``finish`` to ``done``. An error has no contexts in its trailer.
    done : In, pulse in the cycle in which the last word is taken.
    """

    def __init__(self) -> None:
        super().__init__({"begin": Out(1), "finish": Out(1), "status": Out(sc.STATUS_BITS), "done": In(1)})


class ResultUnit(wiring.Component):
    """Takes the head's accumulators and answers each packet with one packet (layout in hw/packet.py).

    Logits are one integer times one positive scale a context, so the largest accumulator is the argmax; the lowest
    index wins a tie. Rows of a context come in order.

    Throughput: a row group in two cycles, and of a context that sends its logits one live row a cycle. Those wait in
    a queue. The trailer follows the last logit, its first
    word ``latency`` cycles after ``finish`` at the earliest and the others one a cycle, if the output is not held up.

    Parameters
    ----------
    params : geometry and formats.

    Attributes
    ----------
    latency : cycles from ``finish`` to the trailer's first word. settles : from the last row group to its token.
    rows : In, a row group. acc : In, its accumulators, in the same cycle.
    logits : In, mask of the contexts that send their logits, stable from the first row on to the last.
    contexts, sequence : In, 1 to ``params.batch``, and the packet's number; needed from ``finish`` to ``done``, as
        are the scales.
    packet : In.
    scale_context : Out, the context whose logit scale is to be in ``scale``, In, in the same cycle.
    result : Out, 32 bit words.
    largest, tokens : Out, of a linked core: the best of its rows, for each context. winners : In, the tokens of
        the best of all cores.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        # row and its register, two a level of the tree, two with the largest so far; the word's two registers
        self.settles = 2 * params.vector_rows.bit_length() + 2
        self.latency = self.settles + 3
        super().__init__(
            {
                "packet": In(PacketEnd()),
                "rows": In(HeadRows(params)),
                "acc": In(data.ArrayLayout(signed(params.acc_bits), params.vector_rows)),
                "logits": In(MAX_BATCH),
                "contexts": In(CONTEXTS_BITS),
                "sequence": In(unsigned(32)),
                "scale_context": Out(params.context_bits),
                "scale": In(OutputScale(params)),
                "result": Out(AxiStream(32)),
                **(
                    {
                        "largest": Out(data.ArrayLayout(signed(params.acc_bits), params.batch)),
                        "tokens": Out(data.ArrayLayout(16, params.batch)),
                        "winners": In(data.ArrayLayout(16, params.batch)),
                    }
                    if params.linked
                    else {}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given = {"acc": self.acc} | {name: getattr(self.rows, name) for name in ("live", "context", "row")}
        rows = Signal(data.StructLayout({name: value.shape() for name, value in given.items()}), reset_less=True)
        valid = delay(m, self.rows.valid, 1, "rows_valid")
        m.d.sync += [rows[name].eq(value) for name, value in given.items()]
        tokens = self._argmax(m, rows, valid)
        queued, word, taken = self._queue(m, rows, valid)
        free, sends, sent, last = self._output(m, 3)
        ok, ends = flags("ok", "ends")
        scale = Signal(32)
        head = Signal(32)
        m.d.sync += [
            ok.eq(self.packet.status == Status.OK),
            ends.eq(self.scale_context == self.contexts - 1),
            scale[:20].eq(self.scale.mantissa),
            scale[20:].eq(self.scale.shift.as_unsigned()),
            head.eq(self.packet.status | Mux(ok, self.contexts, 0) << 8 | sc.RESULT_MAGIC << 16),
        ]
        settled = delay(m, self.packet.finish, self.settles, "finished")
        closing, closes, scale_sent = flags("closing", "closes", "scale_sent")
        states = OneHot(m, ("ROWS", "TOKEN", "SCALE", "HEAD", "SEQUENCE", "TAKEN"))
        at, go = states.at, states.go
        # of these, all but one are zero
        words = (
            cut(word, scale) & at["ROWS"].replicate(32),
            tokens[self.scale_context] & at["TOKEN"].replicate(32),
            scale & at["SCALE"].replicate(32)
            | head & at["HEAD"].replicate(32)
            | self.sequence & at["SEQUENCE"].replicate(32),
        )
        m.d.comb += [
            closes.eq((settled | closing) & ~queued),
            taken.eq(at["ROWS"] & free & queued),
            scale_sent.eq(at["SCALE"] & free),
            sends.eq(free & (at["ROWS"] & queued | at["TOKEN"] | at["SCALE"] | at["HEAD"] | at["SEQUENCE"])),
            *(one.eq(value) for one, value in zip(sent, words, strict=True)),
            last.eq(at["SEQUENCE"]),
            self.packet.done.eq(at["TAKEN"] & self.result.tvalid & self.result.tready & self.result.tlast),
        ]
        m.d.sync += closing.eq((settled | closing) & queued)
        with m.If(at["ROWS"]):
            m.d.sync += self.scale_context.eq(0)
        with m.If(scale_sent):
            m.d.sync += self.scale_context.eq(plus_one(self.scale_context))
        go("ROWS", "TOKEN", closes & ok)
        go("ROWS", "HEAD", closes & ~ok)
        go("TOKEN", "SCALE", free)
        go("SCALE", "TOKEN", free & ~ends)
        go("SCALE", "HEAD", free & ends)
        go("HEAD", "SEQUENCE", free)
        go("SEQUENCE", "TAKEN", free)
        go("TAKEN", "ROWS", self.packet.done)
        states.build()
        return m

    def _output(self, m: Module, sources: int) -> tuple[Signal, Signal, list[Signal], Signal]:
        """Room for three words before the port: whether there is some, a register; a signal that sends, what each of
        the sources contributes to the word, and whether it is the last."""
        sends, last = flags("sends", "last")
        result = self.result
        free = Signal(init=1)
        sent = [Signal(32, name=f"sent_{index}") for index in range(sources)]
        moves = ~result.tvalid | result.tready
        spare = Signal(_WORD, reset_less=True)
        staged = Signal()
        held = [Signal(32, name=f"held_{index}", reset_less=True) for index in range(sources)]
        word = Signal(_WORD)
        ends = Signal()
        m.d.comb += [word.data.eq(reduce(or_, held)), word.last.eq(ends)]
        with m.If(free):
            m.d.sync += [staged.eq(sends), ends.eq(last), spare.eq(word)]
            m.d.sync += [one.eq(value) for one, value in zip(held, sent, strict=True)]
        with m.If(moves):
            m.d.sync += [result.tvalid.eq(staged | ~free), free.eq(1)]
            m.d.sync += Cat(result.tdata, result.tlast).eq(Mux(free, word, spare))
        with m.Elif(staged):
            m.d.sync += free.eq(0)
        return free, sends, sent, last

    def _queue(self, m: Module, rows: data.View, valid: Value) -> tuple[Value, Value, Signal]:
        """Row groups of contexts that send: whether there is a word, the word, and a signal that takes it."""
        rows_a_cycle = self._params.vector_rows
        layout = data.StructLayout({"acc": rows.acc.shape(), "live": rows_a_cycle})
        m.submodules.queue = queue = SyncFIFOBuffered(width=layout.size, depth=2 * UNDER_WAY)
        first = layout(queue.r_data)
        offset = Signal(range(rows_a_cycle))
        taken = Signal()
        last_row = ~(first.live >> 1).bit_select(offset, 1)
        keeps = valid & self.logits.bit_select(rows.context, 1) & rows.live[0]
        m.d.sync += self.rows.room.eq(queue.level < UNDER_WAY)
        m.d.comb += [
            queue.w_en.eq(delay(m, keeps, 1, "keeps")),
            queue.w_data.eq(delay(m, Cat(rows.acc.as_value(), rows.live), 1, "kept", reset_less=True)),
            queue.r_en.eq(taken & last_row),
        ]
        with m.If(taken):
            m.d.sync += offset.eq(cut(Mux(last_row, 0, plus_one(offset)), offset))
        return queue.r_rdy, first.acc[offset], taken

    def _argmax(self, m: Module, rows: data.View, valid: Value) -> Array:
        """The token of each context; of each row group the largest meets the largest so far."""
        params = self._params
        nodes = [(acc, rows.live[offset], Const(0, 0)) for offset, acc in enumerate(rows.acc)]
        levels = 0
        while len(nodes) > 1:
            levels += 1
            nodes = [
                self._larger(m, left, right, f"of_{len(nodes)}_{pair}")
                for pair, (left, right) in enumerate(zip(nodes[::2], nodes[1::2], strict=True))
            ]
        (acc, live, offset) = nodes[0]
        whose, row, valid = (
            delay(m, value, 2 * levels, name)
            for value, name in ((rows.context, "context"), (rows.row, "row"), (valid, "valid"))
        )

        seen = Signal(params.batch)
        largest = Array(Signal(signed(params.acc_bits), name=f"largest_{c}") for c in range(params.batch))
        tokens = Array(Signal(range(params.max_vocab), name=f"token_{c}") for c in range(params.batch))
        first, later, wins = flags("first", "later", "wins")
        m.d.sync += [
            first.eq(valid & live & ~seen.bit_select(whose, 1)),
            later.eq(valid & live & seen.bit_select(whose, 1)),
        ]
        m.d.comb += wins.eq(first | later & _above(m, acc, largest[whose], "the_largest"))
        candidate = Signal.like(largest[0])
        index = Signal.like(tokens[0])
        winner = Signal.like(whose)
        # a live row is one of the vocabulary
        m.d.sync += [candidate.eq(acc), index.eq(cut(row | offset, index)), winner.eq(whose)]
        with m.If(wins):
            m.d.sync += [
                seen.bit_select(winner, 1).eq(1),
                largest[winner].eq(candidate),
                tokens[winner].eq(index),
            ]
        with m.If(self.packet.begin):
            m.d.sync += seen.eq(0)
        if params.linked:
            for index in range(params.batch):
                m.d.comb += [self.largest[index].eq(largest[index]), self.tokens[index].eq(tokens[index])]
            return Array(self.winners)
        return tokens

    def _larger(
        self, m: Module, left: Sequence[Value], right: Sequence[Value], name: str
    ) -> tuple[Value, Value, Value]:
        """The larger of two live rows or groups of them, the left of equal ones, two cycles later: its accumulator,
        whether there is one (left is live if right is), its number in the group."""
        acc = Signal(signed(self._params.acc_bits), name=f"largest_{name}", reset_less=True)
        offset = Signal(len(left[2]) + 1, name=f"offset_{name}", reset_less=True)
        wins = Signal(name=f"right_{name}")
        above = _above(m, right[0], left[0], name)
        left, right = (
            [
                delay(m, value, 1, f"{side}_{part}_{name}", reset_less=True)
                for part, value in zip(_PARTS, pair, strict=True)
            ]
            for side, pair in (("left", left), ("right", right))
        )
        m.d.comb += wins.eq(right[1] & above)
        live = delay(m, left[1], 1, f"live_{name}", reset_less=True)
        m.d.sync += [acc.eq(Mux(wins, right[0], left[0])), offset.eq(Cat(Mux(wins, right[2], left[2]), wins))]
        return acc, live, offset


def _above(m: Module, left: Value, right: Value, name: str) -> Value:
    """left > right of signed numbers, a cycle later: the end of a carry chain is a register's neighbour, what a
    comparison gives is not."""
    return delay(m, (right - left)[-1], 1, f"above_{name}", reset_less=True)
