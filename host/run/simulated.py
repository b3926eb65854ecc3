# SPDX-License-Identifier: Apache-2.0
"""The simulated core that runs a model, or the ring of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.host.run.transport import RingTransport
from tritforge.hw.params import CoreParams

if TYPE_CHECKING:
    from tritforge.sim.memory_models import AttachedMemory
    from tritforge.sim.native import Trace
    from tritforge.sim.ring.simulator import SimRing
    from tritforge.sim.simulator import SimTransport


@dataclass(frozen=True)
class Surroundings:
    """What is around a simulated core.

    Attributes
    ----------
    stall
        Probability of a random stall on its streams and links.
    memory
        Behind its weight stream, in the place of one that is never late.
    link_latency
        Cycles from one core of a ring to the next, beside their own; None for wires.
    """

    stall: float = 0.0
    memory: "AttachedMemory | None" = None
    link_latency: int | None = None


ALONE = Surroundings()


def simulated(
    params: CoreParams,
    cores: int,
    around: Surroundings = ALONE,
    status: Callable[[str], None] | None = None,
    simulator: "Callable[..., SimTransport] | None" = None,
) -> "SimTransport | SimRing":
    """A core without a link, or with ``cores`` so many with links; ``simulator`` is what stands in for the former.

    TritforgeError for a latency of links where there are none.
    """
    if not cores:
        from tritforge.sim.simulator import SimTransport

        if around.link_latency is not None:
            raise TritforgeError("--link-latency is that of the links between cores; it needs --cores.")
        return (simulator or SimTransport)(params, status, around.stall, memory=around.memory)
    from tritforge.sim.ring.feed import Links
    from tritforge.sim.ring.simulator import SimRing

    links = Links(around.link_latency or 0, around.stall)
    return SimRing(params, cores, status, around.stall, links=links, memory=around.memory)


def traces(transport: "SimTransport | SimRing") -> "list[Trace]":
    """What each core did in the last exchange."""
    return transport.fetch_traces() if isinstance(transport, RingTransport) else [transport.fetch_trace()]


def taps(transport: "SimTransport | SimRing") -> list[NDArray[np.uint32]]:
    """What the debug taps of each core recorded."""
    return transport.fetch_taps() if isinstance(transport, RingTransport) else [transport.fetch_taps()]
