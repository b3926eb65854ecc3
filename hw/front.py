# SPDX-License-Identifier: Apache-2.0
"""The stream front: walks the schedule and sorts the beats of a packet into side words and trits."""

from amaranth.hdl import Const, Module, Mux, Signal, ValueLike, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.header import token_shape
from hw.ops import context_bits
from hw.params import CoreParams
from hw.schedule import Group, Status
from hw.trace import Cycle

NEVER = Const(0)


def packet_beat(core: CoreParams) -> data.StructLayout:
    """A beat of the weight stream and whether it ends its packet."""
    return data.StructLayout({"data": unsigned(8 * core.lanes), "last": unsigned(1)})


class StreamFront(wiring.Component):
    """Accepts one beat a cycle whenever its destination can take it.

    Side beats go to ``side``. A trit beat is given to the array once for each context, with ``feed``, ``feed_first``,
    ``feed_last``, ``feed_context`` and ``final_context`` (with its last context the beat is accepted). That needs the
    activations at ``code_address`` to be quantised (below ``available``) and, if the beat ends a row block, the block
    before it to be drained (``block_pending`` low). Throughput: one feed a cycle.

    ``idle`` lets a new packet in. After the header the front waits for ``accept`` or ``reject``. A packet that
    ends early or late, or ``abort_token``, raises ``fault`` with its ``fault_status`` for a cycle; then, as after
    ``reject``, the front drops beats up to the packet's last. ``embed_block`` pulses when a row block of the
    embedding is complete, ``release`` with the last trit beat of a group. ``cycle`` says what the stream does;
    ``group``, ``matrix`` and ``block`` where it is.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        self.positions = core.batch * max(3 * core.beats(core.max_hidden), core.beats(core.max_intermediate))
        super().__init__(
            {
                "weights": In(stream.Signature(packet_beat(core))),
                "side": Out(stream.Signature(unsigned(8 * core.lanes))),
                "idle": In(1),
                "accept": In(1),
                "reject": In(1),
                "abort_token": In(1),
                "shape": In(token_shape(core)),
                "available": In(range(self.positions + 1)),
                "block_pending": In(1),
                "code_address": Out(range(self.positions)),
                "feed": Out(1),
                "feed_first": Out(1),
                "feed_last": Out(1),
                "feed_context": Out(context_bits(core)),
                "final_context": Out(1),
                "release": Out(1),
                "embed_block": Out(1),
                "fault": Out(1),
                "fault_status": Out(4),
                "busy": Out(1),
                "cycle": Out(Cycle),
                "group": Out(Group),
                "matrix": Out(2),
                "block": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core, shape, weights = self._core, self.shape, self.weights
        group, matrix, position = self.group, self.matrix, self.code_address
        layer, beat, row = Signal(8), Signal(16), Signal(17)

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
                    beats = [sc.block_side_beats(core, g, last, contexts=0) for last in (False, True)]
                    m.d.comb += gain_beats.eq(Mux(last_layer, beats[1], beats[0]))
                    m.d.comb += matrices.eq(len(sc.MATRICES[g]))
                    if g is Group.EMBED:
                        m.d.comb += gain_beats.eq((shape.contexts + sc.gain_words(g, False)) * core.gain_beats)

        taken, counted = Signal(), Signal()
        m.d.comb += [
            taken.eq(weights.valid & weights.ready),
            self.side.payload.eq(weights.payload.data),
            self.feed_first.eq(beat == 0),
            self.feed_last.eq(beat == trit_beats - 1),
            self.final_context.eq(self.feed_context == shape.contexts - 1),
        ]
        block_ends = row + core.rows >= rows
        matrix_ends = matrix + 1 == matrices

        def to_side() -> None:
            m.d.comb += [self.side.valid.eq(weights.valid), weights.ready.eq(self.side.ready)]

        def faulty(status: Status) -> None:
            m.d.comb += [self.fault.eq(1), self.fault_status.eq(status)]
            m.d.sync += [beat.eq(0), counted.eq(0), self.feed_context.eq(0)]
            m.next = "DRAIN"
            with m.If(taken & weights.payload.last):
                m.next = "HEADER"

        def guard(final: ValueLike = NEVER) -> None:
            """Leave for DRAIN on an abort, an early end or a missing one; comes after a state's own moves."""
            with m.If(self.abort_token):
                faulty(Status.ABORTED)
            with m.Elif(taken & weights.payload.last & ~final):
                faulty(Status.SHORT)
            with m.Elif(taken & final & ~weights.payload.last):
                faulty(Status.LONG)

        def next_block() -> None:
            m.d.sync += [matrix.eq(0), self.block.eq(self.block + 1)]
            with m.If(block_ends):
                m.d.sync += [row.eq(0), self.block.eq(0)]
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

        fits, in_trits, checks, waits = Signal(), Signal(), Signal(), Signal()
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("HEADER"):
                m.d.comb += self.busy.eq(taken | counted | ~self.idle)
                m.d.comb += waits.eq(~counted)
                m.d.sync += [group.eq(Group.EMBED), layer.eq(0), row.eq(0), matrix.eq(0), position.eq(0)]
                m.d.sync += self.block.eq(0)
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
                m.d.comb += checks.eq(1)
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
                    with m.If(beat + 1 == gain_beats):
                        m.d.sync += beat.eq(0)
                        m.next = "TRITS"
                        with m.If(group == Group.EMBED):
                            m.d.comb += self.embed_block.eq(1)
                            next_block()
                guard()
            with m.State("TRITS"):
                m.d.comb += [
                    in_trits.eq(1),
                    fits.eq((position < self.available) & ~(self.feed_last & self.block_pending)),
                    weights.ready.eq(fits & self.final_context),
                    self.feed.eq(fits & weights.valid),
                ]
                end = (group == Group.HEAD) & block_ends & self.feed_last
                # f, i and g have a vector each, one behind the other; the others begin anew with every matrix
                onward = (group == Group.MIX) & ~matrix_ends
                with m.If(self.feed):
                    m.d.sync += [position.eq(position + 1), self.feed_context.eq(self.feed_context + 1)]
                with m.If(taken):
                    m.d.sync += [beat.eq(beat + 1), self.feed_context.eq(0)]
                    with m.If(self.feed_last):
                        m.d.sync += [beat.eq(0), matrix.eq(matrix + 1)]
                        with m.If(~onward):
                            m.d.sync += position.eq(0)
                        with m.If(matrix_ends):
                            m.d.comb += self.release.eq(block_ends)
                            next_block()
                            with m.If(end):
                                m.next = "TAIL"
                guard(end)
            with m.State("TAIL"):
                m.d.comb += waits.eq(1)
                m.d.comb += self.busy.eq(~self.idle)
                with m.If(self.idle):
                    m.next = "HEADER"
                with m.Elif(self.abort_token):
                    m.d.comb += [self.fault.eq(1), self.fault_status.eq(Status.ABORTED)]
                    m.next = "HEADER"
            with m.State("DRAIN"):
                m.d.comb += [weights.ready.eq(1), self.busy.eq(taken | ~self.idle)]
                with m.If(taken & weights.payload.last):
                    m.next = "HEADER"

        with m.If(~self.busy):
            m.d.comb += self.cycle.eq(Cycle.IDLE)
        with m.Elif(taken):
            m.d.comb += self.cycle.eq(Cycle.BEAT)
        with m.Elif(self.feed):
            m.d.comb += self.cycle.eq(Cycle.REPEAT)
        with m.Elif(weights.ready | (in_trits & fits)):
            m.d.comb += self.cycle.eq(Cycle.STARVED)
        with m.Elif(waits):
            m.d.comb += self.cycle.eq(Cycle.RESULT)
        with m.Elif(checks | (in_trits & (position >= self.available))):
            m.d.comb += self.cycle.eq(Cycle.DEPENDENCY)
        with m.Else():
            m.d.comb += self.cycle.eq(Cycle.DRAIN)
        return m
