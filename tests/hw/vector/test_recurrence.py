# SPDX-License-Identifier: Apache-2.0
"""The recurrence equals its model."""

from pathlib import Path

import pytest

from tests.hw.vector.cases import UNITS, check
from tritforge.hw.vector.recurrence import Recurrence


@pytest.mark.parametrize("core", UNITS)
def test_recurrence_equals_its_model(core: str, tmp_path: Path) -> None:
    check(Recurrence, core, "recurrence", tmp_path)
