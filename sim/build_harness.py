# SPDX-License-Identifier: Apache-2.0
"""Builds the emitted core and its C++ harness into a shared library."""

from collections.abc import Sequence
from pathlib import Path

from tritforge.rtl_gen.tools.build import Status
from tritforge.sim.build_library import Recipe, build_library

HERE = Path(__file__).parent
HARNESS, RING = HERE / "harness.cpp", HERE / "ring" / "ring.cpp"
HEADERS = tuple(HERE / name for name in ("core.h", "exchange.h", "memory_model.h"))
COUNTING = ("--coverage-line", "--coverage-toggle")
"""Options of Verilator with which lines that run and bits that change are counted."""
RING_HEADERS = (*HEADERS, HERE / "ring" / "link.h", HERE / "ring" / "team.h")


def build_harness(
    verilog_files: Sequence[Path],
    top: str,
    lanes: int,
    taps: bool = False,
    status: Status | None = None,
    activity: bool = False,
    link_bytes: int = 0,
    mutants: bool = False,
    coverage: bool = False,
) -> Path:
    """Build the harness of a core, or of a ring of cores with links.

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
        Whether `Harness.activity` is to record how often every net changes; far slower. Meant for netlists.
    link_bytes
        Bytes of a beat of the core's links; 0 for one that has none.
    mutants
        Whether the top has an input that chooses a mutant, `Harness.mutate`; such a netlist is a tool's.
    coverage
        Whether lines that ran and bits that changed are counted, for `Harness.write_coverage`; half as fast.

    Returns
    -------
    Path
        The shared library, to be opened by `sim.harness.Harness`, with links by `sim.ring.ring.Ring`; kept as
        `build_library` says.

    Raises
    ------
    BuildError
        With the tools' messages.
    """
    # names of gates begin with an underscore; the lint of a tool's netlist is nobody's business
    recording = ("--trace-saif", "--trace-underscore", "--output-split", "20000", "-Wno-fatal", "-Wno-lint")
    link = (f"-DLINK_BYTES={link_bytes}",) if link_bytes else ()
    switches = {"TAPS": taps, "SAIF": activity, "MUTANTS": mutants}
    recipe = Recipe(
        "Vcore",
        (RING if link else HARNESS,),
        RING_HEADERS if link else HEADERS,
        defines=(f"-DLANES={lanes}", *link, *(f"-D{name}" for name, there in switches.items() if there)),
        options=(
            *(recording if activity else ("-Wno-fatal", "-Wno-lint") if mutants else ()),
            *(COUNTING if coverage else ()),
        ),
        together=not activity,
    )
    return build_library(verilog_files, top, recipe, status)
