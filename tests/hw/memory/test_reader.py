# SPDX-License-Identifier: Apache-2.0
"""The reader gives what memory holds, at full rate if its ring is as deep as it says."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.golden import TritforgeError
from tritforge.hw.memory.reader import Reader

CASES = {"128 bits": (21, 128, 16), "deep": (24, 64, 32), "odd": (9, 16, 5), "shallow": (12, 32, 2)}
"""Address bits, bits, depth."""


@pytest.mark.parametrize("name", CASES)
def test_runs_are_replayed(name: str, tmp_path: Path) -> None:
    reader, parameters = Reader(*CASES[name]), {"depth": CASES[name][-1]}
    assert bench(reader, "memory.reader", parameters, tmp_path) == ["replays", "a_beat_a_cycle", "gaps"]


def test_needed_depth() -> None:
    # the examples of its contract
    assert Reader.needed_depth(16, 0, 8) == 3
    assert Reader.needed_depth(16, 200, 8) == 28
    assert Reader.needed_depth(26) == 29


def test_a_reader_has_room() -> None:
    with pytest.raises(TritforgeError, match="2 beats or more, not 1"):
        Reader(21, 128, 1)
