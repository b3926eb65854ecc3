# SPDX-License-Identifier: Apache-2.0
"""The scale unit equals the golden model."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden.model.formats import Formats
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleUnit

CASES = {
    "32": (Formats(), 1, 8),
    "12 bit mantissa": (Formats(wide_bits=32, frac=24, mantissa=12), 1, 9),
    "3 contexts": (Formats(), 3, 12),
    "8 contexts": (Formats(wide_bits=24, frac=13, mantissa=14), 8, 8),
}
"""Formats, contexts, bits of a code."""


@pytest.mark.parametrize("name", CASES)
def test_scale_unit_equals_the_golden_model(name: str, tmp_path: Path) -> None:
    fmt, batch, bits = CASES[name]
    unit = ScaleUnit(CoreParams(formats=fmt, batch=batch, act_bits=bits))
    assert bench(unit, "scales", {"formats": asdict(fmt), "act_bits": bits}, tmp_path) == ["scales"]
