# SPDX-License-Identifier: Apache-2.0
"""The stream front: walks the schedule and sorts the beats of a packet into side words and trits."""

from amaranth.hdl import Const, Module, Mux, Signal, ValueLike, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.header import TokenShape
from hw.params import CoreParams
from hw.schedule import Group, Status

NEVER = Const(0)


def packet_beat(core: CoreParams) -> data.StructLayout:
    """A beat of the weight stream and whether it ends its packet."""
    return data.StructLayout({"data": unsigned(8 * core.lanes), "last": unsigned(1)})


class StreamFront(wiring.Component):
    """Accepts one beat a cycle whenever its destination can take it.

    Side beats go to ``side``. A trit beat is accepted once its activations are quantised (``code_address`` below
    ``available``) and, if it ends a row block, once the block before it is drained (``block_pending`` low); it is
    answered with ``feed``, ``feed_first`` and ``feed_last`` in the same cycle.

    ``idle`` lets a new packet in. After the header the front waits for ``accept`` or ``reject``. A packet that
    ends early or late, or ``abort``, raises ``fault`` with its ``fault_status`` for a cycle; then, as after
    ``reject``, the front drops beats up to the packet's last. ``embed_block`` pulses when a row block of the
    embedding is complete, ``release`` with the last trit beat of a group.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        self.store_words = max(3 * core.beats(core.max_hidden), core.beats(core.max_intermediate))
        super().__init__(
            {
                "weights": In(stream.Signature(packet_beat(core))),
                "side": Out(stream.Signature(unsigned(8 * core.lanes))),
                "idle": In(1),
                "accept": In(1),
                "reject": In(1),
                "abort": In(1),
                "shape": In(TokenShape),
                "available": In(range(self.store_words + 1)),
                "block_pending": In(1),
                "code_address": Out(range(self.store_words)),
                "feed": Out(1),
                "feed_first": Out(1),
                "feed_last": Out(1),
                "release": Out(1),
                "embed_block": Out(1),
                "fault": Out(1),
                "fault_status": Out(4),
                "open": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core, shape, weights = self._core, self.shape, self.weights
        group, layer = Signal(Group), Signal(8)
        beat, row, matrix = Signal(16), Signal(17), Signal(2)
        base = Signal.like(self.code_address)

        last_layer = layer == shape.layers - 1
        of_inner = group == Group.CONTRACT
        trit_beats = Mux(of_inner, shape.intermediate_beats, shape.hidden_beats)
        rows = Signal(16)
        with m.Switch(group):
            with m.Case(Group.EXPAND):
                m.d.comb += rows.eq(shape.intermediate)
            with m.Case(Group.HEAD):
                m.d.comb += rows.eq(shape.vocab)
            with m.Default():
                m.d.comb += rows.eq(shape.hidden)
        gain_beats, matrices = Signal(8), Signal(2)
        with m.Switch(group):
            for g in Group:
                with m.Case(g):
                    words = [core.rows * sc.gain_words(g, last) for last in (False, True)]
                    beats = [sc.side_beats(core, w) for w in words]
                    m.d.comb += gain_beats.eq(Mux(last_layer, beats[1], beats[0]))
                    m.d.comb += matrices.eq(len(sc.MATRICES[g]))

        taken, counted = Signal(), Signal()
        m.d.comb += [
            taken.eq(weights.valid & weights.ready),
            self.side.payload.eq(weights.payload.data),
            self.code_address.eq(base + beat),
            self.feed_first.eq(beat == 0),
            self.feed_last.eq(beat == trit_beats - 1),
        ]
        block_ends = row + core.rows >= rows
        matrix_ends = matrix + 1 == matrices

        def to_side() -> None:
            m.d.comb += [self.side.valid.eq(weights.valid), weights.ready.eq(self.side.ready)]

        def faulty(status: Status) -> None:
            m.d.comb += [self.fault.eq(1), self.fault_status.eq(status)]
            m.d.sync += [beat.eq(0), counted.eq(0)]
            m.next = "DRAIN"
            with m.If(taken & weights.payload.last):
                m.next = "HEADER"

        def guard(final: ValueLike = NEVER) -> None:
            """Leave for DRAIN on an abort, an early end or a missing one; comes after a state's own moves."""
            with m.If(self.abort):
                faulty(Status.ABORTED)
            with m.Elif(taken & weights.payload.last & ~final):
                faulty(Status.SHORT)
            with m.Elif(taken & final & ~weights.payload.last):
                faulty(Status.LONG)

        def next_block() -> None:
            m.d.sync += [matrix.eq(0), base.eq(0)]
            with m.If(block_ends):
                m.d.sync += row.eq(0)
                with m.If((group == Group.CONTRACT) & ~last_layer):
                    m.d.sync += [layer.eq(layer + 1), group.eq(Group.MIX)]
                with m.Else():
                    m.d.sync += group.eq(group + 1)
                m.next = "CONSTANTS"
            with m.Else():
                m.d.sync += row.eq(row + core.rows)
                m.next = "GAINS"
                with m.If(gain_beats == 0):
                    m.next = "TRITS"

        m.d.comb += self.open.eq(1)
        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += self.open.eq(counted)
                m.d.sync += [group.eq(Group.EMBED), layer.eq(0), row.eq(0), matrix.eq(0), base.eq(0)]
                with m.If(self.idle | counted):
                    to_side()
                with m.If(taken):
                    m.d.sync += [beat.eq(beat + 1), counted.eq(1)]
                    with m.If(beat == sc.side_beats(core, sc.HEADER_WORDS) - 1):
                        m.d.sync += beat.eq(0)
                        m.next = "CHECK"
                with m.If(taken | counted):
                    guard()
            with m.State("CHECK"):
                m.d.sync += counted.eq(0)
                with m.If(self.accept):
                    m.next = "CONSTANTS"
                guard()
                with m.If(self.reject):
                    m.next = "DRAIN"
            with m.State("CONSTANTS"):
                to_side()
                with m.If(taken):
                    m.d.sync += beat.eq(beat + 1)
                    with m.If(beat == sc.side_beats(core, sc.CONSTANT_WORDS) - 1):
                        m.d.sync += beat.eq(0)
                        m.next = "GAINS"
                        with m.If(gain_beats == 0):
                            m.next = "TRITS"
                guard()
            with m.State("GAINS"):
                to_side()
                with m.If(taken):
                    m.d.sync += beat.eq(beat + 1)
                    with m.If(beat == gain_beats - 1):
                        m.d.sync += beat.eq(0)
                        m.next = "TRITS"
                        with m.If(group == Group.EMBED):
                            m.d.comb += self.embed_block.eq(1)
                            next_block()
                guard()
            with m.State("TRITS"):
                fits = (self.code_address < self.available) & ~(self.feed_last & self.block_pending)
                m.d.comb += [weights.ready.eq(fits), self.feed.eq(taken)]
                final = (group == Group.HEAD) & block_ends & self.feed_last
                with m.If(taken):
                    m.d.sync += beat.eq(beat + 1)
                    with m.If(self.feed_last):
                        m.d.sync += [beat.eq(0), matrix.eq(matrix + 1)]
                        with m.If(group == Group.MIX):
                            m.d.sync += base.eq(base + shape.hidden_beats)
                        with m.If(matrix_ends):
                            m.d.comb += self.release.eq(block_ends)
                            next_block()
                            with m.If(final):
                                m.next = "TAIL"
                guard(final)
            with m.State("TAIL"):
                m.d.comb += self.open.eq(0)
                with m.If(self.idle):
                    m.next = "HEADER"
                with m.Elif(self.abort):
                    m.d.comb += [self.fault.eq(1), self.fault_status.eq(Status.ABORTED)]
                    m.next = "HEADER"
            with m.State("DRAIN"):
                m.d.comb += [self.open.eq(0), weights.ready.eq(1)]
                with m.If(taken & weights.payload.last):
                    m.next = "HEADER"
        return m
