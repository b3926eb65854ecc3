# SPDX-License-Identifier: Apache-2.0
"""A simulated board at a serial port: the design of a bitstream, from the line's bytes to the memory's pins."""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure
from tritforge.hw.board.machine import MachineParams
from tritforge.hw.board.sdram_side import SdramSide
from tritforge.rtl_gen.ddr3.simulated import simulated_machine, smaller
from tritforge.rtl_gen.tools.build import Status
from tritforge.rtl_gen.verilog.cached import cached_machine
from tritforge.sim.board.chip_timing import chip_timing
from tritforge.sim.build_library import Recipe, build_library
from tritforge.sim.ddr3.ddr3_unit import LITEX

TOP = "board"
SLICE = 1 << 18
"""Cycles between two looks at the keyboard."""
_KEPT = 64


class MemoryViolation(Failure):
    """The design has broken a rule of the memory chip; the message says which and when."""


class _Violation(ctypes.Structure):
    _fields_ = (("cycle", ctypes.c_uint64), ("rule", ctypes.c_char_p), ("bank", ctypes.c_uint32))


class SimulatedBoard:
    """A serial port (`host.board.port.SerialPort`) with a simulated board at its other end.

    Time is the board's: `read` simulates until a byte has come or its time is over, and nothing passes in between.

    Parameters
    ----------
    params
        Of the machine.
    status
        Told what is going on while the simulation is compiled, which happens once for each distinct machine.

    Attributes
    ----------
    progress
        Called with the simulated cycles now and then; None for nobody.
    """

    def __init__(self, params: MachineParams, status: Status | None = None) -> None:
        memory, settings = params.memory, None
        if isinstance(memory, SdramSide):
            settings = ctypes.byref(chip_timing(memory.chip, params.clock_hz / 1e6))
        else:
            params = smaller(params)
        self.params = params
        self.progress: Callable[[int], None] | None = None
        self._library = _load(build_board(params, status))
        self._board = self._library.board_create(settings, params.clock_hz, params.baud)

    def write(self, content: bytes) -> None:
        """Put bytes on their way; they take their time while something is read."""
        self._library.board_send(self._board, content, len(content))

    def read(self, count: int, timeout_s: float) -> bytes:
        """Up to so many bytes, at least one where any comes in time."""
        found = ctypes.create_string_buffer(count)
        left = max(1, round(timeout_s * self.params.clock_hz))
        while True:
            came = int(self._library.board_receive(self._board, found, count))
            if came or not left:
                self._judge()
                return found.raw[:came]
            left -= int(self._library.board_run(self._board, min(left, SLICE), 1))
            if self.progress is not None:
                self.progress(self.cycles)

    def close(self) -> None:
        """Nothing is left of it."""
        if self._board:
            self._library.board_destroy(self._board)
        self._board = None

    def clock(self) -> float:
        """Seconds since the beginning."""
        return self.cycles / self.params.clock_hz

    @property
    def cycles(self) -> int:
        """Since the beginning."""
        return int(self._library.board_cycles(self._board))

    def idle(self, cycles: int) -> None:
        """Let time pass; bytes that come wait."""
        self._library.board_run(self._board, cycles, 0)

    def reset(self) -> None:
        """What a reset button does: the memory keeps what it holds as long as it is refreshed."""
        self._library.board_reset(self._board)

    def put(self, address: int, data: NDArray[np.uint8]) -> None:
        """Put bytes into the memory at once; through the line it would take an hour of simulation."""
        content = np.ascontiguousarray(data)
        assert address + len(content) <= self.params.memory.size
        self._library.board_put(self._board, address, content.ctypes.data, len(content))

    def _judge(self) -> None:
        found = (_Violation * _KEPT)()
        count = int(self._library.board_violations(self._board, found, _KEPT))
        if count:
            first = found[0]
            raise MemoryViolation(
                f"The memory's rule {first.rule.decode()} was broken in cycle {first.cycle:,}, bank {first.bank} "
                f"({count:,} violations in all)."
            )


def build_board(params: MachineParams, status: Status | None = None) -> Path:
    """The library of a simulated board, kept and built anew when anything that decides it has changed."""
    here = Path(__file__).parent
    common = (here / "board.h", here / "line.h")
    if isinstance(params.memory, SdramSide):
        recipe = Recipe("Vboard", (here / "sdram_board.cpp",), headers=(*common, here / "sdram_chip.h"))
        return build_library(cached_machine(params, TOP, status), TOP, recipe, status)
    files = simulated_machine(params, TOP, status)
    recipe = Recipe("Vboard", (here / "ddr3_board.vlt", here / "ddr3_board.cpp"), headers=common, options=LITEX)
    return build_library(files, TOP, recipe, status)


@cache
def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    for name, result, arguments in (
        ("board_create", pointer, (pointer, number, number)),
        ("board_destroy", None, (pointer,)),
        ("board_reset", None, (pointer,)),
        ("board_run", number, (pointer, number, ctypes.c_int)),
        ("board_cycles", number, (pointer,)),
        ("board_send", None, (pointer, ctypes.c_char_p, number)),
        ("board_receive", number, (pointer, ctypes.c_char_p, number)),
        ("board_put", None, (pointer, number, pointer, number)),
        ("board_violations", number, (pointer, ctypes.POINTER(_Violation), number)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
