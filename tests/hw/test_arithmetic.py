# SPDX-License-Identifier: Apache-2.0
"""The arithmetic units, of several rooms in one build, equal the golden model bit for bit."""

import gc
from dataclasses import asdict
from pathlib import Path

import pytest
from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tests.unit_bench import bench
from tritforge.golden.model.formats import CODE_MAX, Formats
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.rescale import Rescale
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.chords import Quotient
from tritforge.hw.scales.root import ReciprocalRoot
from tritforge.hw.vector.activation import Activation
from tritforge.hw.vector.normaliser import Normaliser
from tritforge.sim.benches.tb_units import UNITS

DEFAULT, NARROW = Formats(), Formats(wide_bits=24, frac=13, mantissa=14)
MIXED = Formats(wide_bits=32, frac=24, mantissa=12)
LIMITS: dict[Formats, dict[str, int]] = {
    DEFAULT: {"max_hidden": 8192},
    NARROW: {},
    MIXED: {"max_hidden": 8, "max_intermediate": 8},
}
"""Accumulators of 21, 20 and 11 bits: products of two limbs and of one."""


class Bench(wiring.Component):
    """Units side by side, so that one build serves them all; ports are called UNIT_PORT."""

    def __init__(self, units: dict[str, wiring.Component]) -> None:
        self._units = units
        super().__init__(
            {
                f"{name}_{port}": member
                for name, unit in units.items()
                for port, member in unit.signature.members.items()
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, unit in self._units.items():
            m.submodules[name] = unit
            for port, member in unit.signature.members.items():
                inner, outer = getattr(unit, port), getattr(self, f"{name}_{port}")
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        return m


def units(fmt: Formats) -> dict[str, wiring.Component]:
    """Every unit, the multiplier also with one limb on a side."""
    wide = signed(fmt.wide_bits)
    return {
        "rescale": Rescale(CoreParams(formats=fmt, **LIMITS[fmt])),
        "activation": Activation(fmt),
        "normaliser": Normaliser(fmt),
        "root": ReciprocalRoot(fmt),
        "quotient": Quotient(fmt.mantissa, CODE_MAX << fmt.code_shift, rounded=True),
        "square": Multiplier(wide, wide),
        "mixed": Multiplier(signed(fmt.wide_bits + 1), unsigned(17)),
    }


@pytest.mark.parametrize("fmt", LIMITS, ids=lambda fmt: f"{fmt.wide_bits}-{fmt.mantissa}")
def test_units_equal_the_golden_model(fmt: Formats, tmp_path: Path) -> None:
    parts = units(fmt)
    parameters = {"formats": asdict(fmt), "latency": {name: part.latency for name, part in parts.items()}}
    assert sorted(bench(Bench(parts), "units", parameters, tmp_path)) == sorted(UNITS)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(("a", "b"), [(signed(36), unsigned(4)), (unsigned(18), unsigned(37))])
def test_multiplier_rejects_what_is_too_wide(a: Shape, b: Shape) -> None:
    with pytest.raises(ValueError, match="two limbs a side"):
        Multiplier(a, b)
    gc.collect()  # A unit that was never finished is reported as unused: do that here, where it is expected.
