# SPDX-License-Identifier: Apache-2.0
"""The arithmetic units, of several rooms in one build, equal the golden model bit for bit."""

import gc
from dataclasses import asdict
from pathlib import Path

import pytest
from amaranth.hdl import Shape, signed, unsigned

from tests.unit_bench import bench
from tritforge.golden.model.formats import Formats
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.params import CoreParams
from tritforge.sim.benches.tb_units import UNITS
from tritforge.sim.benches.units import Arithmetic

DEFAULT, NARROW = Formats(), Formats(wide_bits=24, frac=13, mantissa=14)
MIXED = Formats(wide_bits=32, frac=24, mantissa=12)
LIMITS: dict[Formats, dict[str, int]] = {
    DEFAULT: {"max_hidden": 8192},
    NARROW: {},
    MIXED: {"max_hidden": 8, "max_intermediate": 8},
}
"""Accumulators of 21, 20 and 11 bits: products of two limbs and of one."""


@pytest.mark.parametrize("fmt", LIMITS, ids=lambda fmt: f"{fmt.wide_bits}-{fmt.mantissa}")
def test_units_equal_the_golden_model(fmt: Formats, tmp_path: Path) -> None:
    params = CoreParams(formats=fmt, **LIMITS[fmt])
    unit = Arithmetic(params)
    parameters = {"core": asdict(CoreParams(formats=fmt)), "latency": unit.latencies}
    assert sorted(bench(unit, "units", parameters, tmp_path)) == sorted(UNITS)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("a", "b"), [(signed(36), unsigned(4)), (unsigned(18), unsigned(37))])
def test_multiplier_rejects_what_is_too_wide(a: Shape, b: Shape) -> None:
    with pytest.raises(ValueError, match="two limbs a side"):
        Multiplier(a, b)
    gc.collect()  # A unit that was never finished is reported as unused: do that here, where it is expected.
