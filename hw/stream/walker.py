# SPDX-License-Identifier: Apache-2.0
"""Walks the schedule ahead of the weight stream: what runs of beats a packet has."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw import schedule as sc
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group
from tritforge.hw.stream.header_reader import token_shape

FLAGS = ("some", "side", "trits", "wrap", "embed", "release", "end")


def run_layout(params: CoreParams) -> data.StructLayout:
    """A run of beats of one kind.

    Flags, all low if there is none. some : there is one. side, trits : which kind. wrap : the beats of trits behind
    its last one begin with the vector's first activations again. embed, release, end : its last beat completes a row
    block of the embedding, a group, the packet.

    left : beats behind the first. one, two : so many beats. onward : the next matrix has its activations behind this
    one's. With debug ports, group, matrix, block : where it is.
    """
    longest = max(
        params.beats(params.max_inputs),
        (params.batch + 3) * params.gain_beats,
        sc.side_beats(params, sc.HEADER_WORDS),
    )
    place = {"group": Group, "matrix": 2, "block": 16} if params.taps else {}
    return data.StructLayout(
        {**dict.fromkeys(FLAGS, 1), "left": longest.bit_length(), "onward": 1, **place, "one": 1, "two": 1}
    )


class Walker(wiring.Component):
    """Gives the runs of a packet behind the header, one after the other, at least four cycles apart.

    Attributes
    ----------
    shape : In, stable while it walks.
    start : In, pulse; ``run`` is the first of a packet some cycles later.
    run : Out, the next run, or none.
    pop : In, it was taken a cycle ago.
    clear : In, there is none until ``start``.
    """

    opening = 3
    """Cycles from ``start`` to the first run."""

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        super().__init__(
            {
                "shape": In(token_shape(params)),
                "start": In(1),
                "run": Out(run_layout(params)),
                "pop": In(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params, shape, run = self._params, self.shape, self.run
        # cleared until the first packet, so that they need no reset, which comes from afar
        group, matrix, block, layer = (
            Signal(kind, name=name, reset_less=True)
            for name, kind in (("group", Group), ("matrix", 2), ("block", 16), ("layer", 8))
        )
        last_layer, last_matrix = flags("last_layer", "last_matrix")
        layers = Signal(8)
        rows = Signal(16)
        last = Signal(16)
        reached = Signal(2)
        last_block = Signal()
        trit_beats, beats = (Signal.like(run.left, name=name) for name in ("trit_beats", "beats"))
        gain_beats, embedding = (Signal.like(run.left, name=name) for name in ("gain_beats", "embedding"))
        constants = Signal(reset_less=True)
        trits = Signal(reset_less=True)
        no_gains = Signal()

        # what follows from the place: from block and matrix settled three cycles later; from the group later still,
        # but constants come first
        within = {g: Signal(name=f"within_{g.name.lower()}") for g in Group}
        last_of = Signal(2, reset_less=True)
        m.d.sync += [within[g].eq(group == g) for g in Group]
        m.d.sync += [
            layers.eq(minus_one(shape.layers)),
            last_layer.eq(layer == layers),
            last.eq(minus_one(rows)[params.rows.bit_length() - 1 :]),
            reached.eq(Cat(block[:8] == last[:8], block[8:] == last[8:])),
            rows.eq(shape.hidden),
            # all within the limits that a run's length is made for
            trit_beats.eq(cut(Mux(within[Group.CONTRACT], shape.intermediate_beats, shape.hidden_beats), trit_beats)),
            embedding.eq(cut((shape.contexts + sc.gain_words(Group.EMBED, False)) * params.gain_beats, embedding)),
            no_gains.eq(gain_beats == 0),
            last_matrix.eq(matrix == last_of),
        ]
        m.d.comb += last_block.eq(reached.all())
        for g in Group:
            either = [sc.block_side_beats(params, g, last, contexts=0) for last in (False, True)]
            with m.If(within[g]):
                if g in (Group.EXPAND, Group.HEAD):
                    m.d.sync += rows.eq(shape.intermediate if g is Group.EXPAND else shape.vocab)
                m.d.sync += [
                    gain_beats.eq(embedding if g is Group.EMBED else Mux(last_layer, either[1], either[0])),
                    last_of.eq(max(0, len(sc.MATRICES[g]) - 1)),
                ]

        skips, block_over, group_over, layer_over = flags("skips", "block_over", "group_over", "layer_over")
        states = OneHot(m, ("NONE", "FIRST", "SECOND", "READY"))
        at, go = states.at, states.go
        valid, final = flags("valid", "final")
        m.d.comb += [
            skips.eq(~constants & ~trits & no_gains),
            valid.eq(at["SECOND"] & ~skips | at["READY"] & ~self.pop),
            final.eq(last_matrix & last_block),
        ]
        m.d.sync += [
            beats.eq(Mux(constants, sc.side_beats(params, sc.CONSTANT_WORDS), Mux(trits, trit_beats, gain_beats))),
            # settled when the run is taken, as the run is; the embedding has no trits
            block_over.eq(Mux(trits, last_matrix, run.embed)),
            group_over.eq(Mux(trits, last_matrix, run.embed) & last_block),
            layer_over.eq(trits & final & within[Group.CONTRACT] & ~last_layer),
            run.some.eq(valid),
            run.side.eq(valid & ~trits),
            run.trits.eq(valid & trits),
            run.left.eq(minus_one(beats)),
            run.one.eq(beats == 1),
            run.two.eq(beats == 2),
            run.onward.eq(within[Group.MIX] & ~last_matrix),
            run.wrap.eq(trits & ~(within[Group.MIX] & ~last_matrix)),
            run.embed.eq(~constants & within[Group.EMBED]),
            run.release.eq(trits & final),
            run.end.eq(trits & final & within[Group.HEAD]),
        ]
        if params.taps:
            m.d.sync += [run.group.eq(group), run.matrix.eq(matrix), run.block.eq(block)]
        go("NONE", "FIRST", self.start)
        go("FIRST", "SECOND")
        go("SECOND", "FIRST", skips)
        go("SECOND", "READY", ~skips)
        go("READY", "FIRST", self.pop & ~run.end)
        go("READY", "NONE", self.pop & run.end)
        states.interrupt("NONE", self.clear)
        states.build()
        with m.If(self.pop | (at["SECOND"] & skips)):
            m.d.sync += [constants.eq(0), trits.eq(~constants)]
        with m.If(self.pop & trits):
            m.d.sync += matrix.eq(plus_one(matrix))
        with m.If(self.pop & block_over):
            m.d.sync += [matrix.eq(0), block.eq(plus_one(block)), trits.eq(0)]
        with m.If(self.pop & group_over):
            m.d.sync += [constants.eq(1), block.eq(0), group.eq(plus_one(group))]
        with m.If(self.pop & layer_over):
            m.d.sync += [group.eq(Group.MIX), layer.eq(plus_one(layer))]
        with m.If(self.clear):
            m.d.sync += [run.some.eq(0), run.side.eq(0), run.trits.eq(0)]
            m.d.sync += [constants.eq(1), trits.eq(0), matrix.eq(0), block.eq(0), layer.eq(0), group.eq(Group.EMBED)]
        return m
