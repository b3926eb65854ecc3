# SPDX-License-Identifier: Apache-2.0
"""The sequencer does what must hold, in time."""

from pathlib import Path

import pytest

from tests.stream_cores import CORES, told
from tests.unit_bench import bench
from tritforge.hw.control.sequencer import Sequencer


@pytest.mark.parametrize("core", ("1x1", "2x3", "2x3-linked", "16x1-limits"))
def test_sequencer(core: str, tmp_path: Path) -> None:
    assert bench(Sequencer(CORES[core]), "sequencer", told(core), tmp_path) == ["packets"]
