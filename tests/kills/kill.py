# SPDX-License-Identifier: Apache-2.0
"""Runs a command that writes something, ends it at a random moment with SIGKILL, and looks at what is there.

Under a final name there is what was there before, or the whole of what the command writes; and the command, run
again, ends well. Files that have another name while they are written are left out.
"""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.host.cli.app import app
from tritforge.rtl_gen.cache.folder import VARIABLE

MODEL = ModelConfig(hidden=64, layers=4, intermediate=96, vocab=300)
Seen = dict[str, bytes]


@dataclass(frozen=True)
class Victim:
    """A command.

    Attributes
    ----------
    arguments : of `tritforge`, from the folder in which it works.
    final : names in that folder that it writes, files or folders.
    settle : what is done to that folder before each run, over what a run before has left.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    final: tuple[str, ...]
    settle: Callable[[Path], None] = lambda folder: None


def _fresh(*names: str) -> Callable[[Path], None]:
    """These are gone."""

    def settle(folder: Path) -> None:
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return settle


VICTIMS = (
    Victim("pack", lambda f: ["pack", str(f / "model"), "--preset", "tiny", "-o", str(f / "image")], ("image",)),
    Victim(
        "pack for three",
        lambda f: ["pack", str(f / "model"), "--preset", "tiny", "--cores", "3", "-o", str(f / "shared")],
        ("shared",),
        _fresh("shared"),
    ),
    Victim(
        "ternarise",
        lambda f: ["ternarise", str(f / "model"), "-o", str(f / "ternary")],
        ("ternary",),
        _fresh("ternary"),
    ),
    Victim("report", lambda f: ["report", "-o", str(f / "page.html")], ("page.html",)),
    Victim(
        "verilog",
        lambda f: ["verilog", "--preset", "tiny", "-o", str(f / "verilog")],
        ("verilog", "cache/core"),
        _fresh("cache"),
    ),
)
"""The last one emits Verilog anew, and takes seconds."""


def prepared(folder: Path) -> Path:
    """A folder with a model, for all of them."""
    write_random_checkpoint(folder / "model", MODEL, 1)
    os.environ[VARIABLE] = str(folder / "cache")
    return folder


def seen(folder: Path, victim: Victim) -> Seen:
    """What there is under final names."""
    found: Seen = {}
    for name in victim.final:
        path = folder / name
        for file in [path] if path.is_file() else sorted(path.rglob("*")) if path.is_dir() else []:
            parts = file.relative_to(folder).parts
            if file.is_file() and not any(part.startswith(".") or part.endswith(".lock") for part in parts):
                found["/".join(parts)] = file.read_bytes()
    return found


def run(victim: Victim, folder: Path, after: float | None = None) -> tuple[int, float]:
    """The command in a process of its own: how it ended, and the seconds it took; it is killed after so many."""
    process = multiprocessing.get_context("fork").Process(target=_command, args=(victim.arguments(folder),))
    started = time.monotonic()
    process.start()
    process.join(after)
    if process.is_alive():
        try:
            os.killpg(process.pid or 0, signal.SIGKILL)
        except ProcessLookupError:  # it has not begun one
            process.kill()
    process.join()
    return process.exitcode or 0, time.monotonic() - started


def _command(arguments: list[str]) -> None:
    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    app(arguments)


def killed(victim: Victim, folder: Path, count: int, chance: random.Random) -> int:
    """Kill the command so often; how many of them were still running. AssertionError for what is half."""
    _fresh(*victim.final)(folder)
    seconds = []
    for _ in range(2):  # the first may wait for files to be read
        victim.settle(folder)
        status, took = run(victim, folder)
        assert status == 0, f"{victim.name} ends with {status}"
        seconds.append(took)
    whole, ended = seen(folder, victim), 0
    assert whole, f"{victim.name} writes nothing"
    for number in range(count):
        victim.settle(folder)
        before = seen(folder, victim)
        status, _ = run(victim, folder, chance.uniform(0.0, min(seconds)))
        ended += status == -signal.SIGKILL
        after = seen(folder, victim)
        for name in before.keys() | after.keys():
            assert after.get(name) in (before.get(name), whole.get(name)), f"{victim.name}, kill {number}: {name}"
        if number % 10 == 0 or number == count - 1:
            if after == whole:
                victim.settle(folder)
            status, _ = run(victim, folder)
            assert status == 0 and seen(folder, victim) == whole, f"{victim.name} after kill {number}: {status}"
    return ended
