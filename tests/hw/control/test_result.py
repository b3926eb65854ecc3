# SPDX-License-Identifier: Apache-2.0
"""Result packets are complete, under stalls and without."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.hw.control.result import ResultUnit
from tritforge.hw.params import CoreParams

CORES = [
    CoreParams(lanes=4, max_vocab=33),
    CoreParams(lanes=32, vector_rows=8, max_vocab=77),
    CoreParams(lanes=16, vector_rows=4, batch=8, max_vocab=64),
]


@pytest.mark.parametrize("params", CORES, ids=lambda params: f"{params.lanes}-{params.vector_rows}-{params.batch}")
def test_result_packets_are_complete(params: CoreParams, tmp_path: Path) -> None:
    parameters = asdict(params) | {"formats": None}
    assert bench(ResultUnit(params), "result", parameters, tmp_path) == ["packets", "speed"]
