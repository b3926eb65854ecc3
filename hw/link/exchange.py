# SPDX-License-Identifier: Apache-2.0
"""A core's part in the ring: its rows to the others, theirs to its vector store and statistics."""

from amaranth.hdl import Module, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.hw.codes.cursors import Placer
from tritforge.hw.codes.placed import placed_layout
from tritforge.hw.codes.produced import Produced, Values
from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.link.course import RingCourse
from tritforge.hw.link.gearbox import FromLink, ToLink
from tritforge.hw.link.inbox import HEARD, Inbox
from tritforge.hw.link.message import TOKEN_BITS
from tritforge.hw.link.outbox import Outbox
from tritforge.hw.link.ring_stop import RingStop
from tritforge.hw.params import BYTE, CONTEXTS_BITS, CORE_BITS, CoreParams
from tritforge.hw.scales.scales import VectorStatistics


class Exchange(wiring.Component):
    """Joins what the cores of a ring make of a group, each of its rows, to what every core needs of it.

    ::

        values == placer == outbox == ring stop == links
                     |                   |
                     +------ inbox ------+
                               |
               store, statistics, winners

    Parameters
    ----------
    params : of a linked core.
    flight, settles : see `Outbox`.

    Attributes
    ----------
    index, others : In, straps: the core's number and that of other cores; constant.
    before, behind : In and Out, the links.
    course : In, of the sequencer.
    contexts, first_token : In, of the packet.
    produced : In, as the store's. quantising : In, of the store.
    values : In, of the vector path. counted : Out, of all cores, for its maxima. placed : Out, so, for the store.
    statistics : In, of the vector path. joined : Out, of all cores, final with ``course.joined``.
    largest, tokens : In, this core's candidates. winners : Out, the best of all, final with ``course.over``.
    hello : In, pulse, says hello to the next core. heard : Out, the core before this one, once it has.
    """

    def __init__(self, params: CoreParams, flight: int, settles: int) -> None:
        self._params = params
        self._outbox = Outbox(params, flight, settles)
        link = AxiStream(BYTE * params.link_bytes)
        super().__init__(
            {
                "index": In(CORE_BITS),
                "others": In(CORE_BITS),
                "before": In(link),
                "behind": Out(link),
                "course": In(RingCourse()),
                "contexts": In(CONTEXTS_BITS),
                "first_token": In(TOKEN_BITS),
                "produced": In(Produced(params)),
                "quantising": In(1),
                "values": In(Values(params)),
                "counted": Out(Values(params)),
                "placed": Out(placed_layout(params)),
                "statistics": In(VectorStatistics(params)),
                "joined": Out(VectorStatistics(params)),
                "largest": In(data.ArrayLayout(signed(params.acc_bits), params.batch)),
                "tokens": In(data.ArrayLayout(TOKEN_BITS, params.batch)),
                "winners": Out(data.ArrayLayout(TOKEN_BITS, params.batch)),
                "hello": In(1),
                "heard": Out(HEARD),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params, course = self._params, self.course
        m.submodules.placer = placer = Placer(params)
        m.submodules.outbox = outbox = self._outbox
        m.submodules.inbox = inbox = Inbox(params)
        m.submodules.stop = stop = RingStop(params)
        m.submodules.from_link = from_link = FromLink(params)
        m.submodules.to_link = to_link = ToLink(params)
        connect(m, flipped(self.before), from_link.link)
        connect(m, from_link.messages, stop.arriving)
        connect(m, outbox.messages, stop.own)
        connect(m, stop.here, inbox.here)
        connect(m, stop.leaving, to_link.messages)
        connect(m, to_link.link, flipped(self.behind))
        connect(m, flipped(self.produced), placer.produced)
        connect(m, flipped(self.values), placer.values)
        connect(m, inbox.counted, flipped(self.counted))
        connect(m, flipped(course), inbox.course)
        connect(m, flipped(self.statistics), outbox.statistics)
        m.d.comb += [
            stop.others.eq(self.others),
            inbox.others.eq(self.others),
            outbox.index.eq(self.index),
            outbox.rows.eq(placer.placed),
            inbox.rows.eq(placer.placed),
            outbox.finished.eq(course.finished),
            outbox.ended.eq(course.ended),
            outbox.failed.eq(course.failed),
            outbox.contexts.eq(self.contexts),
            outbox.first_token.eq(self.first_token),
            outbox.largest.eq(self.largest),
            outbox.tokens.eq(self.tokens),
            outbox.hello.eq(self.hello),
            inbox.room.eq(outbox.room),
            inbox.adds.eq(outbox.adds),
            inbox.added.eq(outbox.added),
            inbox.summed.eq(outbox.summed),
            inbox.told.eq(outbox.told),
            inbox.quantising.eq(self.quantising),
            inbox.offers.eq(outbox.offers),
            inbox.offered.eq(outbox.offered),
            outbox.taken.eq(inbox.taken),
            self.placed.eq(inbox.placed),
            self.joined.maxima.eq(self.statistics.maxima),
            self.winners.eq(inbox.winners),
            self.heard.eq(inbox.heard),
        ]
        for index, (total, *powers) in enumerate(inbox.totals):
            m.d.comb += self.joined.total[index].eq(total)
            for which, power in enumerate(powers):
                m.d.comb += self.joined.powers[index][which].eq(power)
        return m
