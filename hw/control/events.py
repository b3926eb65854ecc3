# SPDX-License-Identifier: Apache-2.0
"""What the registers show and count."""

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from tritforge.hw.lib.pipeline import delay
from tritforge.hw.params import CONTEXTS_BITS, CoreParams
from tritforge.hw.schedule import Status
from tritforge.hw.taps import causes


class Events(wiring.Signature):
    """What the registers are told, seen from the core; all of a packet's events are equally late.

    Attributes
    ----------
    busy : Out, a packet is in flight; also counted (CYCLES).
    torn : Out, mask of slots whose state is not that of a token boundary.
    error_set : Out, mask of ERRORS bits to set.
    beat, repeat, starved, drain, dependency, result, saturated : Out, each cycle high adds 1 to its counter; of all
        but the last, and of exchange in a core with a link (`hw.taps.causes`), one is high in each busy cycle.
    tokens_done : Out, added to TOKENS in every cycle.
    """

    def __init__(self, params: CoreParams) -> None:
        kinds = (kind.name.lower() for kind in causes(params))
        super().__init__(
            {
                "busy": Out(1),
                "torn": Out(params.batch),
                "error_set": Out(16),
                **{kind: Out(1) for kind in kinds},
                "tokens_done": Out(CONTEXTS_BITS),
                "saturated": Out(1),
            }
        )


def events(
    m: Module,
    params: CoreParams,
    *,
    cycle: Value,
    busy: Value,
    end: wiring.PureInterface,
    contexts: Value,
    torn: Value,
    saturated: Value,
) -> wiring.PureInterface:
    """`Events`, made of what the units show. The registers are far from everything: each comes a cycle late.

    Parameters
    ----------
    m : gets the registers on the way.
    cycle, busy : of the stream front.
    end : `PacketEnd`, of which ``finish`` and ``status`` matter. contexts : of the packet, a cycle later.
    torn, saturated : see `Events`.
    """
    found = Events(params).create(path=("events",))
    for kind in causes(params):
        name = kind.name.lower()
        m.d.comb += getattr(found, name).eq(delay(m, cycle == kind, 1, name))
    finish, status = delay(m, end.finish, 1, "ended_finish"), delay(m, end.status, 1, "ended_status")
    m.d.comb += [
        found.busy.eq(delay(m, busy, 1, "busy")),
        found.torn.eq(delay(m, torn, 1, "torn")),
        found.saturated.eq(delay(m, saturated, 1, "saturated")),
    ]
    with m.If(finish):
        with m.If(status == Status.OK):
            m.d.comb += found.tokens_done.eq(contexts)
        with m.Else():
            m.d.comb += found.error_set.eq(1 << status)
    return found
