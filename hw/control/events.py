# SPDX-License-Identifier: Apache-2.0
"""What the registers show and count."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.pipeline import delay
from tritforge.hw.params import CoreParams
from tritforge.hw.taps import Cycle


class Events(wiring.Signature):
    """What the registers are told, seen from the core; all of a packet's events are equally late.

    Attributes
    ----------
    busy : Out, a packet is in flight; also counted (CYCLES).
    torn : Out, mask of slots whose state is not that of a token boundary.
    error_set : Out, mask of ERRORS bits to set.
    beat, repeat, starved, drain, dependency, result, saturated : Out, each cycle high adds 1 to its counter; of the
        first six (`hw.taps.Cycle`) exactly one is high in each busy cycle.
    tokens_done : Out, added to TOKENS in every cycle.
    """

    def __init__(self, core: CoreParams) -> None:
        kinds = (kind.name.lower() for kind in Cycle if kind is not Cycle.IDLE)
        super().__init__(
            {
                "busy": Out(1),
                "torn": Out(core.batch),
                "error_set": Out(16),
                **{kind: Out(1) for kind in kinds},
                "tokens_done": Out(4),
                "saturated": Out(1),
            }
        )


class EventUnit(wiring.Component):
    """Makes events of what the units show. The registers are far from everything: each comes a cycle late.

    Attributes
    ----------
    cycle, busy : In, of the stream front.
    finish, status : In, pulse at a packet's end, and with it a `Status`. contexts : In, of the packet, a cycle later.
    torn, saturated : In, see `Events`.
    events : Out, for the registers.
    """

    def __init__(self, core: CoreParams) -> None:
        super().__init__(
            {
                "cycle": In(Cycle),
                "busy": In(1),
                "finish": In(1),
                "status": In(4),
                "contexts": In(4),
                "torn": In(core.batch),
                "saturated": In(1),
                "events": Out(Events(core)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        events = self.events
        for kind in Cycle:
            if kind is not Cycle.IDLE:
                name = kind.name.lower()
                m.d.comb += getattr(events, name).eq(delay(m, self.cycle == kind, 1, name))
        finish, status = delay(m, self.finish, 1, "finish"), delay(m, self.status, 1, "status")
        m.d.comb += [
            events.busy.eq(delay(m, self.busy, 1, "busy")),
            events.torn.eq(delay(m, self.torn, 1, "torn")),
            events.saturated.eq(delay(m, self.saturated, 1, "saturated")),
        ]
        with m.If(finish):
            with m.If(status == 0):
                m.d.comb += events.tokens_done.eq(self.contexts)
            with m.Else():
                m.d.comb += events.error_set.eq(1 << status)
        return m
