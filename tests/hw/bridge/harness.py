# SPDX-License-Identifier: Apache-2.0
"""The bridge behind its serial line, Verilated: scripts of bytes in, bytes and accesses out."""

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure
from tritforge.hw.bridge.byte_bridge import ByteBridge
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.build_library import Recipe, build_library

QUIET, TOKEN, CYCLES = 256, 257, 258
"""In a script: wait until all is done and a gap is over; offer a token, unless one waits; cycles to wait are added to
the last."""
SENT, WRITE, READ, MARK = range(4)
"""Kinds of events: a byte, an access, the end of `QUIET`."""
WORDS = 1024
"""Of the memory at the bus; the bus refuses what is beyond."""
FAULTS = {1: "an access changed", 2: "valid behind done", 3: "a byte changed before it was taken", 4: "no end"}
_SOURCE = Path(__file__).with_name("harness.cpp")


@cache
def build(gap: int) -> Path:
    """The library."""
    with tempfile.TemporaryDirectory() as folder:
        files = emit_verilog(ByteBridge(gap), "bridge", folder)
        lint(files, "bridge")
        return build_library(files, "bridge", Recipe("Vbridge", (_SOURCE,)))


class Harness:
    """One simulated bridge.

    Parameters
    ----------
    gap
        Of the bridge.
    interval
        Cycles from a byte to the next, and up to three more.
    slow
        One in so many cycles takes a byte; 0: each.
    """

    def __init__(self, gap: int = 32, interval: int = 11, slow: int = 0) -> None:
        self._library = ctypes.CDLL(str(build(gap)))
        self._library.bridge_create.restype = ctypes.c_void_p
        self._library.bridge_run.restype = ctypes.c_int64
        self._library.bridge_cycles.restype = ctypes.c_uint64
        self._board = ctypes.c_void_p(self._library.bridge_create(gap, interval, slow))

    @property
    def cycles(self) -> int:
        """So far."""
        cycles: int = self._library.bridge_cycles(self._board)
        return cycles

    def run(self, script: NDArray[np.uint16], capacity: int) -> NDArray[np.uint64]:
        """What happened: kind << 62 | word address << 32 | byte or word."""
        events = np.zeros(capacity, np.uint64)
        count = self._library.bridge_run(
            self._board,
            script.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(len(script)),
            events.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(capacity),
        )
        if count < 0:
            raise Failure(f"The bridge broke a rule: {FAULTS[-count]}.")
        assert count < capacity
        return events[:count]

    def close(self) -> None:
        """Free it."""
        self._library.bridge_destroy(self._board)
