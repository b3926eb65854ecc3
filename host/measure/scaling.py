# SPDX-License-Identifier: Apache-2.0
"""A token on cores that share a model, simulated beside its projection; of any shape, without a checkpoint."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from tritforge.golden import Failure
from tritforge.host.image.layout import Bytes
from tritforge.host.run.registers import CoreRegisters, Counters
from tritforge.host.run.transport import Registers
from tritforge.hw.link.message import with_link
from tritforge.hw.packet import Context, Words, header_words, parse_result
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Shape, Status, shares, token_beats
from tritforge.perf.estimates.work import work
from tritforge.rtl_gen.tools.build import Status as Say
from tritforge.sim.native import Progress
from tritforge.sim.ring.feed import WIRES, Links
from tritforge.sim.ring.simulator import SimRing
from tritforge.sim.simulator import SimTransport

CAUSES = ("beats", "repeats", "starved", "drain", "dependency", "result", "exchange")
"""Of a cycle: each has one."""


class Bar(Protocol):
    """Opens a progress bar, which is told what is done of how much."""

    def __call__(self, label: str) -> AbstractContextManager[Progress | None]: ...


@dataclass(frozen=True)
class Point:
    """A token on so many cores.

    Attributes
    ----------
    cores, latency
        How many, and of the links between them.
    counted
        On the core that takes longest.
    projected
        Cycles.
    alone
        Cycles of the token on one core without a link.
    """

    cores: int
    latency: int
    counted: Counters
    projected: int
    alone: int

    @property
    def error(self) -> float:
        """Of the projection."""
        return self.projected / self.counted.cycles - 1

    @property
    def efficiency(self) -> float:
        """Tokens a second and core, against those of one core without a link."""
        return self.alone / self.counted.cycles / self.cores

    @property
    def row(self) -> dict[str, Any]:
        """As a line of a table."""
        causes = {cause: getattr(self.counted, cause) for cause in CAUSES}
        return {
            "cores": self.cores,
            "latency": self.latency,
            "cycles": self.counted.cycles,
            **causes,
            "projected": self.projected,
            "error": self.error,
            "efficiency": self.efficiency,
        }


def scaling(
    params: CoreParams, shape: Shape, counts: Sequence[int], latencies: Sequence[int], status: Say, bar: Bar
) -> Iterator[Point]:
    """A token on so many linked cores, with links of each latency; of one core on one without a link."""
    unlinked, linked = replace(params, link_bytes=0), with_link(params)
    for count in counts:
        shares(shape, count, params.vector_rows)
    with bar("One core") as told:
        single = alone(unlinked, shape, status=status, progress=told)
    for count in counts:
        if count == 1:
            yield Point(1, 0, single, work(unlinked, shape).total, single.cycles)
            continue
        for latency in latencies:
            with bar(f"{count} cores, links of {latency} cycles") as told:
                counted = together(linked, shape, count, Links(latency), status=status, progress=told)
            slowest = max(counted, key=lambda one: one.cycles)
            projected = work(linked, shape, cores=count, latency=latency).total
            yield Point(count, latency, slowest, projected, single.cycles)


def blank(params: CoreParams, shape: Shape) -> list[Bytes]:
    """A packet of a shape or a `Share` that is zero but for its header. No cycle depends on a weight."""
    header = header_words(params, shape, [Context(0, zero=True)], 0).view(np.uint8)
    return [header, np.zeros(token_beats(params, shape) * params.lanes - header.size, np.uint8)]


def alone(
    params: CoreParams,
    shape: Shape,
    packet: list[Bytes] | None = None,
    status: Say | None = None,
    progress: Progress | None = None,
) -> Counters:
    """What a core without a link counts in a token."""
    with SimTransport(params, status) as transport:
        transport.progress = _beats(progress, token_beats(params, shape))
        core = _ready(params, transport)
        return _counted(core, transport.exchange(packet or blank(params, shape)))


def together(
    params: CoreParams,
    shape: Shape,
    count: int,
    links: Links = WIRES,
    packets: Sequence[list[Bytes]] | None = None,
    status: Say | None = None,
    progress: Progress | None = None,
) -> list[Counters]:
    """What each of so many linked cores counts in a token."""
    own = shares(shape, count, params.vector_rows)
    given = packets or [blank(params, share) for share in own]
    with SimRing(params, count, status, links=links) as ring:
        ring.progress = _beats(progress, sum(token_beats(params, share) for share in own))
        cores = [_ready(params, registers, number) for number, registers in enumerate(ring.cores)]
        return [_counted(core, words) for core, words in zip(cores, ring.exchange_all(given), strict=True)]


def _beats(progress: Progress | None, total: int) -> Progress | None:
    """Tells a bar of beats."""
    return progress and (lambda _, done: progress(done, total))


def _ready(params: CoreParams, registers: Registers, number: int | None = None) -> CoreRegisters:
    """A core some cycles behind its reset: the first of them would count in its first token."""
    core = CoreRegisters(registers, params, number)
    core.clear_counters()
    return core


def _counted(core: CoreRegisters, words: Words) -> Counters:
    result = parse_result(words)
    if result.status is not Status.OK:
        raise Failure(f"{core} answered a packet of zeros with {result.status.name} instead of a token.")
    return core.counters()
