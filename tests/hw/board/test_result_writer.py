# SPDX-License-Identifier: Apache-2.0
"""The result writer puts packets of any length into beats of any size."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.hw.board.result_writer import ResultWriter


@pytest.mark.parametrize("bits", [32, 128, 512])
def test_results_are_written(bits: int, tmp_path: Path) -> None:
    parameters = {"address_bits": 10, "bits": bits}
    assert bench(ResultWriter(10, bits), "board.result_writer", parameters, tmp_path) == ["packets", "close_behind"]
