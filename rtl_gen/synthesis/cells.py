# SPDX-License-Identifier: Apache-2.0
"""Maps a design onto the standard cells of a Liberty library, with Yosys."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tritforge.golden import TritforgeError
from tritforge.rtl_gen.synthesis.synth import recipe, run_script
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.tools.yowasp import Log

NETLIST, MODELS, FLAT = "gates.v", "cells.v", "flat.json"


@dataclass(frozen=True)
class Gates:
    """A design as cells of a library.

    Attributes
    ----------
    top : its name.
    netlist, models : Verilog to simulate: the cells unit by unit, with memories as behaviour, and what each kind of
        cell does, as the library says.
    flat : the same cells without boundaries and memories, as Yosys' JSON.
    """

    top: str
    netlist: Path
    models: Path
    flat: Path


def map_cells(
    files: Sequence[Path],
    top: str,
    liberty: Path,
    period: float,
    status: Status | None = None,
    log: Log | None = None,
) -> Gates:
    """Map a design onto a library.

    Memories stay memories: what stands for them on a chip is no standard cell.

    Parameters
    ----------
    files, top
        Verilog of the design, one module a file of the same name, and its top module.
    liberty
        The library; needs an inverter and a flip-flop without reset at least.
    period
        Nanoseconds that a path should take at most; what is slower gets larger cells and buffers.
    status, log
        Told what begins, if it is not cached, and every line of the tools.

    Raises
    ------
    TritforgeError
        If the library has no inverter.
    SynthError
        If Yosys fails.
    """
    driver = inverter(liberty)
    without = " ".join(f"-dont_use {name}" for name in dont_use(liberty))
    below = " ".join(f"{top}/t:{file.stem}" for file in files if file.stem != top)
    script = [
        "read_liberty -lib cells.lib",
        f"setattr -set keep_hierarchy 1 {below}",
        f"synth -top {top} -flatten -run begin:fine",
        *("opt -fast -full", "techmap", "opt -fast"),
        *(f"dfflibmap {without} -liberty cells.lib", "opt"),
        # without a driver and a load nothing is buffered, and power is many times too high
        f"abc -liberty cells.lib {without} -constr constraints -D {round(1000 * period)}",
        # single bits simulate faster, and named alike in every file they can be found again
        *("splitnets", "opt_clean -purge", "rename -enumerate -pattern _%_"),
        f"write_verilog -noattr {NETLIST}",
        *("delete t:$mem_v2", "setattr -unset keep_hierarchy *", "setattr -mod -unset keep_hierarchy *"),
        *("flatten", f"write_json {FLAT}"),
        "design -reset",
        "read_liberty -ignore_miss_func cells.lib",
        f"write_verilog -noattr {MODELS}",
    ]
    constraints = f"set_driving_cell {driver}\nset_load 0.02 [all_outputs]\n"
    with cached_build("gates", top, [*recipe(script), constraints], [*files, liberty]) as folder:
        if folder.fresh:
            say(status, f"Mapping {top} onto {liberty.stem} (minutes for a whole core)")
            (folder.path / "constraints").write_text(constraints)
            (folder.path / "cells.lib").write_bytes(liberty.read_bytes())
            run_script(folder.path, files, top, script, log)
            # what happens inside a cell is none of a trace's business
            models = folder.path / MODELS
            models.write_text("/* verilator tracing_off */\n" + models.read_text())
    return Gates(top, *(folder.final / name for name in (NETLIST, MODELS, FLAT)))


SPECIAL = re.compile(r"lpflow")
"""In names of cells for parts of a chip that are switched off (sky130): no logic, though their functions are such."""


def dont_use(liberty: Path) -> list[str]:
    """Cells that nothing may be mapped onto: those that the library marks ``dont_use``, and `SPECIAL` ones."""
    return [
        name
        for name, body in _cells(liberty)
        if SPECIAL.search(name) or re.search(r'^\s*dont_use\s*:\s*"?true"?', body, re.M | re.I)
    ]


def groups(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Name and what follows it, for every group of a kind, such as ``cell`` or ``pin``, in the text of a library."""
    _, *found = re.split(rf'^\s*{kind}\s*\(\s*"?(\w+)', text, flags=re.M)
    yield from zip(found[::2], found[1::2], strict=True)


def _cells(liberty: Path) -> Iterator[tuple[str, str]]:
    return groups(liberty.read_text(errors="replace"), "cell")


def inverter(liberty: Path) -> str:
    """An inverter of middling strength, by its function."""
    found, without = [], set(dont_use(liberty))
    for name, body in _cells(liberty):
        functions = re.findall(r'\bfunction\s*:\s*"([^"]*)"', body)
        area = re.search(r"area\s*:\s*([\d.]+)", body)
        if len(functions) == 1 and re.fullmatch(r"\(?\s*!\s*\(?\s*\w+\s*\)?\s*\)?", functions[0]) and area:
            found += [(float(area[1]), name)] if name not in without else []
    if not found:
        raise TritforgeError(f"{liberty} has no inverter; give a Liberty file of a standard-cell library.")
    found.sort()
    return found[len(found) // 2][1]
