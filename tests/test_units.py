# SPDX-License-Identifier: Apache-2.0
"""The scalar and arithmetic units equal the golden model bit for bit, and their Verilog passes the lint."""

import gc
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from amaranth.lib import wiring

from golden.numerics import Formats
from hw.activation import Activation
from hw.divider import Divider
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
CASES: list[tuple[str, Formats, Callable[[Formats], wiring.Component]]] = [
    *(("rescale", fmt, lambda fmt: Rescale(CoreParams(formats=fmt))) for fmt in (DEFAULT, NARROW)),
    ("rescale", DEFAULT, lambda fmt: Rescale(CoreParams(formats=fmt, max_hidden=8192))),
    ("rescale", MIXED, lambda fmt: Rescale(CoreParams(formats=fmt, max_hidden=8, max_intermediate=8))),
    *(("activation", fmt, Activation) for fmt in (DEFAULT, NARROW, MIXED)),
    *(("normaliser", fmt, Normaliser) for fmt in (DEFAULT, NARROW)),
    ("divider", DEFAULT, lambda fmt: Divider(30, 15, 16)),
    ("divider", DEFAULT, lambda fmt: Divider(2 * fmt.mantissa, fmt.mantissa + 1, fmt.mantissa)),
    ("divider", NARROW, lambda fmt: Divider(2 * fmt.mantissa, fmt.mantissa + 1, fmt.mantissa)),
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
    assert run_cocotb(files, top, bench, parameters, testcase=name) == [name]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("widths", [(33, 16, 16), (16, 16, 16)])
def test_divider_rejects_widths_that_do_not_fit(widths: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="numerator"):
        Divider(*widths)
    gc.collect()  # A unit that was never finished is reported as unused: do that here, where it is expected.
