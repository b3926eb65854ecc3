# SPDX-License-Identifier: Apache-2.0
"""The memory's clock is shifted by as many steps as are wanted."""

from pathlib import Path

from tests.unit_bench import bench
from tritforge.hw.board.phase_stepper import PhaseStepper


def test_steps_are_made(tmp_path: Path) -> None:
    assert bench(PhaseStepper(), "board.phase_stepper", {}, tmp_path) == ["steps"]
