# SPDX-License-Identifier: Apache-2.0
"""What a host needs to generate: memory beside the image, at the largest published size, and no PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkpoints import random_checkpoint
from tests.cores import CORES, SMALL_LIMITS, packed_checkpoint
from tritforge.golden.checkpoints.config import ModelConfig

LIMIT = 200
"""MB beside the mapped image, all that the process takes included."""
GENERATE = """
import sys
from tritforge.host.cli.app import app

app(sys.argv[1:], standalone_mode=False)
print("PyTorch" if "torch" in sys.modules else "no PyTorch")
"""


def test_generating_at_full_size_takes_little_beside_the_image() -> None:
    command = [sys.executable, "-m", "tritforge.host", "measure", "memory", "2.7B", "--tokens", "2", "--json"]
    facts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert facts["image"] > 3 * LIMIT * 1e6 and facts["read"] > 3 * 500e6
    assert 10 < facts["MB"]["before"]["peak"] < facts["MB"]["after"]["peak"] < LIMIT


def test_generating_on_a_core_needs_no_pytorch(tmp_path: Path) -> None:
    """From an image, sampling; packets, core and text are the real ones."""
    packed_checkpoint(CORES["16x2"], random_checkpoint(tmp_path / "checkpoint"), tmp_path / "image")
    options = ["--prompt", "a", "--max-new-tokens", "3", "--backend", "rtl", "--temperature", "3", "--preset", "edge"]
    limits = [part for name, value in SMALL_LIMITS.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-c", GENERATE, "generate", str(tmp_path / "image"), *options, *limits]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert done.startswith("a") and done.splitlines()[-1] == "no PyTorch"


PROMPT = """
import sys
from contextlib import redirect_stdout
from unittest.mock import patch

from tritforge.host.cli.app import app
from tritforge.host.measure.memory import StandIn, megabytes

model, tokens, *options = sys.argv[1:]
with patch("tritforge.sim.simulator.SimTransport", StandIn), redirect_stdout(sys.stderr):
    given = ["--prompt", "a" * int(tokens), "--max-new-tokens", "2", *options]
    app(["generate", model, *given], standalone_mode=False)
print(megabytes()["peak"])
"""
COMPARED = """
import sys
from pathlib import Path

from tritforge.host.run.generate import Checked, Sampler, generate
from tritforge.host.run.golden_backends import IntegerBackend
from tritforge.host.measure.memory import megabytes
from tritforge.host.run.models import Model

source = Model(Path(sys.argv[1])).source()
backend = Checked(IntegerBackend(source), IntegerBackend(source), lambda ids: "")
list(generate(backend, [100] * int(sys.argv[2]), 2, Sampler()))
assert backend.compared > int(sys.argv[2])
print(megabytes()["peak"])
"""
GROWTH = 40
"""MB from a short prompt to a long one."""
WIDE = ModelConfig(hidden=16, layers=1, intermediate=32, vocab=32000)
WAYS = {
    "float": (PROMPT, "--backend", "float"),
    "integer": (PROMPT, "--backend", "integer"),
    "integer, sampling": (PROMPT, "--backend", "integer", "--temperature", "2"),
    "core": (PROMPT, "--backend", "rtl"),
    "core, sampling": (PROMPT, "--backend", "rtl", "--temperature", "2"),
    "compared": (COMPARED,),
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("wide") / "model", WIDE)


@pytest.mark.parametrize("way", WAYS)
def test_memory_does_not_grow_with_the_prompt(wide: Path, way: str) -> None:
    """At the published vocabulary; the core is one that answers at once."""
    code, *options = WAYS[way]

    def peak(tokens: int) -> float:
        command = [sys.executable, "-c", code, str(wide), str(tokens), *options]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    few, many = peak(100), peak(4000)
    assert many < few + GROWTH
