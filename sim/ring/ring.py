# SPDX-License-Identifier: Apache-2.0
"""Drives a ring of simulated cores: packets to all, results of all, registers and debug ports of each."""

import ctypes
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.sim.memory_models import DEPTH, MemoryTiming
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
    chance,
    check_csr,
    course,
    fetched_taps,
    fetched_trace,
    segment_list,
)
from tritforge.sim.ring.feed import WIRES, Feed, Links

FOREVER = 2**64 - 1


class Ring:
    """Simulated cores in a ring, clocked together; each index is that of a core, from 0 on.

    Parameters
    ----------
    library
        What `sim.build_harness.build_harness` returned for a core with a link.
    lanes
        Bytes of a weight beat, as given there.
    cores
        How many.
    links
        Between them.
    seed
        Of the links' pauses.
    threads
        That work on it; what comes of it is the same. None: one for each processor, but no more than cores.
    """

    def __init__(
        self,
        library: Path,
        lanes: int,
        cores: int,
        links: Links = WIRES,
        seed: int = 1,
        threads: int | None = None,
    ) -> None:
        self.cores = cores
        self._lanes = lanes
        self._library = _load(library)
        self._shared = False
        self._created: int | None = self._library.ring_create(
            cores,
            min(cores, threads or len(os.sched_getaffinity(0))),
            links.latency,
            chance("The stall of a link", links.stall),
            seed,
        )

    @property
    def _ring(self) -> int:
        """The models; ValueError once they are freed, since nothing else would keep the library from their memory."""
        if self._created is None:
            raise ValueError("The simulated ring was closed; run and read what is needed of it before.")
        return self._created

    def close(self) -> None:
        """Free the models; whatever is asked of the ring afterwards is a ValueError."""
        if self._created is not None:
            self._library.ring_destroy(self._created)
            self._created = None

    def __enter__(self) -> "Ring":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reset(self) -> None:
        """Hold the reset of all cores for a few cycles; the links forget what was under way."""
        self._library.ring_reset(self._ring)

    def mutate(self, number: int) -> None:
        """See `sim.harness.Harness.mutate`; of all cores."""
        self._library.ring_mutate(self._ring, number)

    def cut(self, core: int) -> None:
        """Let nothing through any more from a core to the next one."""
        self._library.ring_cut(self._ring, core)

    def share_memory(self, bytes_a_cycle: float, depth: int = DEPTH) -> None:
        """Put one memory behind all streams, of so many bytes a cycle, which gives each core as much as it takes and
        where that is too much, all the same; each has a buffer of ``depth`` beats."""
        if bytes_a_cycle <= 0:
            raise TritforgeError(f"A memory gives more than 0 bytes a cycle, not {bytes_a_cycle:g}.")
        self._library.ring_share(self._ring, bytes_a_cycle, depth)
        self._shared = True

    def attach(self, core: int, timing: MemoryTiming | None) -> None:
        """Put the timing model of a memory behind one core's stream; None takes it away."""
        self._library.ring_attach(self._ring, core, None if timing is None else ctypes.byref(timing))

    def memory_waited(self, core: int) -> int:
        """See `sim.harness.Harness.memory_waited`."""
        clocks: int = self._library.ring_memory_waited(self._ring, core)
        return clocks

    def begin(self, feeds: Sequence[Feed], capacity: int = 1 << 20) -> None:
        """Begin an exchange: a feed for each core, and room for so many words of each result."""
        self._feeds = list(feeds)
        self._words = [np.empty(capacity, np.uint32) for _ in feeds]
        self._cycles = 0
        for core, (feed, words) in enumerate(zip(self._feeds, self._words, strict=True)):
            parts = segment_list(feed.segments, self._lanes)
            given = course(
                words,
                last=feed.last,
                expect_result=feed.expect_result,
                in_stall=feed.in_stall,
                out_stall=feed.out_stall,
                seed=feed.seed,
            )
            given.interval = 0 if self._shared else 1
            self._library.ring_begin(self._ring, core, parts, len(parts), ctypes.byref(given))

    def run(
        self, max_cycles: int = FOREVER, max_idle_cycles: int = 100_000, progress: Progress | None = None
    ) -> list[int]:
        """Go on with the exchange until each core has sent and collected all, or for so many cycles.

        Parameters
        ----------
        max_cycles
            To run.
        max_idle_cycles
            Cycles without a beat or result word of any core after which the ring counts as stuck.
        progress
            Called every few thousand cycles, with the beats of all cores.

        Returns
        -------
        The cores that are not done.

        Raises
        ------
        HarnessTimeout
            Where the ring is stuck, with the cores that have not answered.
        HarnessError
            Where a core sends more than there is room for. Reset the ring after either error.
        """
        cycles, report = ctypes.c_uint64(), Reporter(progress)
        status = self._library.ring_run(self._ring, max_cycles, max_idle_cycles, ctypes.byref(cycles), REPORT(report))
        self._cycles += cycles.value
        waiting = [core for core in range(self.cores) if self._done(core)[2]]
        if status == CANCELLED:
            error: BaseException = report.error
        elif status == OVERFLOW:
            room = self._words[0].size
            error = HarnessError(f"A core sent more than the {room} result words there is room for.")
        elif status == TIMEOUT:
            error = HarnessTimeout(
                f"The ring made no progress for {max_idle_cycles} cycles; not done: "
                f"{'; '.join(self._told(core) for core in waiting)}."
            )
        else:
            return waiting
        self._library.ring_end(self._ring)
        raise error

    def end(self) -> list[Exchange]:
        """What came of the exchange, of each core; nothing more is offered or taken."""
        done = []
        for core, words in enumerate(self._words):
            collected, beats, _ = self._done(core)
            done.append(Exchange(words[:collected].copy(), self._cycles, beats))
        self._library.ring_end(self._ring)
        return done

    def exchange(
        self,
        feeds: Sequence[Feed],
        *,
        capacity: int = 1 << 20,
        max_idle_cycles: int = 100_000,
        progress: Progress | None = None,
    ) -> list[Exchange]:
        """`begin`, `run` and `end`."""
        self.begin(feeds, capacity)
        self.run(max_idle_cycles=max_idle_cycles, progress=progress)
        return self.end()

    def idle(self, cycles: int) -> None:
        """Let so many cycles pass in which nothing is offered and nothing taken but by links."""
        self._library.ring_idle(self._ring, cycles)

    def csr_read(self, core: int, address: int) -> int:
        """Read a register of a core; all others go on meanwhile. Errors as of `sim.harness.Harness.csr_read`."""
        value = ctypes.c_uint32()
        status = self._library.ring_csr_read(self._ring, core, address, ctypes.byref(value))
        check_csr(status, "read of", address, f"Core {core}")
        return value.value

    def csr_write(self, core: int, address: int, value: int) -> None:
        """Write a register of a core, likewise."""
        check_csr(self._library.ring_csr_write(self._ring, core, address, value), "write to", address, f"Core {core}")

    def record_taps(self, core: int) -> None:
        """Start recording the debug taps of a core (of a library built with them)."""
        self._library.ring_taps_record(self._ring, core, 1)

    def fetch_taps(self, core: int) -> NDArray[np.uint32]:
        """See `sim.harness.Harness.fetch_taps`."""
        return fetched_taps(partial(self._library.ring_taps_fetch, self._ring, core))

    def record_traces(self) -> None:
        """Begin to record the trace ports of all cores (of a library built with taps) anew."""
        for core in range(self.cores):
            self._library.ring_trace_record(self._ring, core, 1)

    def fetch_traces(self) -> list[Trace]:
        """What was recorded of each core since `record_traces`; recording goes on."""
        return [
            fetched_trace(partial(self._library.ring_trace_fetch, self._ring, core)) for core in range(self.cores)
        ]

    def _done(self, core: int) -> tuple[int, int, bool]:
        """Words collected, beats accepted, whether it is not done."""
        words, beats = ctypes.c_uint64(), ctypes.c_uint64()
        waits = self._library.ring_progress(self._ring, core, ctypes.byref(words), ctypes.byref(beats))
        return words.value, beats.value, bool(waits)

    def _told(self, core: int) -> str:
        words, beats, _ = self._done(core)
        given = sum(segment.size for segment in self._feeds[core].segments) // self._lanes
        return f"core {core}, after {beats} of {given} beats and {words} result words"


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    ring, size, u32, u64 = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint64
    pointer, timing = ctypes.c_void_p, ctypes.POINTER(MemoryTiming)
    for name, result, *arguments in (
        ("create", ring, size, size, u32, u32, u64),
        ("destroy", None, ring),
        ("reset", None, ring),
        ("cut", None, ring, size),
        ("share", None, ring, ctypes.c_double, u32),
        ("attach", None, ring, size, timing),
        ("memory_waited", u64, ring, size),
        ("begin", None, ring, size, ctypes.POINTER(Segment), size, ctypes.POINTER(Course)),
        ("run", ctypes.c_int, ring, u64, u64, pointer, REPORT),
        ("progress", ctypes.c_int, ring, size, pointer, pointer),
        ("end", None, ring),
        ("idle", None, ring, u64),
        ("csr_write", ctypes.c_int, ring, size, u32, u32),
        ("csr_read", ctypes.c_int, ring, size, u32, pointer),
        ("taps_record", None, ring, size, ctypes.c_int),
        ("taps_fetch", u64, ring, size, pointer),
        ("trace_record", None, ring, size, ctypes.c_int),
        ("trace_fetch", u64, ring, size, pointer, pointer),
    ):
        function = getattr(library, f"ring_{name}")
        function.restype, function.argtypes = result, arguments
    if hasattr(library, "ring_mutate"):
        library.ring_mutate.restype, library.ring_mutate.argtypes = None, (ring, u32)
    return library
