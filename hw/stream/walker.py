# SPDX-License-Identifier: Apache-2.0
"""Walks the schedule ahead of the weight stream: what runs of beats a packet has."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw import schedule as sc
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import cut, minus_one
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group
from tritforge.hw.stream.header_reader import token_shape
from tritforge.hw.stream.position import Position

FLAGS = ("valid", "side", "trits", "wrap", "embed", "release", "end")


def run_layout(params: CoreParams) -> data.StructLayout:
    """A run of beats of one kind.

    Flags, all low if there is none. valid : there is one. side, trits : which kind. wrap : the beats of trits behind
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
        m.submodules.position = position = Position(params)
        within, last_matrix = position.within, position.last_matrix
        trit_beats, beats = (Signal.like(run.left, name=name) for name in ("trit_beats", "beats"))
        gain_beats, embedding = (Signal.like(run.left, name=name) for name in ("gain_beats", "embedding"))
        constants = Signal(reset_less=True)
        trits = Signal(reset_less=True)
        no_gains = Signal()

        # what follows from the group, late, but constants come first
        m.d.sync += [
            # all within the limits that a run's length is made for
            trit_beats.eq(cut(shape.hidden_beats, trit_beats)),
            embedding.eq(cut((shape.contexts + sc.gain_words(Group.EMBED, False)) * params.gain_beats, embedding)),
            no_gains.eq(gain_beats == 0),
        ]
        for g in Group:
            either = [sc.block_side_beats(params, g, last, contexts=0) for last in (False, True)]
            with m.If(within[g]):
                if g in sc.INPUTS:
                    m.d.sync += trit_beats.eq(cut(getattr(shape, f"{sc.INPUTS[g]}_beats"), trit_beats))
                m.d.sync += gain_beats.eq(
                    embedding if g is Group.EMBED else Mux(position.last_layer, either[1], either[0])
                )

        skips, ends_rows, ends_group, final = flags("skips", "ends_rows", "ends_group", "final")
        states = OneHot(m, ("NONE", "FIRST", "SECOND", "READY"))
        at, go = states.at, states.go
        valid = Signal()
        m.d.comb += [
            skips.eq(~constants & ~trits & no_gains),
            valid.eq(at["SECOND"] & ~skips | at["READY"] & ~self.pop),
            final.eq(last_matrix & position.last_block),
        ]
        m.d.sync += [
            beats.eq(Mux(constants, sc.side_beats(params, sc.CONSTANT_WORDS), Mux(trits, trit_beats, gain_beats))),
            # settled when the run is taken, as the run is; the embedding has no trits
            ends_rows.eq(trits | run.embed),
            ends_group.eq((trits | run.embed) & final),
            run.valid.eq(valid),
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
            m.d.sync += [run.group.eq(position.group), run.matrix.eq(position.matrix), run.block.eq(position.block)]
        go("NONE", "FIRST", self.start)
        go("FIRST", "SECOND")
        go("SECOND", "FIRST", skips)
        go("SECOND", "READY", ~skips)
        go("READY", "FIRST", self.pop & ~run.end)
        go("READY", "NONE", self.pop & run.end)
        states.interrupt("NONE", self.clear)
        states.build()

        # constants once a group, then side words and trits of each row block
        m.d.comb += [
            position.shape.eq(shape),
            position.clear.eq(self.clear),
            position.step.eq(self.pop & ends_rows),
            position.next_group.eq(self.pop & ends_group),
        ]
        with m.If(self.pop | (at["SECOND"] & skips)):
            m.d.sync += [constants.eq(0), trits.eq(~constants)]
        with m.If(position.step & last_matrix):
            m.d.sync += trits.eq(0)
        with m.If(position.next_group):
            m.d.sync += constants.eq(1)
        with m.If(self.clear):
            m.d.sync += [run.valid.eq(0), run.side.eq(0), run.trits.eq(0), constants.eq(1), trits.eq(0)]
        return m
