# SPDX-License-Identifier: Apache-2.0
"""A token on cores that share a model, simulated beside its projection; of any shape, without a checkpoint."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import ceil
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
        Cycles of the token on one core without a link, memory never late.
    speed
        Simulated cycles a second.
    used
        What the token needs of all that a shared memory gave; 0 without one.
    """

    cores: int
    latency: int
    counted: Counters
    projected: int
    alone: int
    speed: int
    used: float = 0.0

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
            **({"used": self.used} if self.used else {}),
            "speed": self.speed,
        }


@dataclass(frozen=True)
class Run:
    """A simulated token: what each core counted, cycles a second, and bytes of all streams."""

    counted: list[Counters]
    speed: int
    bytes: int

    @property
    def slowest(self) -> Counters:
        """Of the core that takes longest."""
        return max(self.counted, key=lambda one: one.cycles)


def scaling(
    params: CoreParams,
    shape: Shape,
    counts: Sequence[int],
    latencies: Sequence[int],
    status: Say,
    bar: Bar,
    memory: float | None = None,
) -> Iterator[Point]:
    """A token on so many linked cores, with links of each latency; of one core on one without a link.

    ``memory`` is one behind all of them, of so many bytes a cycle; the stream is read ahead, so the projection takes
    the larger of the cores' cycles and the memory's (as perf/estimates/estimate.py).
    """
    unlinked, linked = replace(params, link_bytes=0), with_link(params)
    for count in counts:
        shares(shape, count, params.vector_rows)
    with bar("One core") as told:
        one = alone(unlinked, shape, status=status, progress=told)
    for count in counts:
        if count == 1 and memory is None:
            yield Point(1, 0, one.slowest, work(unlinked, shape).total, one.slowest.cycles, one.speed)
            continue
        for latency in latencies if count > 1 else [0]:
            with bar(f"{count} cores, links of {latency} cycles") as told:
                run = together(linked, shape, count, Links(latency), memory, status=status, progress=told)
            projected, used = work(linked, shape, cores=count, latency=latency).total, 0.0
            if memory is not None:
                projected = max(projected, ceil(run.bytes / memory))
                used = run.bytes / memory / run.slowest.cycles
            yield Point(count, latency, run.slowest, projected, one.slowest.cycles, run.speed, used)


def blank(params: CoreParams, shape: Shape, contexts: int = 1) -> list[Bytes]:
    """A packet of a shape or a `Share` that is zero but for its header. No cycle depends on a weight."""
    fresh = [Context(0, slot, zero=True) for slot in range(contexts)]
    header = header_words(params, shape, fresh, 0).view(np.uint8)
    return [header, np.zeros(token_beats(params, shape, contexts) * params.lanes - header.size, np.uint8)]


def alone(
    params: CoreParams,
    shape: Shape,
    packet: list[Bytes] | None = None,
    status: Say | None = None,
    progress: Progress | None = None,
) -> Run:
    """A token on a core without a link."""
    beats = token_beats(params, shape)
    with SimTransport(params, status) as transport:
        transport.progress = _beats(progress, beats)
        core = _ready(params, transport)
        counted = _counted(core, transport.exchange(packet or blank(params, shape)))
        return Run([counted], _speed(transport), beats * params.lanes)


def together(
    params: CoreParams,
    shape: Shape,
    count: int,
    links: Links = WIRES,
    memory: float | None = None,
    packets: Sequence[list[Bytes]] | None = None,
    status: Say | None = None,
    progress: Progress | None = None,
) -> Run:
    """A token on so many linked cores; ``memory`` as `scaling` has it."""
    own = shares(shape, count, params.vector_rows)
    given = packets or [blank(params, share) for share in own]
    beats = sum(token_beats(params, share) for share in own)
    with SimRing(params, count, status, links=links, shared=memory) as ring:
        ring.progress = _beats(progress, beats)
        cores = [_ready(params, registers, number) for number, registers in enumerate(ring.cores)]
        counted = [_counted(core, words) for core, words in zip(cores, ring.exchange_all(given), strict=True)]
        return Run(counted, _speed(ring), beats * params.lanes)


def _beats(progress: Progress | None, total: int) -> Progress | None:
    """Tells a bar of beats."""
    return progress and (lambda _, done: progress(done, total))


def _speed(simulator: SimTransport | SimRing) -> int:
    return round(simulator.cycles / simulator.seconds)


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
