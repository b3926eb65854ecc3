# SPDX-License-Identifier: Apache-2.0
"""The scalar and arithmetic units equal the golden model bit for bit, and their Verilog passes the lint."""

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

FORMATS = [
    Formats(),
    Formats(wide_bits=24, frac=13, mantissa=14),
    Formats(wide_bits=32, frac=24, mantissa=12),
]
UNITS: dict[str, Callable[[Formats], wiring.Component]] = {
    "rescale": lambda fmt: Rescale(CoreParams(formats=fmt)),
    "rescale_widest": lambda fmt: Rescale(CoreParams(formats=fmt, max_hidden=8192)),
    "rescale_narrowest": lambda fmt: Rescale(CoreParams(formats=fmt, max_hidden=8, max_intermediate=8)),
    "activation": Activation,
    "normaliser": Normaliser,
    "divider": lambda fmt: Divider(30, 15, 16),
    "divider_short": lambda fmt: Divider(2 * fmt.mantissa, fmt.mantissa + 1, fmt.mantissa),
    "root": ReciprocalRoot,
    "scales": ScaleUnit,
}


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: f"{fmt.wide_bits}-{fmt.frac}-{fmt.mantissa}")
@pytest.mark.parametrize("name", UNITS)
def test_unit_equals_golden_model(name: str, fmt: Formats, tmp_path: Path) -> None:
    unit = UNITS[name](fmt)
    test, top = name.split("_")[0], f"unit_{name}"
    files = emit_verilog(unit, top, tmp_path)
    lint(files, top)
    parameters = {"formats": asdict(fmt), "latency": getattr(unit, "latency", None)}
    assert run_cocotb(files, top, "sim.tb_units", parameters, testcase=test) == [test]


@pytest.mark.parametrize("widths", [(33, 16, 16), (16, 16, 16)])
def test_divider_rejects_widths_that_do_not_fit(widths: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="numerator"):
        Divider(*widths)
