# SPDX-License-Identifier: Apache-2.0
"""The stream front takes packets as its model does."""

from pathlib import Path

import pytest

from tests.stream_cores import CORES, told
from tests.unit_bench import bench
from tritforge.hw.stream.front import StreamFront


@pytest.mark.parametrize("core", ("1x1", "2x3-wide", "2x3-linked", "16x1-limits"))
def test_front(core: str, tmp_path: Path) -> None:
    assert bench(StreamFront(CORES[core]), "front", told(core), tmp_path) == ["packets"]
