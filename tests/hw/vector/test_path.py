# SPDX-License-Identifier: Apache-2.0
"""The whole vector path equals its model."""

from pathlib import Path

import pytest

from tests.hw.vector.cases import CORES, check
from tritforge.hw.vector.path import VectorPath


@pytest.mark.parametrize("core", CORES)
def test_path_equals_its_model(core: str, tmp_path: Path) -> None:
    check(VectorPath, core, "path", tmp_path, "path")
