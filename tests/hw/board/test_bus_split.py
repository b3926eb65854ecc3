# SPDX-License-Identifier: Apache-2.0
"""The bus' split leads each access to whom it belongs."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.hw.board.boards import BOARDS
from tritforge.hw.board.bus_split import BusSplit


@pytest.mark.parametrize("board", BOARDS)
def test_accesses_are_led(board: str, tmp_path: Path) -> None:
    ways = BOARDS[board].memory.ways
    assert bench(BusSplit(ways), "board.bus_split", {"ways": [*ways]}, tmp_path) == ["leads"]
