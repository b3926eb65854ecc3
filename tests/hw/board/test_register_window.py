# SPDX-License-Identifier: Apache-2.0
"""The window turns accesses into transactions of AXI4-Lite."""

from pathlib import Path

from tests.unit_bench import bench
from tritforge.hw.board.register_window import RegisterWindow


def test_accesses_become_transactions(tmp_path: Path) -> None:
    assert bench(RegisterWindow(), "board.register_window", {}, tmp_path) == ["transactions"]
