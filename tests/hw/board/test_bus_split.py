# SPDX-License-Identifier: Apache-2.0
"""The bus' split leads each access to whom it belongs."""

from pathlib import Path

from tests.unit_bench import bench
from tritforge.hw.board.bus_split import BusSplit


def test_accesses_are_led(tmp_path: Path) -> None:
    assert bench(BusSplit(), "board.bus_split", {}, tmp_path) == ["leads"]
