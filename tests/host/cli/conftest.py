# SPDX-License-Identifier: Apache-2.0
"""An empty folder to run in, with the core in software; a model and an image of it."""

from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import random_checkpoint
from tests.command_line import TINY, call
from tests.fake_core import FakeSim

PROMPT = "Grün war's"


def read(path: str) -> dict[str, np.ndarray]:
    """The arrays of a .npz file."""
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder with the core in software."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tritforge.sim.simulator.SimTransport", FakeSim)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def image(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "model.tfi"
    call("pack", model, "-o", path, *TINY)
    return path
