# SPDX-License-Identifier: Apache-2.0
"""A simulated core as a transport of the host's driver."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.tools.build import Status
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.build_harness import build_harness
from tritforge.sim.harness import Harness
from tritforge.sim.memory_models import AttachedMemory, MemoryUse
from tritforge.sim.native import Progress, Trace

IDLE_CYCLES = 64
"""More than a core is busy after the last word of a result."""


class SimTransport:
    """A core, compiled from its emitted Verilog and simulated.

    Parameters
    ----------
    params
        Its parameters.
    status
        Told what is going on while the simulation is compiled, which happens once for each distinct core.
    stall
        Probability that a cycle has no new beat, and that one cannot give away a result word.
    seed
        Of the random stalls.
    interval
        Cycles in which the memory delivers a beat.
    library
        A compiled netlist of the same core to run instead of its Verilog.
    memory
        The memory behind the weight stream, in the place of an interval.

    Attributes
    ----------
    progress
        Called with the cycles and beats of a running exchange now and then; None for nobody.
    memory
        As given.
    cycles, beats
        Simulated, and accepted by the core, in exchanges so far.
    seconds
        Wall time that they took.
    """

    def __init__(
        self,
        params: CoreParams,
        status: Status | None = None,
        stall: float = 0.0,
        seed: int = 1,
        interval: int = 1,
        library: Path | None = None,
        memory: AttachedMemory | None = None,
    ) -> None:
        self.progress: Progress | None = None
        self.memory = memory
        self.cycles, self.beats, self.seconds = 0, 0, 0.0
        self._params, self._stall, self._seed, self._interval = params, stall, seed, interval
        self._tracing = False
        if library is None:
            library = build_harness(cached_verilog(params, status), TOP, params.lanes, params.taps, status)
        self._harness = Harness(library, params.lanes)
        self._harness.reset()
        if memory:
            self._harness.attach(memory.timing)

    def __enter__(self) -> "SimTransport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._harness.close()

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """See `host.run.transport.Transport`; each exchange has its own random stalls."""
        self._seed += 1
        if self._tracing:
            self._harness.idle(IDLE_CYCLES)
            self._harness.record_trace()
        started = time.perf_counter()
        done = self._harness.exchange(
            segments,
            last=last,
            expect_result=expect_result,
            capacity=self._params.batch * (self._params.max_vocab + 2) + 2,
            interval=self._interval,
            in_stall=self._stall,
            out_stall=self._stall,
            seed=self._seed,
            progress=self.progress,
        )
        self.cycles += done.cycles
        self.beats += done.beats
        self.seconds += time.perf_counter() - started
        return done.words

    def bare_rate(self, packet: Sequence[NDArray[np.uint8]], cycles: int) -> float:
        """Cycles per second of the plainest loop around the same core, for a packet (see `Harness.bare`)."""
        done = self._harness.bare(packet, cycles)
        return done.cycles / done.seconds

    def memory_use(self) -> MemoryUse:
        """What the attached memory did in the exchanges so far; ValueError where there is none."""
        if self.memory is None:
            raise ValueError("No memory is attached to this core.")
        return self.memory.use(self.beats * self._params.lanes, self.cycles, self._harness.memory_waited())

    def read_register(self, offset: int) -> int:
        """See `host.run.transport.Transport`."""
        return self._harness.csr_read(offset)

    def write_register(self, offset: int, value: int) -> None:
        """See `host.run.transport.Transport`."""
        self._harness.csr_write(offset, value)

    def record_taps(self) -> None:
        """Record the debug taps from now on (of a core that has them)."""
        self._harness.record_taps()

    def fetch_taps(self) -> NDArray[np.uint32]:
        """What was recorded since; see `sim.harness.Harness.fetch_taps`."""
        return self._harness.fetch_taps()

    def activity(self, path: Path) -> AbstractContextManager[None]:
        """Count how often every net changes; see `sim.harness.Harness.activity`."""
        return self._harness.activity(path)

    def record_trace(self) -> None:
        """Record the trace port (of a core with debug ports) from now on; of several exchanges the last is kept."""
        self._tracing = True

    def fetch_trace(self) -> Trace:
        """What the core did in the last exchange and the few cycles until it was idle again."""
        self._harness.idle(IDLE_CYCLES)
        return self._harness.fetch_trace()
