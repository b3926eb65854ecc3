# SPDX-License-Identifier: Apache-2.0
"""Simulated cores in a ring as a transport of the host's driver."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.tools.build import Status
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.build_harness import build_harness
from tritforge.sim.memory_models import AttachedMemory, MemoryUse
from tritforge.sim.native import Progress, Trace
from tritforge.sim.ring.feed import WIRES, Feed, Links
from tritforge.sim.ring.ring import Ring
from tritforge.sim.simulator import IDLE_CYCLES


@dataclass(frozen=True)
class CoreOfRing:
    """The registers of one core (`host.run.transport.Registers`)."""

    ring: Ring
    number: int

    def read_register(self, offset: int) -> int:
        """See `host.run.transport.Registers`."""
        return self.ring.csr_read(self.number, offset)

    def write_register(self, offset: int, value: int) -> None:
        """See `host.run.transport.Registers`."""
        self.ring.csr_write(self.number, offset, value)


class SimRing:
    """Cores, compiled once from their emitted Verilog and simulated together; `host.run.transport.RingTransport`.

    Parameters
    ----------
    params
        Of each, with a link.
    count
        How many.
    status
        Told what is going on while the simulation is compiled.
    stall
        Probability that a cycle has no new beat, and that one cannot give away a result word: of all streams, or of
        each core's own.
    seed
        Of the random stalls.
    links
        Between the cores.
    memory
        The memory behind each weight stream, in the place of one that is never late.
    shared
        Bytes a cycle of one memory behind all of them, in its place.
    threads
        See `sim.ring.ring.Ring`.
    library
        A compiled harness in the place of that of ``params``.

    Attributes
    ----------
    cores
        The registers of each.
    ring
        The harness.
    progress
        Called with the cycles and the beats of all cores of a running exchange now and then; None for nobody.
    memory
        As given.
    cycles, beats
        Simulated, and accepted by all cores, in exchanges so far.
    seconds
        Wall time that they took.
    """

    def __init__(
        self,
        params: CoreParams,
        count: int,
        status: Status | None = None,
        stall: float | Sequence[float] = 0.0,
        seed: int = 1,
        links: Links = WIRES,
        memory: AttachedMemory | None = None,
        shared: float | None = None,
        threads: int | None = None,
        library: Path | None = None,
    ) -> None:
        self.progress: Progress | None = None
        self.memory = memory
        self.cycles, self.beats, self.seconds = 0, 0, 0.0
        self._params, self._seed = params, seed
        self._stalls = [stall] * count if isinstance(stall, float | int) else list(stall)
        self._tracing = False
        if library is None:
            files = cached_verilog(params, status)
            library = build_harness(files, TOP, params.lanes, params.taps, status, link_bytes=params.link_bytes)
        self.ring = Ring(library, params.lanes, count, links, seed, threads)
        self.cores = [CoreOfRing(self.ring, number) for number in range(count)]
        if shared is not None:
            self.ring.share_memory(shared)
        if memory:
            for number in range(count):
                self.ring.attach(number, memory.timing)

    def __enter__(self) -> "SimRing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ring.close()

    def feeds(self, packets: Sequence[Sequence[NDArray[np.uint8]]]) -> list[Feed]:
        """What the cores get in the next exchange, which has its own random stalls."""
        self._seed += 1
        return [
            Feed(packet, in_stall=stall, out_stall=stall, seed=self._seed * len(self.cores) + number)
            for number, (packet, stall) in enumerate(zip(packets, self._stalls, strict=True))
        ]

    def exchange_all(self, packets: Sequence[Sequence[NDArray[np.uint8]]]) -> list[NDArray[np.uint32]]:
        """See `host.run.transport.RingTransport`."""
        return self.run(self.feeds(packets))

    def run(self, feeds: Sequence[Feed]) -> list[NDArray[np.uint32]]:
        """The words of each core's result."""
        if self._tracing:
            self.ring.idle(IDLE_CYCLES)
            self.ring.record_traces()
        capacity = self._params.batch * (self._params.max_vocab + 2) + 2
        started = time.perf_counter()
        done = self.ring.exchange(feeds, capacity=capacity, progress=self.progress)
        self.cycles += done[0].cycles
        self.beats += sum(one.beats for one in done)
        self.seconds += time.perf_counter() - started
        return [one.words for one in done]

    def memory_use(self) -> MemoryUse:
        """What the attached memories did in the exchanges so far: bytes of all, shares in the mean; ValueError where
        there are none."""
        if self.memory is None:
            raise ValueError("No memory is attached to these cores.")
        count = len(self.cores)
        waited = sum(self.ring.memory_waited(number) for number in range(count)) // count
        use = self.memory.use(self.beats * self._params.lanes // count, self.cycles, waited)
        return replace(use, gigabytes_per_second=use.gigabytes_per_second * count)

    def record_taps(self) -> None:
        """Record the debug taps from now on (of cores that have them)."""
        for number in range(len(self.cores)):
            self.ring.record_taps(number)

    def fetch_taps(self) -> list[NDArray[np.uint32]]:
        """What was recorded of each core since; see `sim.harness.Harness.fetch_taps`."""
        return [self.ring.fetch_taps(number) for number in range(len(self.cores))]

    def record_trace(self) -> None:
        """Record the trace ports (of cores with debug ports) from now on; of several exchanges the last is kept."""
        self._tracing = True

    def fetch_traces(self) -> list[Trace]:
        """What each core did in the last exchange and the few cycles until it was idle again."""
        self.ring.idle(IDLE_CYCLES)
        return self.ring.fetch_traces()
