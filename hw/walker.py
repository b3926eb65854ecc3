# SPDX-License-Identifier: Apache-2.0
"""Walks the schedule ahead of the weight stream: what runs of beats a packet has."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.header import token_shape
from hw.params import CoreParams
from hw.schedule import Group

PLACE = {
    "side": 1,
    "trits": 1,
    "left": 16,
    "onward": 1,
    "embed": 1,
    "release": 1,
    "end": 1,
    "group": Group,
    "matrix": 2,
    "block": 16,
}
RUN = data.StructLayout({**PLACE, "one": 1, "two": 1})
"""A run of beats of one kind.

side, trits : which; neither, if there is none. left : beats behind the first. one, two : so many beats. onward : the
next matrix has its activations behind this one's. embed, release, end : its last beat completes a row block of the
embedding, a group, the packet. group, matrix, block : where it is.
"""


class Walker(wiring.Component):
    """Gives the runs of a packet behind the header, one after the other, at least three cycles apart.

    Attributes
    ----------
    shape : In, stable while it walks.
    start : In, pulse; ``run`` is the first of a packet some cycles later.
    run : Out, the next run, or none.
    pop : In, another one, please.
    clear : In, there is none until ``start``.
    """

    opening = 3
    """Cycles from ``start`` to the first run."""

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        super().__init__(
            {
                "shape": In(token_shape(core)),
                "start": In(1),
                "run": Out(RUN),
                "pop": In(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core, shape, run = self._core, self.shape, self.run
        group, matrix, block, layer = Signal(Group), Signal(2), Signal(16), Signal(8)
        layers, last_layer, last_matrix = Signal(8), Signal(), Signal()
        rows, last, reached, last_block = Signal(16), Signal(16), Signal(2), Signal()
        trit_beats, gain_beats, beats = Signal(16), Signal(8), Signal(16)
        constants, trits, no_gains = Signal(), Signal(), Signal()

        # what follows from the place, settled three cycles later; gains are not asked for before
        embedding = (shape.contexts + sc.gain_words(Group.EMBED, False)) * core.gain_beats
        m.d.sync += [
            layers.eq(shape.layers - 1),
            last_layer.eq(layer == layers),
            rows.eq(shape.hidden),
            last.eq((rows - 1)[core.rows.bit_length() - 1 :]),
            reached.eq(Cat(block[:8] == last[:8], block[8:] == last[8:])),
            trit_beats.eq(Mux(group == Group.CONTRACT, shape.intermediate_beats, shape.hidden_beats)),
            no_gains.eq(gain_beats == 0),
        ]
        m.d.comb += last_block.eq(reached.all())
        with m.Switch(group):
            for g in Group:
                with m.Case(g):
                    either = [sc.block_side_beats(core, g, last, contexts=0) for last in (False, True)]
                    m.d.sync += [
                        gain_beats.eq(embedding if g is Group.EMBED else Mux(last_layer, either[1], either[0])),
                        last_matrix.eq(matrix == max(0, len(sc.MATRICES[g]) - 1)),
                    ]
                    if g in (Group.EXPAND, Group.HEAD):
                        m.d.sync += rows.eq(shape.intermediate if g is Group.EXPAND else shape.vocab)

        leaves, skipped = Signal(), Signal()
        m.d.sync += [
            beats.eq(Mux(constants, sc.side_beats(core, sc.CONSTANT_WORDS), Mux(trits, trit_beats, gain_beats))),
            run.left.eq(beats - 1),
            run.one.eq(beats == 1),
            run.two.eq(beats == 2),
            run.onward.eq((group == Group.MIX) & ~last_matrix),
            run.embed.eq(~constants & (group == Group.EMBED)),
            run.release.eq(trits & last_matrix & last_block),
            run.end.eq(trits & last_matrix & last_block & (group == Group.HEAD)),
            run.group.eq(group),
            run.matrix.eq(matrix),
            run.block.eq(block),
        ]
        none, first, second, ready = range(4)
        phase = Signal(range(4))
        with m.Switch(phase):
            with m.Case(none), m.If(self.start):
                m.d.sync += phase.eq(first)
            with m.Case(first):
                m.d.sync += phase.eq(second)
            with m.Case(second):
                m.d.sync += [run.side.eq(~trits), run.trits.eq(trits), phase.eq(ready)]
                with m.If(~constants & ~trits & no_gains):
                    m.d.sync += [run.side.eq(0), phase.eq(first)]
                    m.d.comb += skipped.eq(1)
            with m.Case(ready), m.If(self.pop):
                m.d.comb += leaves.eq(1)
                m.d.sync += [run.side.eq(0), run.trits.eq(0), phase.eq(Mux(run.end, none, first))]
        block_ends, group_ends = Signal(), Signal()
        m.d.comb += [
            # the embedding has no trits
            block_ends.eq(leaves & Mux(trits, last_matrix, run.embed)),
            group_ends.eq(block_ends & last_block),
        ]
        with m.If(skipped | leaves):
            m.d.sync += [constants.eq(0), trits.eq(~constants)]
        with m.If(leaves & trits & ~last_matrix):
            m.d.sync += matrix.eq(matrix + 1)
        with m.If(block_ends):
            m.d.sync += [matrix.eq(0), block.eq(block + 1), trits.eq(0)]
        with m.If(group_ends):
            m.d.sync += [constants.eq(1), block.eq(0), group.eq(group + 1)]
            with m.If((group == Group.CONTRACT) & ~last_layer):
                m.d.sync += [group.eq(Group.MIX), layer.eq(layer + 1)]
        with m.If(self.clear):
            m.d.sync += [run.side.eq(0), run.trits.eq(0), phase.eq(none)]
            m.d.sync += [constants.eq(1), trits.eq(0), matrix.eq(0), block.eq(0), layer.eq(0), group.eq(Group.EMBED)]
        return m
