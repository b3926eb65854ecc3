# SPDX-License-Identifier: Apache-2.0
"""Header reader, stream front and sequencer equal their models, and their Verilog passes the lint."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from amaranth.lib import wiring

from tritforge.hw.control.sequencer import Sequencer
from tritforge.hw.params import CoreParams
from tritforge.hw.stream.front import StreamFront
from tritforge.hw.stream.header_reader import HeaderReader
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.cocotb_run import run_cocotb

LIMITS = {"max_hidden": 28, "max_intermediate": 44, "max_layers": 3, "max_vocab": 70}
"""The head has more row groups than a tag can number."""
CORES = {
    "1x1": CoreParams(lanes=4, **LIMITS),
    # few row groups a row block, so that the G rows of two contexts need a distance
    "2x3": CoreParams(lanes=16, element_bytes=4, vector_rows=2, batch=3, **LIMITS),
    # header and constants are a single beat each
    "2x3-wide": CoreParams(lanes=64, element_bytes=4, vector_rows=2, batch=3, **LIMITS),
    "1x8": CoreParams(lanes=16, batch=8, **LIMITS),
}
"""Rows a cycle x contexts."""


UNITS: dict[str, tuple[Callable[[CoreParams], wiring.Component], list[str]]] = {
    "header": (HeaderReader, ["valid_headers", "broken_headers", "flipped_bits"]),
    "front": (StreamFront, ["packets"]),
    "sequencer": (Sequencer, ["packets"]),
}
CASES = [
    *(("header", name) for name in ("1x1", "1x8")),
    *(("front", name) for name in ("1x1", "2x3-wide")),
    *(("sequencer", name) for name in ("1x1", "2x3")),
]


@pytest.mark.parametrize(("unit", "core"), CASES, ids=[f"{unit}-{core}" for unit, core in CASES])
def test_unit_equals_its_model(unit: str, core: str, tmp_path: Path) -> None:
    make, tests = UNITS[unit]
    files = emit_verilog(make(CORES[core]), f"unit_{unit}", tmp_path)
    lint(files, f"unit_{unit}")
    parameters = asdict(CORES[core]) | {"formats": None}
    assert run_cocotb(files, f"unit_{unit}", f"tritforge.sim.benches.tb_{unit}", parameters) == tests
