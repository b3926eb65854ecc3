# SPDX-License-Identifier: Apache-2.0
"""Side words and result unit equal their models, and their Verilog passes the lint."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tritforge.hw.control.result import ResultUnit
from tritforge.hw.params import CoreParams
from tritforge.hw.stream.side import SideWords
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.cocotb_run import run_cocotb

SIDE = [
    (CoreParams(lanes=4, vector_rows=1, batch=1, element_bytes=2), {"depth": 32, "units": 16, "limit": 16}),
    (CoreParams(lanes=64, vector_rows=2, batch=3, element_bytes=4), {"depth": 16, "units": 48, "limit": 6}),
    (CoreParams(lanes=16, vector_rows=4, batch=8, element_bytes=1), {"depth": 128, "units": 44, "limit": 44}),
]
"""A core, then what follows from it: beats of the ring, groups of words in reach, most beats released at once."""

RESULT = [
    CoreParams(lanes=4, max_vocab=33),
    CoreParams(lanes=32, vector_rows=8, max_vocab=77),
    CoreParams(lanes=16, vector_rows=4, batch=8, max_vocab=64),
]


def geometry(params: CoreParams) -> str:
    """lanes-V-B"""
    return f"{params.lanes}-{params.vector_rows}-{params.batch}"


@pytest.mark.parametrize(("params", "derived"), SIDE, ids=[geometry(params) for params, _ in SIDE])
def test_side_words_equal_a_list_of_beats(params: CoreParams, derived: dict[str, int], tmp_path: Path) -> None:
    files = emit_verilog(SideWords(params), "unit_side", tmp_path)
    lint(files, "unit_side")
    parameters = derived | {"latency": SideWords.latency}
    assert run_cocotb(files, "unit_side", "tritforge.sim.benches.tb_side", parameters) == ["side"]


@pytest.mark.parametrize("params", RESULT, ids=geometry)
def test_result_packets_are_complete(params: CoreParams, tmp_path: Path) -> None:
    files = emit_verilog(ResultUnit(params), "unit_result", tmp_path)
    lint(files, "unit_result")
    parameters = asdict(params) | {"formats": None}
    assert run_cocotb(files, "unit_result", "tritforge.sim.benches.tb_result", parameters) == ["packets", "speed"]
