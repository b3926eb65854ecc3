# SPDX-License-Identifier: Apache-2.0
"""Where the sequencer's rows are, and in registers what follows from it."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring

from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.operations import OPS, Op, slots
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group


class Place:
    """What follows from where the rows are, settled two cycles after a change of matrix or block, some more after one
    of the group.

    op : the operation. rows : of the matrix. last_row : number of the last one in its row block. gap : cycles between
    two row groups, less one. needs_buffers : rows wait for those of other matrices. contexts : number of the last
    one. hidden_words : state words of a layer. gap_over : the next row group may leave. ends : it is its row block's
    last. next_group : on to the next one.
    """

    def __init__(self, params: CoreParams) -> None:
        self.op = Signal(Op)
        self.rows = Signal(16)
        self.gap = Signal(range(max(slots(params).values())))
        self.last_row = Signal(range(params.rows), name="last_row")
        self.contexts = Signal(params.context_bits, name="last_of_contexts")
        self.hidden_words = Signal(range(-(-params.max_hidden // params.vector_rows) + 1))
        self.embed, self.head, self.needs_buffers = flags("embed", "head", "needs_buffers")
        self.last_layer, self.last_matrix, self.last_block = flags("last_layer", "last_matrix", "last_block")
        self.ends, self.next_group = flags("ends", "next_group")
        self.gap_over = Signal(init=1)


def settle(m: Module, params: CoreParams, sequencer: wiring.Component) -> Place:
    """Registers with what follows from ``shape``, ``group``, ``matrix`` and ``block`` of the sequencer."""
    shape, group, matrix, block = sequencer.shape, sequencer.group, sequencer.matrix, sequencer.block
    place = Place(params)
    layer = Signal(8)
    layers = Signal(8)
    last = Signal(16)
    reached = Signal(2)
    expand = Signal()
    gaps = slots(params)
    m.d.sync += [
        layers.eq(minus_one(shape.layers)),
        place.last_layer.eq(layer == layers),
        # no dimension is 0 or above the core's limit
        place.contexts.eq(cut(shape.contexts - 1, place.contexts)),
        place.hidden_words.eq(
            cut((shape.hidden + params.vector_rows - 1) >> (params.vector_rows.bit_length() - 1), place.hidden_words)
        ),
        place.rows.eq(Mux(expand, shape.intermediate, Mux(place.head, shape.vocab, shape.hidden))),
        place.last_row.eq(cut(place.rows - 1, place.last_row)),
        last.eq(minus_one(place.rows)[params.rows.bit_length() - 1 :]),
        reached.eq(Cat(block[:8] == last[:8], block[8:] == last[8:])),
        place.last_matrix.eq(1),
        place.embed.eq(group == Group.EMBED),
        expand.eq(group == Group.EXPAND),
        place.head.eq(group == Group.HEAD),
        place.needs_buffers.eq((place.op == Op.G) | (place.op == Op.UP)),
        place.gap.eq(Array(gaps[op] - 1 for op in Op)[place.op]),
        # gate and up share a vector and a scale
        sequencer.scale.matrix.eq(Mux(group == Group.MIX, matrix, 0)),
        sequencer.course.next_three.eq((group == Group.EMBED) | ((group == Group.CONTRACT) & ~place.last_layer)),
        sequencer.course.next_inner.eq(group == Group.EXPAND),
    ]
    m.d.comb += place.last_block.eq(reached.all())
    with m.Switch(group):
        for g, ops in OPS.items():
            with m.Case(g):
                m.d.sync += [place.op.eq(Array(ops)[matrix]), place.last_matrix.eq(matrix == len(ops) - 1)]
                if g is Group.CONTRACT:
                    with m.If(place.last_layer):
                        m.d.sync += place.op.eq(Op.OUT)
    again = Signal()
    m.d.sync += again.eq((group == Group.CONTRACT) & ~place.last_layer)
    with m.If(place.next_group):
        m.d.sync += group.eq(Mux(again, Group.MIX, plus_one(group)))
    with m.If(place.next_group & again):
        m.d.sync += layer.eq(plus_one(layer))
    with m.If(sequencer.packet.idle):
        m.d.sync += [group.eq(Group.EMBED), layer.eq(0)]
    return place
