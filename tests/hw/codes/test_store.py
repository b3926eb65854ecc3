# SPDX-License-Identifier: Apache-2.0
"""The vector store equals its model in every cycle, and its Verilog passes the lint."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden.model.formats import Formats
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.params import CoreParams

NARROW = Formats(wide_bits=24, frac=12, mantissa=12)
CORES = [
    CoreParams(lanes=16, vector_rows=1, batch=1, max_hidden=47, max_intermediate=90),
    CoreParams(lanes=32, vector_rows=8, batch=1, max_hidden=56, max_intermediate=187),
    CoreParams(lanes=16, vector_rows=2, batch=3, max_hidden=46, max_intermediate=90),
    CoreParams(lanes=16, element_bytes=1, vector_rows=4, batch=8, max_hidden=32, max_intermediate=71, formats=NARROW),
]
"""Rows a cycle that do and do not divide the columns (10, and 5 in the last)."""


@pytest.mark.parametrize("params", CORES, ids=[f"{c.vector_rows}x{c.batch}" for c in CORES])
def test_store(params: CoreParams, tmp_path: Path) -> None:
    """Codes, timing and bookkeeping against the golden model."""
    assert len(bench(VectorStore(params), "store", asdict(params), tmp_path)) == 2
