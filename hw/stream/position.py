# SPDX-License-Identifier: Apache-2.0
"""A place in the order of a packet: the one counter of matrices, row blocks, layers and groups."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw import schedule as sc
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group
from tritforge.hw.stream.header_reader import own_rows, token_shape


class Position(wiring.Component):
    """Where a walk over the schedule is, and in registers what follows from it.

    A packet is walked twice: ahead of the weight stream, to know what its beats are, and where rows leave the array.
    Each walk has a position of its own and moves it when it is ready; in what order, is said here for both, by the
    tables of `hw.schedule`. Within a row block comes matrix after matrix, in a group block after block.

    A comparison or a table is a level of logic and a register, so a step needs some cycles to settle::

        step                   ‾\\___________________
        matrix, block          ==X==================
        last_matrix, last_...  ======X==============     2 cycles behind the step
        next_group             ‾\\___________________
        group, block           ==X==================
        within, last_layer     ======X==============     2
        last_row               ==============X======     4
        last_block             ==================X==     5

    A walk steps no more often; a group begins with its constants, which leaves the time for it.

    Attributes
    ----------
    shape : In, stable while there is a walk.
    clear : In, to the first row block of the first group; before the first walk, too: nothing else resets it.
    step : In, on to the row block's next matrix or, behind its last one, to the next row block.
    next_group : In, on to the next group, with the last step of this one or behind it.
    group, matrix, block : Out, where it is.
    within : Out, ``group`` as a bit for each.
    last_layer, last_matrix, last_block : Out, no other comes behind this one in the packet, row block, group.
    last_row : Out, number of the group's last row in its last row block.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        super().__init__(
            {
                "shape": In(token_shape(params)),
                "clear": In(1),
                "step": In(1),
                "next_group": In(1),
                "group": Out(Group),
                "matrix": Out(2),
                "block": Out(16),
                "within": Out(data.ArrayLayout(1, len(Group))),
                "last_layer": Out(1),
                "last_matrix": Out(1),
                "last_block": Out(1),
                "last_row": Out(range(params.rows)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, within = self.shape, self.within
        # no reset, which comes from afar
        group, matrix, block, layer = (
            Signal(kind, name=name, reset_less=True)
            for name, kind in (("group", Group), ("matrix", 2), ("block", 16), ("layer", 8))
        )
        m.d.comb += [self.group.eq(group), self.matrix.eq(matrix), self.block.eq(block)]

        layers = Signal(8)
        rows = Signal(16)
        last_block = Signal(16)
        block_reached = Signal(2)
        last_matrix = Signal(2)
        m.d.sync += [
            *(within[g].eq(group == g) for g in Group),
            layers.eq(minus_one(shape.layers)),
            self.last_layer.eq(layer == layers),
            self.last_matrix.eq(matrix == last_matrix),
            rows.eq(own_rows(shape, "hidden")),
            # no dimension is 0
            self.last_row.eq(cut(rows - 1, self.last_row)),
            last_block.eq(minus_one(rows)[self._params.rows.bit_length() - 1 :]),
            block_reached.eq(Cat(block[:8] == last_block[:8], block[8:] == last_block[8:])),
        ]
        m.d.comb += self.last_block.eq(block_reached.all())
        for g in Group:
            if g in sc.OUTPUTS:
                with m.If(within[g]):
                    m.d.sync += rows.eq(own_rows(shape, sc.OUTPUTS[g]))
            if len(sc.MATRICES[g]) > 1:
                with m.If(within[g]):
                    m.d.comb += last_matrix.eq(len(sc.MATRICES[g]) - 1)

        with m.If(self.step):
            m.d.sync += matrix.eq(plus_one(matrix))
            with m.If(self.last_matrix):
                m.d.sync += [matrix.eq(0), block.eq(plus_one(block))]
        with m.If(self.next_group):
            m.d.sync += block.eq(0)
            with m.Switch(group):
                for g in Group:
                    if g is not Group.HEAD:
                        with m.Case(g):
                            either = [sc.following(g, last_layer) for last_layer in (False, True)]
                            m.d.sync += group.eq(Mux(self.last_layer, either[1], either[0]))
            with m.If(within[sc.LAYER[-1]]):
                m.d.sync += layer.eq(plus_one(layer))
        with m.If(self.clear):
            m.d.sync += [group.eq(Group.EMBED), layer.eq(0), block.eq(0), matrix.eq(0)]
        return m
