# SPDX-License-Identifier: Apache-2.0
"""Recurrence, statistics and side words equal their models, and their Verilog passes the lint."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from amaranth.lib import wiring

from hw.params import CoreParams
from hw.recurrence import Recurrence
from hw.side import SideWords
from hw.statistics import Statistics
from rtl_gen.emit import emit_verilog
from rtl_gen.lint import lint
from sim.cocotb_run import run_cocotb
from tests.cores import CORES

CASES: list[tuple[str, CoreParams, Callable[[CoreParams], wiring.Component]]] = [
    ("recurrence", CoreParams(max_hidden=24, max_layers=3), Recurrence),
    ("statistics", CORES["16x2"], Statistics),
    ("statistics", CORES["narrow"], Statistics),
    ("side", CORES["4x2"], SideWords),
    ("side", CORES["64x4"], SideWords),
]


@pytest.mark.parametrize(
    ("name", "core", "make"), CASES, ids=[f"{c[0]}-{c[1].lanes}-{c[1].formats.wide_bits}" for c in CASES]
)
def test_unit_equals_its_model(
    name: str, core: CoreParams, make: Callable[[CoreParams], wiring.Component], tmp_path: Path
) -> None:
    unit, top = make(core), f"unit_{name}"
    files = emit_verilog(unit, top, tmp_path)
    lint(files, top)
    parameters = {
        "formats": asdict(core.formats),
        "latency": getattr(unit, "latency", None),
        "rows": core.max_hidden * core.max_layers,
    }
    assert run_cocotb(files, top, "sim.tb_vector", parameters, testcase=name) == [name]
