# SPDX-License-Identifier: Apache-2.0
"""Drives a core compiled by `rtl_gen.tools.build`: exchanges packets, registers and debug ports as numpy arrays."""

import ctypes
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tritforge.sim.activity import first_of
from tritforge.sim.memory_models import MemoryTiming
from tritforge.sim.native import (
    CANCELLED,
    OVERFLOW,
    REPORT,
    TIMEOUT,
    Course,
    Exchange,
    HarnessError,
    HarnessTimeout,
    Progress,
    Reporter,
    Segment,
    Trace,
    check_csr,
    course,
    fetched_taps,
    fetched_trace,
    segment_list,
)


class Bare(NamedTuple):
    """What a bare loop did: clock cycles, beats that the core accepted, wall time."""

    cycles: int
    beats: int
    seconds: float


class Harness:
    """One simulated core.

    Parameters
    ----------
    library
        What `sim.build_harness.build_harness` returned.
    lanes
        Bytes a beat, as given there.
    """

    def __init__(self, library: Path, lanes: int) -> None:
        self._lanes = lanes
        self._library = _load(library)
        self._created: int | None = self._library.harness_create()

    @property
    def _core(self) -> int:
        """The model; ValueError once it is freed, since nothing else would keep the library from its memory."""
        if self._created is None:
            raise ValueError("The simulated core was closed; run and read what is needed of it before.")
        return self._created

    def close(self) -> None:
        """Free the model; whatever is asked of the harness afterwards is a ValueError."""
        if self._created is not None:
            self._library.harness_destroy(self._created)
            self._created = None

    def __enter__(self) -> "Harness":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reset(self) -> None:
        """Hold the core's reset for a few cycles."""
        self._library.harness_reset(self._core)

    def mutate(self, number: int) -> None:
        """Make one of the mutants of a library that is built with them, from now on; 0 for none."""
        self._library.harness_mutate(self._core, number)

    def write_coverage(self, path: Path) -> None:
        """Write how often each line ran and each bit changed so far (of a library built to count it)."""
        self._library.harness_coverage(self._core, str(path).encode())

    def attach(self, timing: MemoryTiming | None) -> None:
        """Put the timing model of a memory behind the stream, in the place of an interval; None takes it away."""
        self._library.harness_attach(self._core, None if timing is None else ctypes.byref(timing))

    def memory_waited(self) -> int:
        """Clocks of its controller in which the attached memory waited to be asked, the sum of its channels'."""
        clocks: int = self._library.harness_memory_waited(self._core)
        return clocks

    def read_endlessly(self, timing: MemoryTiming, beat_bytes: int, beats: int) -> int:
        """Cycles in which a memory gives so many beats of one run to something that takes each at once."""
        cycles: int = self._library.harness_read_endlessly(ctypes.byref(timing), beat_bytes, beats)
        return cycles

    def exchange(
        self,
        segments: Sequence[NDArray[np.uint8]],
        *,
        last: bool = True,
        expect_result: bool = True,
        capacity: int = 1 << 20,
        interval: int = 1,
        in_stall: float = 0.0,
        out_stall: float = 0.0,
        seed: int = 1,
        max_idle_cycles: int = 100_000,
        progress: Progress | None = None,
    ) -> Exchange:
        """Stream segments in and collect one result packet.

        Parameters
        ----------
        segments
            Contiguous uint8 arrays, each a whole number of beats; read in place, so they may be memory maps.
        last
            Whether the last beat carries TLAST.
        expect_result
            Whether to wait for a result packet's TLAST; if not, the exchange ends with the last beat and
            result words stay in the core.
        capacity
            Most result words to take.
        interval
            Cycles in which the memory behind the stream delivers a beat, into a buffer of 16 beats; unless one is
            attached.
        in_stall, out_stall
            Probabilities, below 1, that a cycle has no new beat or is not ready for a result.
        seed
            Of the random stalls.
        max_idle_cycles
            Cycles without a beat or result word after which the core counts as stuck.
        progress
            Called every few ten thousand cycles.

        Raises
        ------
        TritforgeError
            If a segment is not a whole number of beats or not contiguous, or a probability is out of range.
        HarnessTimeout
            If the core is stuck.
        HarnessError
            If there are more than `capacity` result words. Reset the core after either error.
        """
        parts, words = segment_list(segments, self._lanes), np.empty(capacity, np.uint32)
        given = course(
            words,
            last=last,
            expect_result=expect_result,
            interval=interval,
            in_stall=in_stall,
            out_stall=out_stall,
            seed=seed,
        )
        count, cycles, beats = ctypes.c_uint64(), ctypes.c_uint64(), ctypes.c_uint64()
        report = Reporter(progress)
        status = self._library.harness_exchange(
            *(self._core, parts, len(parts), ctypes.byref(given), max_idle_cycles),
            *(ctypes.byref(count), ctypes.byref(cycles), ctypes.byref(beats), REPORT(report)),
        )
        if status == CANCELLED:
            raise report.error
        if status == OVERFLOW:
            raise HarnessError(f"The core sent more than the {capacity} result words there is room for.")
        if status == TIMEOUT:
            raise HarnessTimeout(
                f"The core made no progress for {max_idle_cycles} cycles, after {beats.value} of "
                f"{sum(part.bytes for part in parts) // self._lanes} beats and {count.value} result words."
            )
        return Exchange(words[: count.value].copy(), cycles.value, beats.value)

    def bare(self, segments: Sequence[NDArray[np.uint8]], cycles: int) -> Bare:
        """Run so many cycles of the plainest possible loop: the beats, the last with TLAST, are offered at once.

        It counts nothing and drops the result words, so its rate is what `exchange` can at best have. TritforgeError
        as for `exchange`.
        """
        segment_list(segments, self._lanes)
        packet = np.concatenate([np.empty(0, np.uint8), *segments])
        started = time.perf_counter()
        beats = self._library.harness_bare(self._core, packet.ctypes.data, packet.size, cycles)
        return Bare(cycles, beats, time.perf_counter() - started)

    def idle(self, cycles: int) -> None:
        """Let so many clock cycles pass in which nothing is offered and nothing taken."""
        self._library.harness_idle(self._core, cycles)

    def csr_read(self, address: int) -> int:
        """Read a 32-bit register at a byte address; `HarnessError` if the core refuses or does not answer."""
        value = ctypes.c_uint32()
        status = self._library.harness_csr_read(self._core, address, ctypes.byref(value))
        check_csr(status, "read of", address)
        return value.value

    def csr_write(self, address: int, value: int) -> None:
        """Write a 32-bit register at a byte address; errors as for `csr_read`."""
        check_csr(self._library.harness_csr_write(self._core, address, value), "write to", address)

    def record_taps(self, on: bool = True) -> None:
        """Start or stop recording the debug taps (of a library built with them)."""
        self._library.harness_taps_record(self._core, int(on))

    def fetch_taps(self) -> NDArray[np.uint32]:
        """Take what was recorded, live row by live row: [n, 2] of (kind << 4 | op, value); kind 0 is acc, 1 wide."""
        return fetched_taps(partial(self._library.harness_taps_fetch, self._core))

    def record_trace(self, on: bool = True) -> None:
        """Begin to record the trace port (of a library built with taps) anew, or stop."""
        self._library.harness_trace_record(self._core, int(on))

    def fetch_trace(self) -> Trace:
        """What was recorded since `record_trace`; recording goes on."""
        return fetched_trace(partial(self._library.harness_trace_fetch, self._core))

    @contextmanager
    def activity(self, path: Path) -> Iterator[None]:
        """Count how often every net changes while the context lasts (of a library built for it).

        Into a SAIF file, and beside it another of its beginning, both of which `sim.activity.read_saif` reads.
        """
        self._library.harness_activity(self._core, str(path).encode(), str(first_of(path)).encode())
        try:
            yield
        finally:
            self._library.harness_activity(self._core, None, None)


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    core, u32, u64, pointer = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
    library.harness_create.restype = core
    library.harness_destroy.argtypes = (core,)
    library.harness_reset.argtypes = (core,)
    library.harness_exchange.argtypes = (
        *(core, ctypes.POINTER(Segment), ctypes.c_size_t, ctypes.POINTER(Course), u64),
        *(pointer, pointer, pointer, REPORT),
    )
    library.harness_bare.argtypes = (core, pointer, u64, u64)
    library.harness_bare.restype = u64
    timing = ctypes.POINTER(MemoryTiming)
    library.harness_attach.argtypes = (core, timing)
    library.harness_attach.restype = None
    library.harness_memory_waited.argtypes = (core,)
    library.harness_memory_waited.restype = u64
    library.harness_read_endlessly.argtypes = (timing, u64, u64)
    library.harness_read_endlessly.restype = u64
    library.harness_idle.argtypes = (core, u64)
    library.harness_csr_write.argtypes = (core, u32, u32)
    library.harness_csr_read.argtypes = (core, u32, pointer)
    library.harness_taps_record.argtypes = (core, ctypes.c_int)
    library.harness_taps_fetch.argtypes = (core, pointer)
    library.harness_taps_fetch.restype = u64
    if hasattr(library, "harness_activity"):
        library.harness_activity.argtypes = (core, ctypes.c_char_p, ctypes.c_char_p)
        library.harness_activity.restype = None
    if hasattr(library, "harness_coverage"):
        library.harness_coverage.argtypes = (core, ctypes.c_char_p)
        library.harness_coverage.restype = None
    if hasattr(library, "harness_mutate"):
        library.harness_mutate.argtypes = (core, u32)
        library.harness_mutate.restype = None
    library.harness_trace_record.argtypes = (core, ctypes.c_int)
    library.harness_trace_fetch.argtypes = (core, pointer, pointer)
    library.harness_trace_fetch.restype = u64
    return library
