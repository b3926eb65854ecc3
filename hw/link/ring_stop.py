# SPDX-License-Identifier: Apache-2.0
"""Where a core stands in the ring: what comes is for it and, mostly, for those behind it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.width import minus_one
from tritforge.hw.link.message import Kind, message_layout
from tritforge.hw.params import CORE_BITS, CoreParams

HEARD = 17
LEAVING = 9
"""Messages that wait to be heard here, and to leave: in a register, and in as many places as an address has."""


class RingStop(wiring.Component):
    """Takes each message that comes both off the ring and on to the next core, while it has hops left.

    Every message goes once around, to each of the other cores, and messages of one core keep their order, whatever
    the links between the cores do. One that goes on needs a place for itself alone, and one of the core's own must
    leave one free: so a place is free somewhere in the ring at all times, and it moves until nothing waits. Whether
    the core's own may go is said a cycle before, for the worst of what that cycle brings; what goes on comes first.

    Throughput: a message a cycle. Latency: 2 cycles.

    Parameters
    ----------
    params : of a linked core.

    Attributes
    ----------
    others : In, number of other cores in the ring.
    arriving : In, messages of the core before this one. leaving : Out, those to the next one.
    own : In, of this core; its hops are set here, but for HELLO, which has none. Where there are no others it is
        taken and nothing is sent.
    here : Out, for this core.
    """

    def __init__(self, params: CoreParams) -> None:
        self._layout = message_layout(params)
        messages = stream.Signature(self._layout)
        super().__init__(
            {
                "others": In(CORE_BITS),
                "arriving": In(messages),
                "leaving": Out(messages),
                "own": In(messages),
                "here": Out(messages),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.heard = heard = SyncFIFOBuffered(width=self._layout.size, depth=HEARD)
        m.submodules.departures = departures = SyncFIFOBuffered(width=self._layout.size, depth=LEAVING)
        first, onward, added = self.arriving.payload, Signal(self._layout), Signal(self._layout)
        taken, passes, adds, alone, granted = flags("taken", "passes", "adds", "alone", "granted")
        m.d.sync += [
            alone.eq(self.others == 0),
            # one more may come in this cycle
            granted.eq(~(passes & heard.w_rdy) & (departures.level < LEAVING - 2)),
        ]
        m.d.comb += [
            passes.eq(self.arriving.valid & (first.hops != 0)),
            self.arriving.ready.eq(heard.w_rdy & (~passes | departures.w_rdy & ~adds)),
            taken.eq(self.arriving.valid & self.arriving.ready),
            heard.w_data.eq(first.as_value()),
            heard.w_en.eq(taken),
            self.here.payload.eq(heard.r_data),
            self.here.valid.eq(heard.r_rdy),
            heard.r_en.eq(self.here.ready),
            onward.eq(first),
            onward.hops.eq(minus_one(first.hops)),
            added.eq(self.own.payload),
            added.hops.eq(Mux(self.own.payload.kind == Kind.HELLO, 0, minus_one(self.others))),
            self.own.ready.eq(alone | granted),
            adds.eq(self.own.valid & granted & ~alone),
            departures.w_data.eq(Mux(adds, added, onward)),
            departures.w_en.eq(taken & passes | adds),
            self.leaving.payload.eq(departures.r_data),
            self.leaving.valid.eq(departures.r_rdy),
            departures.r_en.eq(self.leaving.ready),
        ]
        return m
