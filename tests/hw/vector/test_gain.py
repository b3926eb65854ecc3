# SPDX-License-Identifier: Apache-2.0
"""The gain stage equals its model."""

from pathlib import Path

import pytest

from tests.hw.vector.cases import UNITS, check
from tritforge.hw.vector.gain import GainStage


@pytest.mark.parametrize("core", UNITS)
def test_gain_equals_its_model(core: str, tmp_path: Path) -> None:
    check(GainStage, core, "gain", tmp_path, "gain")
