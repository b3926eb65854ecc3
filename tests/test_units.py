# SPDX-License-Identifier: Apache-2.0
"""The scalar and arithmetic units equal the golden model bit for bit, and their Verilog passes the lint."""

import gc
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import wiring

from golden.numerics import CODE_MAX, Formats
from hw.activation import Activation
from hw.chords import Quotient
from hw.multiplier import Multiplier
from hw.normaliser import Normaliser
from hw.params import CoreParams
from hw.rescale import Rescale
from hw.root import ReciprocalRoot
from hw.scales import ScaleUnit
from rtl_gen.emit import emit_verilog
from rtl_gen.lint import lint
from sim.cocotb_run import run_cocotb

DEFAULT, NARROW = Formats(), Formats(wide_bits=24, frac=13, mantissa=14)
MIXED = Formats(wide_bits=32, frac=24, mantissa=12)


def _reciprocal(fmt: Formats) -> Quotient:
    return Quotient(fmt.mantissa, CODE_MAX << fmt.code_shift, rounded=True)


CASES: list[tuple[str, Formats, Callable[[Formats], wiring.Component]]] = [
    *(("rescale", fmt, lambda fmt: Rescale(CoreParams(formats=fmt))) for fmt in (DEFAULT, NARROW)),
    ("rescale", DEFAULT, lambda fmt: Rescale(CoreParams(formats=fmt, max_hidden=8192))),
    ("rescale", MIXED, lambda fmt: Rescale(CoreParams(formats=fmt, max_hidden=8, max_intermediate=8))),
    *(("activation", fmt, Activation) for fmt in (DEFAULT, NARROW, MIXED)),
    *(("normaliser", fmt, Normaliser) for fmt in (DEFAULT, NARROW)),
    ("multiplier", DEFAULT, lambda fmt: Multiplier(signed(fmt.wide_bits), signed(fmt.wide_bits), plus=1 << 19)),
    ("multiplier", DEFAULT, lambda fmt: Multiplier(signed(33), unsigned(17))),
    *(("quotient", fmt, _reciprocal) for fmt in (DEFAULT, NARROW, MIXED)),
    *(("root", fmt, ReciprocalRoot) for fmt in (DEFAULT, NARROW)),
    *(("scales", fmt, lambda fmt: ScaleUnit(CoreParams(formats=fmt))) for fmt in (DEFAULT, MIXED)),
    ("scales", DEFAULT, lambda fmt: ScaleUnit(CoreParams(formats=fmt, batch=3))),
    ("scales", NARROW, lambda fmt: ScaleUnit(CoreParams(formats=fmt, batch=8))),
]


@pytest.mark.parametrize(("name", "fmt", "make"), CASES, ids=[f"{c[0]}-{c[1].wide_bits}" for c in CASES])
def test_unit_equals_golden_model(
    name: str, fmt: Formats, make: Callable[[Formats], wiring.Component], tmp_path: Path
) -> None:
    unit, top = make(fmt), f"unit_{name}"
    files = emit_verilog(unit, top, tmp_path)
    lint(files, top)
    bench = "sim.tb_scales" if name == "scales" else "sim.tb_units"
    parameters = {"formats": asdict(fmt), "latency": getattr(unit, "latency", None)}
    if isinstance(unit, Multiplier):
        parameters |= {"plus": unit.plus, "signed": {name: getattr(unit, name).shape().signed for name in "ab"}}
    assert run_cocotb(files, top, bench, parameters, testcase=name) == [name]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("a", "b", "plus", "says"), [(signed(36), 4, 0, "two limbs a side"), (signed(18), signed(18), 1, "constant")]
)
def test_multiplier_rejects_what_it_cannot_do(a: Shape, b: Shape, plus: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Multiplier(a, b, plus)
    gc.collect()  # A unit that was never finished is reported as unused: do that here, where it is expected.
