# SPDX-License-Identifier: Apache-2.0
"""The quantiser."""

from pathlib import Path

import pytest

from golden.numerics import Formats
from hw.params import CoreParams
from hw.quantiser import Quantiser
from rtl_gen.emit import emit_verilog
from rtl_gen.lint import lint
from sim.cocotb_run import run_cocotb

FORMATS = ({}, {"wide_bits": 24, "frac": 12, "mantissa": 12})


@pytest.mark.parametrize(("element_bytes", "act_bits"), [(1, 8), (2, 12)])
@pytest.mark.parametrize("formats", FORMATS)
def test_quantiser(element_bytes: int, act_bits: int, formats: dict[str, int], tmp_path: Path) -> None:
    """Codes equal the model's bit for bit, and the Verilog is exact in its widths."""
    core = CoreParams(lanes=16, element_bytes=element_bytes, act_bits=act_bits, formats=Formats(**formats))
    files = emit_verilog(Quantiser(core), "quantiser", tmp_path)
    lint(files, "quantiser")
    parameters = {"element_bytes": element_bytes, "act_bits": act_bits, "formats": formats}
    run_cocotb(files, "quantiser", "sim.tb_quantiser", parameters)
