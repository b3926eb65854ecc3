# SPDX-License-Identifier: Apache-2.0
"""What Python and the compiled harnesses say to each other: segments, the course of an exchange, errors, records."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure, TritforgeError

OK, TIMEOUT, OVERFLOW, CANCELLED, BUS_ERROR = range(5)
"""What a call returns."""
REPORT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64)
_SEND_LAST, _EXPECT_RESULT = 1, 2

Progress = Callable[[int, int], None]
"""Called now and then with the cycles and beats of the running exchange."""


class HarnessError(Failure):
    """The core did not do what the exchange expects of it."""


class HarnessTimeout(HarnessError):
    """The core made no progress for longer than allowed."""


class Segment(ctypes.Structure):
    """As in sim/exchange.h."""

    _fields_ = (("data", ctypes.c_void_p), ("bytes", ctypes.c_uint64))


class Course(ctypes.Structure):
    """As in sim/exchange.h."""

    _fields_ = (
        *(("flags", ctypes.c_uint32), ("interval", ctypes.c_uint32)),
        *(("in_stall", ctypes.c_uint32), ("out_stall", ctypes.c_uint32)),
        *(("seed", ctypes.c_uint64), ("results", ctypes.c_void_p), ("capacity", ctypes.c_uint64)),
    )


@dataclass(frozen=True)
class Exchange:
    """What came of an exchange.

    Attributes
    ----------
    words
        Result words, uint32.
    cycles
        Clock cycles it took.
    beats
        Beats the core accepted.
    """

    words: NDArray[np.uint32]
    cycles: int
    beats: int


@dataclass(frozen=True)
class Trace:
    """The trace port over a number of cycles.

    Attributes
    ----------
    starts
        uint64 [n], ascending from 0: cycles in which the port has a new value.
    words
        uint64 [n], the values; hw.taps.TRACE has their layout.
    cycles
        Length of the whole: the last value lasts until there.
    """

    starts: NDArray[np.uint64]
    words: NDArray[np.uint64]
    cycles: int


class Reporter:
    """Passes progress on and keeps what the callback raises (Ctrl-C too): it cannot pass through C."""

    error: BaseException = HarnessError("The exchange was cancelled.")

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def __call__(self, cycles: int, beats: int) -> int:
        try:
            if self._progress is not None:
                self._progress(cycles, beats)
        except BaseException as error:
            self.error = error
            return 1
        return 0


def course(
    words: NDArray[np.uint32],
    *,
    last: bool = True,
    expect_result: bool = True,
    interval: int = 1,
    in_stall: float = 0.0,
    out_stall: float = 0.0,
    seed: int = 1,
) -> Course:
    """The course of an exchange whose result goes into `words`; TritforgeError for a bad interval or probability."""
    if interval < 1:
        raise TritforgeError(f"The interval between beats is 1 or more cycles, not {interval}.")
    return Course(
        last * _SEND_LAST | expect_result * _EXPECT_RESULT,
        interval,
        chance("in_stall", in_stall),
        chance("out_stall", out_stall),
        seed,
        words.ctypes.data,
        words.size,
    )


def segment_list(segments: Sequence[NDArray[np.uint8]], lanes: int) -> "ctypes.Array[Segment]":
    """Segments of whole beats, read in place; TritforgeError for others."""
    for segment in segments:
        if segment.dtype != np.uint8 or not segment.flags.c_contiguous or segment.size % lanes:
            raise TritforgeError(
                f"A segment must be a contiguous uint8 array of whole {lanes}-byte beats, "
                f"not {segment.size} x {segment.dtype}."
            )
    return (Segment * len(segments))(*(Segment(segment.ctypes.data, segment.size) for segment in segments))


def chance(name: str, probability: float) -> int:
    """A probability as the harness rolls it, of 2**32; TritforgeError where it is none, or 1."""
    if not 0 <= probability < 1:
        raise TritforgeError(f"{name} is a probability from 0 to less than 1, not {probability}.")
    return int(probability * 2**32)


def check_csr(status: int, access: str, address: int, core: str = "The core") -> None:
    """Raise what an access to a register came to, if not well."""
    if status == TIMEOUT:
        raise HarnessTimeout(f"{core} does not answer a {access} register {address:#x}.")
    if status == BUS_ERROR:
        raise HarnessError(f"{core} answers a {access} register {address:#x} with an error.")


def fetched_taps(fetch: Callable[[int | None], int]) -> NDArray[np.uint32]:
    """Taps [n, 2] of a harness that tells how many words there are, and copies and forgets them."""
    taps = np.empty((fetch(None) // 2, 2), np.uint32)
    fetch(taps.ctypes.data)
    return taps


def fetched_trace(fetch: "Callable[[int | None, ctypes._CArgObject], int]") -> Trace:
    """The trace of a harness that tells its entries and cycles, and copies them."""
    cycles = ctypes.c_uint64()
    trace = np.empty((fetch(None, ctypes.byref(cycles)), 2), np.uint64)
    fetch(trace.ctypes.data, ctypes.byref(cycles))
    return Trace(trace[:, 0].copy(), trace[:, 1].copy(), cycles.value)
