# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of random weights: seeds that are refused, names that are no Unicode."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import TINY, invoke

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("command", [("random-checkpoint", "--shape", "8,1,8,16", "-o", "x"), ("cosim", *TINY)])
@pytest.mark.parametrize("seed", [2**63, -1])
def test_seeds_that_no_generator_takes_are_refused(command: tuple[str, ...], seed: int) -> None:
    result = invoke(*command, "--seed", seed)
    assert result.exit_code == 2 and "Invalid value for '--seed'" in result.stderr


def test_names_and_terminals_that_are_no_unicode_are_no_bug(tmp_path: Path) -> None:
    """In a process of its own, since a command line and its streams are what this is about."""
    run = [sys.executable, "-m", "tritforge.host"]
    odd, surroundings = tmp_path / os.fsdecode(b"m\xff"), os.environ | {"PYTHONIOENCODING": "ascii"}
    given = [*run, "random-checkpoint", "--shape", "24,2,44,301", "-o", str(odd)]
    done = subprocess.run(given, cwd=ROOT, env=surroundings, capture_output=True, check=True)
    assert rb"m\udcff: 25,960 parameters" in done.stdout and (odd / "config.json").is_file()
    done = subprocess.run(given, cwd=ROOT, env=surroundings, capture_output=True)
    assert done.returncode == 2 and rb"m\udcff already holds a checkpoint; name another folder." in done.stderr
