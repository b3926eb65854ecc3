# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of the packer."""

import subprocess
import sys
import time
from pathlib import Path

from tritforge.golden import Failure
from tritforge.host.measure.figures import Figure, at_least, at_most
from tritforge.perf.figure import Tag

PEAK = """
import os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, 0)
print(usage.ru_maxrss)
sys.exit(status != 0)
"""
"""Prints the peak memory of a command in kB; from a small process, since a child begins with its parent's peak."""
LIMITS = ("max_hidden=2560", "max_intermediate=6912", "max_layers=32")
"""Of a core that takes 2.7B."""


def packing(folder: Path, path: Path) -> list[Figure]:
    """Pack a checkpoint of 2.7B, or a smaller one, by the command, in a process of its own.

    Parameters
    ----------
    folder
        The checkpoint.
    path
        Where the image goes; it is removed.
    """
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    sets = (argument for limit in LIMITS for argument in ("--set", limit))
    python = [sys.executable, "-P"]
    command = [*python, "-m", "tritforge.host", "pack", str(folder), "-o", str(path), "--preset", "wide", *sets]
    started = time.perf_counter()
    done = subprocess.run([*python, "-c", PEAK, *command], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise Failure(f"Packing {folder.name} failed; run tritforge pack {folder} to see why.")
    memory, rate = int(done.stdout) * 1024 / 1e9, size / seconds / 1e6
    image = path.stat().st_size
    path.unlink()
    return [
        Figure("checkpoint", size / 1e9, "GB", Tag.MEASURED),
        Figure("image", image / 1e9, "GB", Tag.MEASURED),
        Figure("speed", rate, "MB/s of checkpoint, one core", Tag.MEASURED, *at_least(rate, 150)),
        Figure("peak memory", memory, "GB", Tag.MEASURED, *at_most(memory, 2)),
    ]
