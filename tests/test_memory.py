# SPDX-License-Identifier: Apache-2.0
"""What a host needs to generate: memory beside the image, at the largest published size, and no PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

from tests.checkpoints import random_checkpoint
from tests.cores import CORES, SMALL_LIMITS, packed_checkpoint

LIMIT = 200
"""MB beside the mapped image, all that the process takes included."""
GENERATE = """
import sys
from host.cli import app

app(sys.argv[1:], standalone_mode=False)
print("PyTorch" if "torch" in sys.modules else "no PyTorch")
"""


def test_generating_at_full_size_takes_little_beside_the_image() -> None:
    command = [sys.executable, "-m", "host.memory", "2.7B", "--tokens", "2", "--json"]
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
