# SPDX-License-Identifier: Apache-2.0
"""The statistics equal their model."""

from pathlib import Path

import pytest

from tests.hw.vector.cases import UNITS, check
from tritforge.hw.vector.statistics import Statistics


@pytest.mark.parametrize("core", UNITS)
def test_statistics_equals_its_model(core: str, tmp_path: Path) -> None:
    check(Statistics, core, "statistics", tmp_path)
