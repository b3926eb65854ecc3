# SPDX-License-Identifier: Apache-2.0
"""The header reader takes what is right and refuses what is not."""

from pathlib import Path

import pytest

from tests.stream_cores import CORES, told
from tests.unit_bench import bench
from tritforge.hw.stream.header_reader import HeaderReader


@pytest.mark.parametrize("core", ("1x1", "1x8", "2x3-linked", "16x1-limits"))
def test_header_reader(core: str, tmp_path: Path) -> None:
    assert bench(HeaderReader(CORES[core]), "header", told(core), tmp_path) == [
        "valid_headers",
        "broken_headers",
        "flipped_bits",
    ]
