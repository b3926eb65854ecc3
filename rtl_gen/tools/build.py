# SPDX-License-Identifier: Apache-2.0
"""Builds that are kept: each in a folder named after everything that decides it."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from tritforge.golden import Failure, TritforgeError
from tritforge.golden.files import REMEDIES, make_folder, replacing_folder
from tritforge.rtl_gen.cache.folder import VARIABLE, cache_folder
from tritforge.rtl_gen.tools.toolchain import build_settings, toolchain_env

Status = Callable[[str], None]
"""Receives one line whenever a build says what it does next."""

ROOM = 1 << 20
"""Bytes; a disk with less is taken for the reason why a tool has failed."""


class BuildError(Failure):
    """Verilator or the C++ compiler failed."""


@dataclass(frozen=True)
class BuildFolder:
    """A build, kept or in the making.

    Attributes
    ----------
    path, final
        Where it is, and where it will be: a temporary folder takes its own name when the build has succeeded.
    """

    path: Path
    final: Path

    @property
    def fresh(self) -> bool:
        """Whether something has to be built, into `path`."""
        return self.path != self.final


@contextmanager
def cached_build(kind: str, top: str, recipe: Sequence[str], sources: Sequence[Path]) -> Iterator[BuildFolder]:
    """Enter a build folder named after everything that decides the result; one process builds at a time."""
    digest = hashlib.sha256(json.dumps([list(recipe), build_settings()]).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    final = cache_folder() / kind / f"{top}-{digest.hexdigest()[:16]}"
    make_folder(final.parent)
    lock = FileLock(final.with_name(f"{final.name}.lock"))
    with lock, nullcontext(final) if final.exists() else replacing_folder(final) as path:
        yield BuildFolder(path, final)


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
