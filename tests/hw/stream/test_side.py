# SPDX-License-Identifier: Apache-2.0
"""The side words equal a list of beats."""

from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.hw.params import CoreParams
from tritforge.hw.stream.side import SideWords

CASES = {
    "4-1-1": (CoreParams(lanes=4, vector_rows=1, batch=1, element_bytes=2), {"depth": 32, "units": 16, "limit": 16}),
    "64-2-3": (CoreParams(lanes=64, vector_rows=2, batch=3, element_bytes=4), {"depth": 16, "units": 48, "limit": 6}),
    "16-4-8": (
        CoreParams(lanes=16, vector_rows=4, batch=8, element_bytes=1),
        {"depth": 128, "units": 44, "limit": 44},
    ),
}
"""By lanes, rows and contexts: a core, then what follows from it: beats of the ring, groups of words in reach, most
beats released at once."""


@pytest.mark.parametrize("name", CASES)
def test_side_words_equal_a_list_of_beats(name: str, tmp_path: Path) -> None:
    params, derived = CASES[name]
    assert bench(SideWords(params), "side", derived | {"latency": SideWords.latency}, tmp_path) == ["side"]
