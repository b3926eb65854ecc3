# SPDX-License-Identifier: Apache-2.0
"""The rows of a packet in the order in which they leave the array."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.array.array import Drain
from tritforge.hw.control.result import HeadRows
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.operations import OPS, Op, slots
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleSelect
from tritforge.hw.schedule import LAYER, Group
from tritforge.hw.stream.header_reader import own_rows, token_shape
from tritforge.hw.stream.position import Position
from tritforge.hw.vector.path import RowIssue


class Rows(wiring.Component):
    """Lets the row groups of a matrix's row block leave, as far apart as their operation needs.

    The position says which matrix and row block; in it come context after context and of each row group after row
    group. All that goes with a row group is a register and comes a cycle after it has left.

    Attributes
    ----------
    shape, clear, next_group : In, of the position.
    active : In, the row groups of a row block leave, until ``ends``; not before what follows from the position is
        settled.
    ends : Out, in this cycle its last one leaves.
    ends_group : Out, the row block and its matrix are the group's last.
    embed, of_head : Out, the group.
    needs_buffers : Out, rows wait for those of other matrices.
    rows, head, array, scale : Out, what goes with a row group; before a row block's first one, ``scale`` is that of
        the last context, whose is there last.
    drained : Out, with the last row group of a row block that came through the array.
    next_three, next_inner : Out, see `GroupCourse`.
    group, matrix, block, context : Out, where the rows are.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        super().__init__(
            {
                "shape": In(token_shape(params)),
                "clear": In(1),
                "next_group": In(1),
                "active": In(1),
                "ends": Out(1),
                "ends_group": Out(1),
                "embed": Out(1),
                "of_head": Out(1),
                "needs_buffers": Out(1),
                "rows": Out(RowIssue(params)),
                "head": Out(HeadRows(params)),
                "array": Out(Drain(params)),
                "scale": Out(ScaleSelect(params)),
                "drained": Out(1),
                "next_three": Out(1),
                "next_inner": Out(1),
                "group": Out(Group),
                "matrix": Out(2),
                "block": Out(16),
                "context": Out(params.context_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params, shape, gaps = self._params, self.shape, slots(self._params)
        groups_log2, lane_bits = params.row_groups.bit_length() - 1, params.vector_rows.bit_length() - 1
        m.submodules.position = position = Position(params)
        tag, head, array = self.rows.tag, self.head, self.array
        within, matrix, block = position.within, position.matrix, position.block
        m.d.comb += [
            position.shape.eq(shape),
            position.clear.eq(self.clear),
            position.step.eq(self.ends),
            position.next_group.eq(self.next_group),
            self.group.eq(position.group),
            self.matrix.eq(matrix),
            self.block.eq(block),
            self.embed.eq(within[Group.EMBED]),
            self.of_head.eq(within[Group.HEAD]),
        ]

        # what follows from the position
        op = Signal(Op)
        gap = Signal(range(max(gaps.values())))
        last_context_of = Signal(params.context_bits)
        m.d.sync += [
            # gate and up share a vector and a scale
            self.scale.matrix.eq(Mux(within[Group.MIX], matrix, 0)),
            self.next_three.eq(within[Group.EMBED] | (within[LAYER[-1]] & ~position.last_layer)),
            self.next_inner.eq(within[Group.EXPAND]),
            self.needs_buffers.eq((op == Op.G) | (op == Op.UP)),
            self.ends_group.eq(position.last_matrix & position.last_block),
            gap.eq(Array(gaps[op] - 1 for op in Op)[op]),
            # no number of contexts is 0 or above the core's limit
            last_context_of.eq(cut(shape.contexts - 1, last_context_of)),
        ]
        with m.Switch(position.group):
            for g, ops in OPS.items():
                with m.Case(g):
                    m.d.sync += op.eq(Array(ops)[matrix])
                    if g is Group.CONTRACT:
                        with m.If(position.last_layer):
                            m.d.sync += op.eq(Op.OUT)

        # the next row group leaves, and on to the one after it
        leave = Signal()
        gap_over = Signal(init=1)
        blocked = Signal()
        last_row_group = Signal(init=params.row_groups == 1)
        last_context = Signal(name="last_context") if params.batch > 1 else Const(1)
        row_group = Signal(max(1, groups_log2))
        context = Signal(params.context_bits)
        waited = Signal.like(gap)
        m.d.sync += blocked.eq(self.of_head & ~head.room)
        m.d.comb += [
            leave.eq(self.active & gap_over & ~blocked),
            self.ends.eq(leave & last_row_group & last_context),
            self.context.eq(context),
        ]
        with m.If(~self.active):
            m.d.sync += last_row_group.eq(params.row_groups == 1)
            if params.batch > 1:
                m.d.sync += last_context.eq(last_context_of == 0)
        with m.Elif(leave):
            if params.row_groups > 1:
                m.d.sync += last_row_group.eq(row_group == params.row_groups - 2)
            if params.batch > 1:
                with m.If(last_row_group):
                    m.d.sync += last_context.eq(context + 1 == last_context_of)
        with m.If(leave):
            m.d.sync += [row_group.eq(plus_one(row_group)), waited.eq(gap), gap_over.eq(gap == 0)]
        with m.Elif(~gap_over):
            m.d.sync += [waited.eq(minus_one(waited)), gap_over.eq(waited == 1)]
        with m.If(leave & last_row_group):
            m.d.sync += [row_group.eq(0), context.eq(plus_one(context))]
        with m.If(self.ends):
            m.d.sync += context.eq(0)
        with m.If(self.clear):
            m.d.sync += [row_group.eq(0), context.eq(0)]

        # what goes with it
        index = Cat(row_group[:groups_log2], block)
        live = Signal(params.vector_rows)
        last = Signal()
        for lane in range(params.vector_rows):
            number = Cat(Const(lane, lane_bits), row_group[:groups_log2])
            # a block has its first row
            there = number <= position.last_row if groups_log2 or lane else 1
            m.d.comb += live[lane].eq(~position.last_block | there)
        m.d.comb += [
            last.eq(last_row_group & last_context),
            head.live.eq(tag.live),
            head.context.eq(self.scale.context),
        ]
        m.d.sync += [
            tag.valid.eq(leave & ~self.of_head),
            tag.op.eq(op),
            tag.context.eq(context),
            # those of the head, which may be more, have their number beside the tag
            tag.index.eq(cut(index, tag.index)),
            head.row.eq(cut(index << lane_bits, head.row)),
            tag.last.eq(last),
            tag.live.eq(live),
            self.rows.zero.eq(shape.zero.bit_select(context, 1)),
            # only the rows of G have a state
            self.rows.state_word.eq(cut(self._state_base(m, within) + index, self.rows.state_word)),
            head.valid.eq(leave & self.of_head & live[0]),
            array.drain.eq(leave & ~self.embed),
            array.reload.eq(last_row_group & ~last_context),
            self.drained.eq(leave & ~self.embed & last),
            array.next_context.eq(plus_one(context)),
            self.scale.context.eq(Mux(self.active, context, last_context_of)),
        ]
        return m

    def _state_base(self, m: Module, within: data.View) -> Signal:
        """The state word of row group 0, two cycles after a change of context: G rows are as far apart at least."""
        params, shape = self._params, self.shape
        layer_base, state_base = (
            Signal.like(self.rows.state_word, name=name) for name in ("layer_base", "state_base")
        )
        layer_words = Signal(range(-(-params.max_hidden // params.vector_rows) + 1))
        slot_words = params.max_layers * params.max_hidden // params.vector_rows
        slot_bases = Array(slot * slot_words for slot in range(params.batch))
        m.d.sync += [
            layer_words.eq(
                cut(
                    (own_rows(shape, "hidden") + params.vector_rows - 1) >> (params.vector_rows.bit_length() - 1),
                    layer_words,
                )
            ),
            # used within the limits of layers and hidden only
            state_base.eq(cut(slot_bases[shape.slots[self.context]] + layer_base, state_base)),
        ]
        next_layer = delay(m, self.next_group & within[LAYER[-1]], 1, "next_layer")
        with m.If(self.clear):
            m.d.sync += layer_base.eq(0)
        with m.Elif(next_layer):
            m.d.sync += layer_base.eq(cut(layer_base + layer_words, layer_base))
        return state_base
