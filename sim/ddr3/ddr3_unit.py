# SPDX-License-Identifier: Apache-2.0
"""The harness of a DDR3 controller with its modelled memory and the reader in front: registers, writes, runs."""

import ctypes
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tritforge.hw.memory.axi_reader import AxiReader
from tritforge.hw.memory.ddr3 import BANK_BITS, CYCLES_OF_A_WORD, ROW_BYTES_BITS, WORD_BITS, Ddr3Params
from tritforge.rtl_gen.ddr3.emit import cached_controller
from tritforge.rtl_gen.tools.build import Status
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.build_library import Recipe, build_library

ROW_BITS = 9
"""Of the modelled memory, whose rows, banks and refreshes are as those of the true one; 8 MB."""
BYTE_BITS = ROW_BITS + BANK_BITS + ROW_BYTES_BITS
WORDS = 1 << BYTE_BITS - 4
BETWEEN = 50
"""Cycles from an access to the next, in which a command is carried out; on a serial line there are thousands."""
LITEX = ("-Wno-lint", "-Wno-style", "-Wno-COMBDLY")
"""For Verilator: LiteX writes combinational logic with non-blocking assignments, and widths as it likes."""
DEPTH = 512
"""Beats of the reader's ring."""


def build_ddr3(params: Ddr3Params, burst: int = 256, status: Status | None = None) -> Path:
    """The library of a controller with the reader in front, kept until something of it changes.

    Parameters
    ----------
    params
        Of the controller.
    burst
        Beats of the reader's longest burst.
    status
        Told what begins.
    """
    here = Path(__file__).parent
    controller = cached_controller(params.with_rows(ROW_BITS), True, status)
    options = (*LITEX, f"-DBYTE_BITS={BYTE_BITS}")
    recipe = Recipe("Vunit", (here / "ddr3_unit.cpp",), options=options)
    with tempfile.TemporaryDirectory() as folder:
        reader = AxiReader(BYTE_BITS - 4, WORD_BITS, DEPTH, outstanding=16, burst=burst, id_bits=params.id_bits)
        files = emit_verilog(reader, "reader", folder)
        return build_library([*files, controller.verilog, here / "ddr3_unit.v"], "unit", recipe, status)


class Ddr3Unit:
    """A controller after its reset; its registers are words, as a board's (`host.board.link.Link`).

    Parameters
    ----------
    library : what `build_ddr3` gave.
    """

    def __init__(self, library: Path) -> None:
        self._library = _load(library)
        self._unit = self._library.unit_create()

    def close(self) -> None:
        """Nothing is left of it."""
        self._library.unit_destroy(self._unit)

    def write(self, address: int, data: Sequence[int]) -> None:
        """Registers from a byte address on."""
        for number, word in enumerate(data):
            self._access(address + 4 * number, True, word)

    def read(self, address: int, words: int) -> NDArray[np.uint32]:
        """Registers from a byte address on."""
        return np.array([self._access(address + 4 * number, False, 0) for number in range(words)], np.uint32)

    def sleep(self, seconds: float) -> None:
        """Time passes that a simulation does not need: the model knows no times."""
        self._library.unit_idle(self._unit, min(int(seconds * 1e8), 100))

    def fill(self, word: int, data: NDArray[np.uint8]) -> None:
        """Write words of 16 bytes, a row each, through the controller's port."""
        assert data.shape[1:] == (16,) and data.flags.c_contiguous and word + len(data) <= WORDS
        if not self._library.unit_write(self._unit, word, len(data), data.ctypes.data):
            raise TimeoutError("The controller does not take what is written.")

    def run(self, word: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
        """A run of the reader: its words, and the cycle in which each left it."""
        data, cycles = np.zeros((count, 16), np.uint8), np.zeros(count, np.uint64)
        came = self._library.unit_read(self._unit, word, count, data.ctypes.data, cycles.ctypes.data)
        if came != count:
            raise TimeoutError(f"{came} words came instead of {count}, or not as they should.")
        return data, cycles

    def _access(self, address: int, write: bool, data: int) -> int:
        answer = ctypes.c_uint32()
        if not self._library.unit_access(self._unit, address, write, data, ctypes.byref(answer)):
            raise TimeoutError(f"Nothing answers at {address:#x}.")
        self._library.unit_idle(self._unit, BETWEEN)
        return answer.value


def share(cycles: NDArray[np.uint64]) -> float:
    """Of the memory's peak, from the cycles of a run's words: from the first to the last, refreshes and all."""
    return CYCLES_OF_A_WORD * (len(cycles) - 1) / int(cycles[-1] - cycles[0])


@cache
def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    pointer, number, word, flag = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_int
    for name, result, arguments in (
        ("unit_create", pointer, ()),
        ("unit_destroy", None, (pointer,)),
        ("unit_access", flag, (pointer, word, flag, word, ctypes.POINTER(word))),
        ("unit_write", flag, (pointer, number, number, pointer)),
        ("unit_read", number, (pointer, number, number, pointer, pointer)),
        ("unit_idle", None, (pointer, number)),
        ("unit_cycle", number, (pointer,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
