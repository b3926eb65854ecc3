# SPDX-License-Identifier: Apache-2.0
"""What a core tells the others: its rows as they leave the vector path, then sums of squares, then candidates."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.codes.placed import placed_layout
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.link.message import (
    PART_BITS,
    TOKEN_BITS,
    Kind,
    end_layout,
    message_layout,
    sum_layout,
    sums,
)
from tritforge.hw.memory.ring import BeatRing
from tritforge.hw.params import CONTEXTS_BITS, CORE_BITS, CoreParams
from tritforge.hw.scales.scales import TOTAL_LATE, VectorStatistics
from tritforge.hw.vector.path import ANNOUNCED

SPARE = 8
"""Places that messages without a row leave to rows."""
ON_THE_WAY = 8
"""Rows between the vector path and the queue, and between its level and who issues rows."""


def most_words(params: CoreParams) -> int:
    """Row groups that a row block leaves at most."""
    return 3 * params.row_groups * params.batch


class Outbox(wiring.Component):
    """Queues this core's messages.

    Rows come when they come, so they are issued only while there is ``room`` for a whole row block and all that is
    under way. The sums follow a group's last row, the candidates the head's.

    Throughput: a message a cycle. Latency: 4 cycles from a row to ``messages``.

    Parameters
    ----------
    params : of a linked core.
    flight : row groups that may be in the vector path, at one a cycle.
    settles : cycles from the head's last row group to its token.

    Attributes
    ----------
    depth : places for rows: those of two row blocks, since a block is issued whole, and all that are under way.
    index : In, of the core.
    rows : In, this core's, `placed_layout`; ``valid`` qualifies it.
    room : Out, another row block may be issued.
    finished : In, high behind a group's last row (``empty`` of the vector path) until the group is over.
    statistics : In, of this core's rows; final when ``finished`` has been high for `SETTLED` cycles.
    adds : Out, ``added``, a part of a sum, enters the queue. summed : Out, high when all have, until ``finished``
        falls.
    ended : In, high behind the head's last row, or where the packet ends early, until it is over. failed : In, with
        it, the packet ended early.
    largest, tokens : In, the candidate of each context, final when ``ended`` has been high for some cycles.
    first_token : In, number of the core's first token.
    contexts : In, of the packet.
    offers : Out, ``offered`` (`end_layout`) is said, once the unit that compares candidates says it is ``taken``.
    told : Out, high when the candidates are on their way, until ``ended`` falls.
    hello : In, pulse, between packets.
    messages : Out.
    """

    SETTLED = ANNOUNCED + TOTAL_LATE + 4

    def __init__(self, params: CoreParams, flight: int, settles: int) -> None:
        self._params = params
        self._block, self._flight = most_words(params), flight + ON_THE_WAY
        self.depth = 1 << (2 * self._block + self._flight + SPARE - 1).bit_length()
        self._settles = settles + 4
        super().__init__(
            {
                "index": In(CORE_BITS),
                "rows": In(placed_layout(params)),
                "room": Out(1),
                "finished": In(1),
                "statistics": In(VectorStatistics(params)),
                "adds": Out(1),
                "added": Out(sum_layout(params)),
                "summed": Out(1),
                "ended": In(1),
                "failed": In(1),
                "largest": In(data.ArrayLayout(signed(params.acc_bits), params.batch)),
                "tokens": In(data.ArrayLayout(TOKEN_BITS, params.batch)),
                "first_token": In(TOKEN_BITS),
                "contexts": In(CONTEXTS_BITS),
                "offers": Out(1),
                "offered": Out(end_layout(params)),
                "taken": In(1),
                "told": Out(1),
                "hello": In(1),
                "messages": Out(stream.Signature(message_layout(params))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params = self._params
        layout = message_layout(params)
        m.submodules.queue = queue = BeatRing(layout.size, self.depth)
        spoken, entry = Signal(layout), Signal(layout, reset_less=True)
        speaks, enters, space, greets = flags("speaks", "enters", "space", "greets")
        m.d.sync += [
            space.eq(queue.free > SPARE),
            self.room.eq(queue.free > SPARE + self._flight + self._block),
            enters.eq(speaks),
            entry.eq(spoken),
        ]
        m.d.comb += [
            queue.answer.eq(entry),
            queue.answer_valid.eq(enters),
            queue.last.eq(1),
            queue.taken.eq(enters),
            self.messages.payload.eq(queue.beats.tdata),
            self.messages.valid.eq(queue.beats.tvalid),
            queue.beats.tready.eq(self.messages.ready),
        ]
        part, end, context, last_context = self._counts(m)
        part_said = Signal(sum_layout(params))
        waited = Signal(range(max(self.SETTLED, self._settles) + 1))
        body = spoken.body
        states = OneHot(m, ("REST", "STATISTICS", "SUMS", "SUMMED", "CANDIDATES", "ENDS", "ENDED"))
        at, go = states.at, states.go
        go("REST", "CANDIDATES", self.ended)
        go("REST", "STATISTICS", self.finished & ~self.ended)
        go("STATISTICS", "SUMS", (waited == self.SETTLED) & ~self.ended)
        go("SUMS", "SUMMED", space & part_said.last & ~self.ended)
        for name in ("STATISTICS", "SUMS"):
            go(name, "REST", self.ended)
        go("SUMMED", "REST", ~self.finished)
        go("CANDIDATES", "ENDS", self.failed | (waited == self._settles))
        go("ENDS", "ENDED", speaks & end.last)
        go("ENDED", "REST", ~self.ended)
        states.build()
        with m.If(at["REST"]):
            m.d.sync += [waited.eq(0), part.eq(0), context.eq(0)]
        with m.If(at["STATISTICS"] | at["CANDIDATES"]):
            m.d.sync += waited.eq(plus_one(waited))
        with m.If(at["SUMS"]):
            m.d.comb += [speaks.eq(space), spoken.kind.eq(Kind.SUM), body.eq(cut(part_said.as_value(), body))]
            with m.If(space):
                m.d.sync += part.eq(plus_one(part))
                with m.If(part == 2 * sums(params) - 1):
                    m.d.sync += [part.eq(0), context.eq(plus_one(context))]
        with m.If(at["ENDS"]):
            m.d.comb += [
                speaks.eq(space & (self.failed | self.taken)),
                spoken.kind.eq(Kind.END),
                body.eq(cut(end.as_value(), body)),
            ]
            with m.If(speaks):
                m.d.sync += context.eq(plus_one(context))
        m.d.sync += self.adds.eq(at["SUMS"] & space)
        m.d.comb += [
            self.added.eq(entry.body[: part_said.shape().size]),
            self.summed.eq(at["SUMMED"]),
            # there is space: what was said before all others have heard
            self.offers.eq(at["ENDS"] & ~self.failed),
            self.told.eq(at["ENDED"]),
        ]
        m.d.comb += self.offered.eq(end)
        self._sum(m, part_said, part, context, last_context)

        # rows come in no other state than the first, and where a packet ends early nobody misses one
        with m.If(self.rows.valid[0]):
            m.d.comb += [speaks.eq(1), spoken.kind.eq(Kind.ROWS), body.eq(cut(self.rows.as_value(), body))]
        with m.Elif(greets):
            m.d.comb += [speaks.eq(1), spoken.kind.eq(Kind.HELLO), body.eq(cut(self.index, body))]
        m.d.sync += greets.eq(self.hello)
        return m

    def _counts(self, m: Module) -> tuple[Signal, data.View, Signal, Signal]:
        """Part of a sum and context that are next, the context's candidate, whether the context is the last."""
        params = self._params
        part = Signal(range(2 * sums(params)))
        context = Signal(params.context_bits)
        last_context = Signal()
        end = Signal(end_layout(params))
        # of the context before for a cycle, in which the one before is still being compared
        token = Signal(TOKEN_BITS, name="token", reset_less=True)
        m.d.sync += token.eq(cut(self.tokens[context] + self.first_token, token))
        m.d.comb += [
            last_context.eq(context == self.contexts - 1 if params.batch > 1 else 1),
            end.token.eq(token),
            end.acc.eq(self.largest[context]),
            end.context.eq(context),
            end.last.eq(last_context | self.failed),
            end.failed.eq(self.failed),
        ]
        return part, end, context, last_context

    def _sum(self, m: Module, said: data.View, part: Signal, context: Signal, last_context: Signal) -> None:
        """Body of SUM."""
        params = self._params
        own = [self.statistics.total[context]]
        if params.extra_bits:
            own += [self.statistics.powers[context][which] for which in range(sums(params) - 1)]
        m.d.comb += [
            said.value.eq(Cat(*own).word_select(part, PART_BITS)),
            said.part.eq(part),
            said.context.eq(context),
            said.last.eq(last_context & (part == 2 * sums(params) - 1)),
        ]
