# SPDX-License-Identifier: Apache-2.0
"""Builds the emitted core and its C++ harness into a shared library, once for each distinct Verilog."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from golden import Failure, TritforgeError
from golden.files import REMEDIES
from sim.cache import VARIABLE, cache_folder
from sim.runtime import Runtime
from sim.toolchain import spaceless, tool_versions, toolchain_env, verilator, workplace

Status = Callable[[str], None]
"""Receives one line whenever a build says what it does next."""

HARNESS = Path(__file__).with_name("harness.cpp")
LIBRARY = "libharness.so"
ROOM = 1 << 20
"""Bytes; a disk with less is taken for the reason why a tool has failed."""


class BuildError(Failure):
    """Verilator or the C++ compiler failed."""


def build_harness(
    verilog_files: Sequence[Path],
    top: str,
    lanes: int,
    taps: bool = False,
    status: Status | None = None,
    activity: bool = False,
) -> Path:
    """Build the harness of a core.

    Parameters
    ----------
    verilog_files
        All Verilog files of the core.
    top
        Its top module.
    lanes
        Bytes of a beat of the weight stream.
    taps
        Whether the core has the debug ports ``tap_*``, of any number of rows a cycle.
    status
        Called with a line about what is going on, if something has to be built.
    activity
        Whether `Harness.activity` is to record how often every net changes; far slower. Meant for netlists, and
        compiled with little optimisation: there is much to compile and little to run.

    Returns
    -------
    Path
        The shared library, to be opened by `sim.harness.Harness`. It is kept in `sim.cache.cache_folder` and found
        again as long as Verilog, harness and tool versions stay the same.

    Raises
    ------
    BuildError
        With the tools' messages.
    """
    flags = [f"-DLANES={lanes}", *(["-DTAPS"] if taps else []), *(["-DSAIF"] if activity else [])]
    fixed = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--threads", "1")
    options = ("-fPIC", "-fvisibility=hidden")
    if activity:
        # names of gates begin with an underscore; the lint of a tool's netlist is nobody's business
        fixed = (*fixed, "--trace-saif", "--trace-underscore", "--output-split", "20000", "-Wno-fatal", "-Wno-lint")
    runtime = Runtime("harness", (*fixed, *options), ("verilated.o", "verilated_threads.o"))
    command = [
        *("--cc", "--exe", "--prefix", "Vcore", "--top-module", top, *fixed),
        *("-CFLAGS", " ".join((*options, *flags)), "-LDFLAGS", "-shared", "-o", LIBRARY),
    ]
    sources = [*verilog_files, HARNESS]
    with cached_build("harness", top, command, sources) as folder:
        if folder.fresh:
            say(status, f"Compiling the simulation of {top}, once (about a minute for a large core)")
            with workplace(folder.path) as place:
                run_tool(
                    [verilator(), *command, "-Mdir", str(place), *(str(spaceless(source)) for source in sources)]
                )
                kept = runtime.copy(place)
                make = ["make", "-C", str(place), "-f", "Vcore.mk", "-j", str(os.cpu_count() or 1), *kept]
                run_tool([*make, *(["OPT_FAST=-O1", "OPT_SLOW=-O0"] if activity else [])])
                runtime.keep(place)
                _keep_only(place, LIBRARY)
    return folder.final / LIBRARY


class BuildFolder:
    """A build in the making.

    Attributes
    ----------
    fresh
        Whether something has to be built, into `path`.
    path, final
        Temporary folder to build in and the place it moves to when the build has succeeded.
    """

    def __init__(self, final: Path) -> None:
        self.final = final
        self.fresh = not final.exists()
        self.path = final.with_name(f"{final.name}.{os.getpid()}.tmp")


@contextmanager
def cached_build(kind: str, top: str, recipe: Sequence[str], sources: Sequence[Path]) -> Iterator[BuildFolder]:
    """Enter a build folder named after everything that decides the result; one process builds at a time."""
    digest = hashlib.sha256(json.dumps([list(recipe), tool_versions()]).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    final = cache_folder() / kind / f"{top}-{digest.hexdigest()[:16]}"
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.with_name(f"{final.name}.lock")):
        folder = BuildFolder(final)
        if not folder.fresh:
            yield folder
            return
        shutil.rmtree(folder.path, ignore_errors=True)
        folder.path.mkdir()
        try:
            yield folder
            folder.path.rename(final)
        finally:
            shutil.rmtree(folder.path, ignore_errors=True)


def run_tool(command: Sequence[str]) -> None:
    """Run a build tool in the simulation's environment.

    Raises
    ------
    BuildError
        With the end of what the tool printed, if it fails.
    """
    result = subprocess.run(
        command, env=toolchain_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise build_failure(f"'{Path(command[0]).name}' failed while building the simulation", result.stdout)


def build_failure(what: str, said: str) -> TritforgeError:
    """The error for a tool that has failed: with the end of what it said, but where the disk was full."""
    # what a tool said may itself have found no room
    if os.strerror(errno.ENOSPC) in said or shutil.disk_usage(cache_folder()).free < ROOM:
        return TritforgeError(
            f"There is no room to build the simulation in {cache_folder()} or {tempfile.gettempdir()}; "
            f"{REMEDIES[errno.ENOSPC]} in the environment variable {VARIABLE} or TMPDIR."
        )
    return BuildError("\n".join([f"{what}:", *said.splitlines()[-40:]]))


def say(status: Status | None, line: str) -> None:
    if status is not None:
        status(line)


def _keep_only(folder: Path, name: str) -> None:
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()
