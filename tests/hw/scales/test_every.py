# SPDX-License-Identifier: Apache-2.0
"""Reciprocals and roots equal their one-line specification for every operand.

Of a quotient all operands are tried. Those of a root, 2**34 of them, are not: tried are the smallest and the largest
number of each root, and the numbers on both sides of each border of the table. That is enough. A root is the value of
a chord or one less, whichever its square tells. Between two neighbours of these numbers the chord only rises and the
right root is the same: if what comes out is right at both, the chord says the root or one more at both, hence also in
between, where the square tells them apart as it does there.
"""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from amaranth.lib import wiring

from tritforge.golden.model.formats import CODE_MAX, Formats
from tritforge.hw.scales.chords import INDEX_BITS, Quotient
from tritforge.hw.scales.root import TOTAL_BITS, ReciprocalRoot
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.build_library import Recipe, build_library

SOURCE = Path(__file__).with_name("every.cpp")
FORMATS = [Formats(), Formats(wide_bits=24, frac=13, mantissa=14), Formats(wide_bits=32, frac=24, mantissa=12)]


def outputs(unit: wiring.Component, taken: str, given: str, values: np.ndarray, folder: Path) -> np.ndarray:
    """What a unit says of each value."""
    files = emit_verilog(unit, "unit", folder)
    recipe = Recipe("Vunit", (SOURCE,), defines=(f"-DINPUT={taken}", f"-DOUTPUT={given}"))
    library = ctypes.CDLL(str(build_library(files, "unit", recipe)))
    inputs, found = values.astype(np.uint64), np.zeros(len(values), np.uint32)
    pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (inputs, found))
    start, end = pointers
    library.run(start, ctypes.c_size_t(len(values)), ctypes.c_size_t(unit.latency), end)
    return found.astype(np.int64)


@pytest.fixture(params=FORMATS, ids=lambda fmt: f"{fmt.mantissa}")
def fmt(request: pytest.FixtureRequest) -> Formats:
    found: Formats = request.param
    return found


@pytest.mark.parametrize("rounded", [False, True])
def test_every_quotient(fmt: Formats, rounded: bool, tmp_path: Path) -> None:
    """The highest bit of an operand counts as set."""
    bits = fmt.mantissa
    numerator = CODE_MAX << fmt.code_shift if rounded else (1 << 2 * bits - 1) - 1
    values = np.arange(1 << bits)
    found = outputs(Quotient(bits, numerator, rounded=rounded), "denominator", "quotient", values, tmp_path)
    normalised = values | 1 << bits - 1
    expected = (2 * numerator + normalised) // (2 * normalised) if rounded else numerator // normalised
    assert (found == expected).all()


def test_every_root(fmt: Formats, tmp_path: Path) -> None:
    bits = fmt.mantissa
    roots = np.arange(1 << bits - 1, 1 << bits)
    borders = np.arange(1 << INDEX_BITS - 2, 1 << INDEX_BITS) << 2 * bits - INDEX_BITS
    totals = np.sort(np.concatenate([roots**2, (roots + 1) ** 2 - 1, borders, borders[1:] - 1]))
    # the same, and with anything in the bits that are shifted out
    shift = TOTAL_BITS - 2 * bits & -2
    shifted = (totals.astype(np.uint64) << np.uint64(shift)) + np.uint64((1 << shift) - 1)
    expected = np.minimum((1 << 2 * bits - 1) // golden_roots(totals), (1 << bits) - 1)
    for values in (totals, shifted):
        assert (outputs(ReciprocalRoot(fmt), "total", "root", values, tmp_path) == expected).all()


def golden_roots(totals: np.ndarray) -> np.ndarray:
    """Exact."""
    found = np.sqrt(totals.astype(np.float64)).astype(np.int64)
    found -= found**2 > totals
    return found + ((found + 1) ** 2 <= totals)
