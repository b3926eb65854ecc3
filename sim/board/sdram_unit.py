# SPDX-License-Identifier: Apache-2.0
"""The SDRAM controller alone at the simulated chip, and the chip alone at pins that a script gives."""

import ctypes
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from tritforge.hw.memory.sdram import SdramController
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.board.chip_timing import ChipTiming
from tritforge.sim.build_library import Recipe, build_library

REQUEST = np.dtype([("address", np.uint64), ("write", np.uint32), ("gap", np.uint32)])
PINS = np.dtype(
    [
        *((name, np.uint8) for name in ("cke", "cs_n", "ras_n", "cas_n", "we_n")),
        *((name, np.uint32) for name in ("ba", "a", "dqm", "dq")),
        ("dq_driven", np.uint8),
    ],
    align=True,
)
OUT = np.dtype([("dq", np.uint32), ("driven", np.uint32)])
_KEPT = 64
_TOP = "unit"


class _Violation(ctypes.Structure):
    _fields_ = (("cycle", ctypes.c_uint64), ("rule", ctypes.c_char_p), ("bank", ctypes.c_uint32))


class FlatController(wiring.Component):  # type: ignore[misc] # Amaranth has no types
    """The controller with ports whose names are the same in Verilog and C++.

    Parameters
    ----------
    controller : inside.
    """

    def __init__(self, controller: SdramController) -> None:
        self._controller = controller
        port, pins = controller.port.signature, controller.pins.signature
        super().__init__(
            {
                "request_valid": In(1),
                "request_ready": Out(1),
                "request_address": In(port.address_bits),
                "request_write": In(1),
                "request_data": In(port.bits),
                "answer_valid": Out(1),
                "answer": Out(port.bits),
                "capture": In(controller.capture.shape()),
                "initialised": Out(1),
                **pins.members,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.controller = inner = self._controller
        request, pins = inner.port.request, inner.pins
        m.d.comb += [
            request.valid.eq(self.request_valid),
            request.p.address.eq(self.request_address),
            request.p.write.eq(self.request_write),
            request.p.data.eq(self.request_data),
            self.request_ready.eq(request.ready),
            self.answer_valid.eq(inner.port.answer_valid),
            self.answer.eq(inner.port.answer),
            inner.capture.eq(self.capture),
            self.initialised.eq(inner.initialised),
        ]
        for name, member in pins.signature.members.items():
            ours, theirs = getattr(self, name), getattr(pins, name)
            m.d.comb += ours.eq(theirs) if member.flow is Out else theirs.eq(ours)
        return m


def build_unit(controller: SdramController) -> Path:
    """The library of a controller and the chip."""
    here = Path(__file__).parent
    recipe = Recipe(
        "Vunit",
        (here / "sdram_unit.cpp",),
        headers=(here / "sdram_chip.h",),
        defines=(f"-DWORD_BYTES={controller.port.signature.bits // 8}",),
    )
    with tempfile.TemporaryDirectory() as folder:
        files = emit_verilog(FlatController(controller), _TOP, folder)
        lint(files, _TOP)
        return build_library(files, _TOP, recipe)


class Chip:
    """The simulated chip.

    Parameters
    ----------
    library : what `build_unit` gave.
    timing : of a new chip, to which a script is given.
    handle : of the chip at a controller, instead.
    """

    def __init__(self, library: Path, timing: ChipTiming | None = None, handle: int | None = None) -> None:
        self._library, self._created = _load(library), handle is None
        self._chip = handle if timing is None else self._library.chip_create(ctypes.byref(timing))

    def close(self) -> None:
        if self._created:
            self._library.chip_destroy(self._chip)

    def clock(self, pins: NDArray[Any]) -> NDArray[Any]:
        """What the chip drives, of `OUT`, at edges with pins, of `PINS`."""
        outs = np.zeros(len(pins), OUT)
        self._library.chip_clock(self._chip, pins.ctypes.data, outs.ctypes.data, len(pins))
        return outs

    def memory(self, size: int) -> NDArray[np.uint8]:
        """Its first bytes, to be read and written in place."""
        return np.ctypeslib.as_array(self._library.chip_data(self._chip), (size,))

    def refreshes(self) -> int:
        return int(self._library.chip_refreshes(self._chip))

    def violations(self) -> Counter[str]:
        """The first ones, by the names of their rules."""
        found = (_Violation * _KEPT)()
        count = self._library.chip_violations(self._chip, found, _KEPT)
        rules = Counter(one.rule.decode() for one in found[: min(count, _KEPT)])
        assert rules.total() == min(count, _KEPT)
        return rules


@dataclass(frozen=True)
class Traffic:
    """What came of requests.

    Attributes
    ----------
    answers : words, a row of bytes each.
    taken, answered : the cycle of each request, and of each answer.
    """

    answers: NDArray[np.uint8]
    taken: NDArray[np.uint64]
    answered: NDArray[np.uint64]


class SdramUnit:
    """A controller at a chip.

    Parameters
    ----------
    library : what `build_unit` gave.
    timing : of the chip.
    word_bytes : of the controller.
    delay : cycles by which data come later from the chip.
    """

    def __init__(self, library: Path, timing: ChipTiming, word_bytes: int, delay: int = 0) -> None:
        self._library, self._word_bytes = _load(library), word_bytes
        self._unit = self._library.unit_create(ctypes.byref(timing), delay)
        self.chip = Chip(library, handle=self._library.unit_chip(self._unit))

    def close(self) -> None:
        self._library.unit_destroy(self._unit)

    def initialised_after(self) -> int:
        """Cycles from the reset to the end of the initialisation."""
        return int(self._library.unit_initialised_after(self._unit, 1 << 24))

    def idle(self, cycles: int) -> None:
        self._library.unit_idle(self._unit, cycles)

    def run(self, requests: NDArray[Any], data: NDArray[np.uint8], capture: int = 0) -> Traffic:
        """Requests, of `REQUEST`, and a word for each, which only writes use.

        Raises
        ------
        TimeoutError
            If they are not answered, or what was not asked for is.
        """
        reads = int((requests["write"] == 0).sum())
        answers = np.zeros((reads, self._word_bytes), np.uint8)
        taken, answered = np.zeros(len(requests), np.uint64), np.zeros(reads, np.uint64)
        limit = 100 * len(requests) + int(requests["gap"].sum()) + (1 << 20)
        arrays = (data, answers, taken, answered)
        assert data.shape == (len(requests), self._word_bytes) and data.flags.c_contiguous
        came = self._library.unit_run(
            self._unit,
            requests.ctypes.data,
            len(requests),
            *(array.ctypes.data for array in arrays),
            capture,
            limit,
        )
        if came != reads:
            raise TimeoutError(f"{came} answers came instead of {reads}.")
        return Traffic(answers, taken, answered)


def requests(
    addresses: Sequence[int] | NDArray[Any], write: Sequence[int] | int = 0, gap: Sequence[int] | int = 0
) -> NDArray[Any]:
    """Requests for `SdramUnit.run`."""
    made = np.zeros(len(addresses), REQUEST)
    made["address"], made["write"], made["gap"] = addresses, write, gap
    return made


@cache
def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    for name, result, arguments in (
        ("unit_create", pointer, (pointer, ctypes.c_uint32)),
        ("unit_destroy", None, (pointer,)),
        ("unit_run", number, (pointer, pointer, number, *(pointer,) * 4, ctypes.c_uint32, number)),
        ("unit_idle", None, (pointer, number)),
        ("unit_initialised_after", number, (pointer, number)),
        ("unit_chip", pointer, (pointer,)),
        ("chip_create", pointer, (pointer,)),
        ("chip_destroy", None, (pointer,)),
        ("chip_clock", None, (pointer, pointer, pointer, number)),
        ("chip_data", ctypes.POINTER(ctypes.c_uint8), (pointer,)),
        ("chip_refreshes", number, (pointer,)),
        ("chip_violations", number, (pointer, pointer, number)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
