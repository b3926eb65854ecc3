# SPDX-License-Identifier: Apache-2.0
"""The units of the vector path and the whole of it equal their models, and their Verilog passes the lint."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from amaranth.lib import wiring

from tritforge.golden.model.formats import Formats
from tritforge.hw.params import CoreParams
from tritforge.hw.vector.gain import GainStage
from tritforge.hw.vector.path import VectorPath
from tritforge.hw.vector.recurrence import Recurrence
from tritforge.hw.vector.statistics import Statistics
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.cocotb_run import run_cocotb

LIMITS = {"max_intermediate": 30, "max_layers": 3, "max_vocab": 64}
NARROW = Formats(wide_bits=24, frac=13, mantissa=14)
CORES = {
    "1x1": CoreParams(lanes=4, element_bytes=1, max_hidden=22, **LIMITS),
    # one row group is a whole row block: the row buffers are read right after their last write
    "4x1": CoreParams(lanes=16, element_bytes=4, vector_rows=4, max_hidden=24, formats=NARROW, **LIMITS),
    "2x3": CoreParams(lanes=8, vector_rows=2, batch=3, act_bits=10, max_hidden=22, **LIMITS),
    # a row block is longer than any matrix: the numbers of its last row groups do not fit a tag
    "1x2": CoreParams(
        lanes=16, element_bytes=1, batch=2, max_hidden=8, max_intermediate=8, max_layers=2, max_vocab=64
    ),
}
"""Rows a cycle x contexts."""
CASES: list[tuple[str, str, Callable[[CoreParams], wiring.Component]]] = [
    *(("recurrence", name, Recurrence) for name in ("1x1", "4x1", "2x3")),
    *(("statistics", name, Statistics) for name in ("1x1", "4x1", "2x3")),
    *(("gain", name, GainStage) for name in ("1x1", "4x1", "2x3")),
    *(("path", name, VectorPath) for name in CORES),
]
BENCHES = {"gain": "tritforge.sim.benches.tb_gain", "path": "tritforge.sim.benches.tb_path"}
ATTRIBUTES = ("latency", "maximum_latency", "power_latency", "settled", "until_empty", "until_buffered", "words")


@pytest.mark.parametrize(("name", "core", "make"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_unit_equals_its_model(
    name: str, core: str, make: Callable[[CoreParams], wiring.Component], tmp_path: Path
) -> None:
    unit, top = make(CORES[core]), f"unit_{name}"
    files = emit_verilog(unit, top, tmp_path)
    lint(files, top)
    parameters = {"core": asdict(CORES[core]), "formats": asdict(CORES[core].formats)}
    for attribute in ATTRIBUTES:
        value = getattr(unit, attribute, None)
        parameters[attribute] = (
            {op.name: cycles for op, cycles in value.items()} if isinstance(value, dict) else value
        )
    assert run_cocotb(
        files, top, BENCHES.get(name, "tritforge.sim.benches.tb_vector"), parameters, testcase=name
    ) == [name]
