# SPDX-License-Identifier: Apache-2.0
"""Builds Verilog and C++ around it into a shared library, once for each distinct source."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tritforge.rtl_gen.tools.build import Status, cached_build, run_tool, say
from tritforge.rtl_gen.tools.runtime import Runtime
from tritforge.rtl_gen.tools.toolchain import spaceless, together, verilator, workplace

LIBRARY = "libharness.so"
_FAST = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--threads", "1")
_WHOLE, _SHARED = "LDFLAGS=-Wl,--whole-archive", "-Wl,--no-whole-archive -shared"
"""Around the archive of the objects: nothing calls it that the linker could see."""
_COMPILER = ("-fPIC", "-fvisibility=hidden")


@dataclass(frozen=True)
class Recipe:
    """How a library is built.

    Attributes
    ----------
    prefix : Verilator's class.
    sources : C++ files, and what else Verilator is to read. headers : those of the project that they include.
    defines : for the C++ compiler.
    options : of Verilator, more than the usual ones.
    together : whether all is compiled as one file; that of a netlist would be too large.
    """

    prefix: str
    sources: tuple[Path, ...]
    headers: tuple[Path, ...] = ()
    defines: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    together: bool = True


def build_library(verilog_files: Sequence[Path], top: str, recipe: Recipe, status: Status | None = None) -> Path:
    """Build a library.

    Parameters
    ----------
    verilog_files
        All Verilog files of the design.
    top
        Its top module.
    recipe
        What is built around it.
    status
        Called with a line about what is going on, if something has to be built.

    Returns
    -------
    Path
        The shared library. It is kept in `cache_folder` and found again as long as the sources and the tools'
        versions stay the same.

    Raises
    ------
    BuildError
        With the tools' messages.
    """
    fixed = (*_FAST, *recipe.options)
    runtime = Runtime("harness", (*fixed, *_COMPILER), ("verilated.o", "verilated_threads.o"))
    command = [
        *("--cc", "--exe", "--prefix", recipe.prefix, "--top-module", top, *fixed),
        *("-CFLAGS", " ".join((*_COMPILER, *recipe.defines)), "-LDFLAGS", _SHARED, "-o", LIBRARY),
    ]
    sources = [*verilog_files, *recipe.sources]
    with cached_build("harness", top, command, [*sources, *recipe.headers]) as folder:
        if folder.fresh:
            say(status, f"Compiling the simulation of {top}, once (about a minute for a large core)")
            with workplace(folder.path) as place:
                run_tool(
                    [verilator(), *command, "-Mdir", str(place), *(str(spaceless(source)) for source in sources)]
                )
                kept = runtime.copy(place)
                make = ["make", "-C", str(place), "-f", f"{recipe.prefix}.mk", "-j", str(os.cpu_count() or 1)]
                around = [source for source in recipe.sources if source.suffix == ".cpp"]
                joined = together(*around) if recipe.together else ()
                run_tool([*make, _WHOLE, *kept, *joined])
                runtime.keep(place)
                _keep_only(place, LIBRARY)
    return folder.final / LIBRARY


def _keep_only(folder: Path, name: str) -> None:
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()
