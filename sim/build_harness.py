# SPDX-License-Identifier: Apache-2.0
"""Builds the emitted core and its C++ harness into a shared library, once for each distinct Verilog."""

import os
from collections.abc import Sequence
from pathlib import Path

from tritforge.rtl_gen.tools.build import Status, cached_build, run_tool, say
from tritforge.rtl_gen.tools.runtime import Runtime
from tritforge.rtl_gen.tools.toolchain import spaceless, verilator, workplace

HARNESS = Path(__file__).with_name("harness.cpp")
LIBRARY = "libharness.so"


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
        The shared library, to be opened by `sim.harness.Harness`. It is kept in `cache_folder` and found
        again as long as Verilog, harness and tool versions stay the same.

    Raises
    ------
    BuildError
        With the tools' messages.
    """
    flags = [f"-DLANES={lanes}", *(["-DTAPS"] if taps else []), *(["-DSAIF"] if activity else [])]
    fixed: tuple[str, ...] = ("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--threads", "1")
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


def _keep_only(folder: Path, name: str) -> None:
    for path in folder.iterdir():
        if path.name != name:
            path.unlink()
