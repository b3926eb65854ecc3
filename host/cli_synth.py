# SPDX-License-Identifier: Apache-2.0
"""The command that synthesises a core."""

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from golden import TritforgeError
from host.console import Json, PresetName, Settings, chosen_core, err, out, print_json, say
from host.models import DEFAULT_PRESET

if TYPE_CHECKING:
    from rtl_gen.pnr import Route
    from rtl_gen.synth import Area, Synthesis


def synth(
    name: PresetName = DEFAULT_PRESET,
    settings: Settings = None,
    device: Annotated[str, typer.Option(help="ecp5-85k, ultrascale+ or cyclonev.", metavar="NAME")] = "ecp5-85k",
    unit: Annotated[str | None, typer.Option(help="Only this unit, such as ternary_array.", metavar="UNIT")] = None,
    pnr: Annotated[bool, typer.Option("--pnr", help="Place and route as well (ecp5-85k; minutes a seed).")] = False,
    seeds: Annotated[int, typer.Option(help="Placements to try.", metavar="N")] = 3,
    as_json: Json = False,
) -> None:
    """Synthesise a core: area per unit and, routed for LFE5U-85F-6, its clock frequency and critical path.

    What was done before with the same Verilog and tools is found again under build/.

    Example: tritforge synth --preset tiny --device ecp5-85k --pnr --seeds 2
    """
    from rtl_gen.pnr import DEVICE, place_and_route
    from rtl_gen.synth import DEVICES, check, synthesise, versions
    from sim.transport import TOP, cached_verilog

    if device not in DEVICES:
        raise TritforgeError(f"Unknown device '{device}'; choose from {', '.join(DEVICES)}.")
    if pnr and device != "ecp5-85k":
        raise TritforgeError(f"Only ecp5-85k can be placed and routed, not {device}; leave --pnr out.")
    if seeds < 1:
        raise TritforgeError(f"--seeds must be at least 1, not {seeds}.")
    files, top = cached_verilog(chosen_core(name, settings), say), TOP
    if unit:
        top = f"{TOP}_{unit}"
        modules = [file.stem.removeprefix(f"{TOP}_") for file in files if file.stem != TOP]
        if unit not in modules:
            raise TritforgeError(f"The core has no unit '{unit}'; choose from {', '.join(modules)}.")
    with err.status("Checking") as spinner:
        log = follow(spinner.update)
        check(files, top, log=log)
        synthesis = synthesise(files, top, device, say, log)
        routes = place_and_route(synthesis, top, range(1, seeds + 1), say, log) if pnr else []
    if as_json:
        print_json(
            {
                "top": top,
                "device": device,
                "tools": versions(),
                "units": {u.name: {"number": u.number} | asdict(u.area) for u in synthesis.units},
                "total": asdict(synthesis.total),
                "routes": [asdict(route) for route in routes],
            }
        )
        return
    out.print(_areas(synthesis, f"{top}, {device}", DEVICES[device].lut))
    if routes:
        out.print(_path(routes[0], DEVICE))
        others = ", ".join(f"seed {route.seed}: {route.fmax:.1f}" for route in routes)
        out.print(f"{routes[0].logic:,} LUT4 occupied, RAM included. MHz by seed: {others}")


def follow(update: Callable[[str], None]) -> Callable[[str], None]:
    """Shows on a spinner which step a tool is at."""

    def log(line: str) -> None:
        step = re.match(r"[\d.]+ Executing (.*?)\.?$|Info: ((?:Pack|Plac|Rout|Creat|Running|Promot).*)", line)
        if step:
            update((step[1] or step[2])[:90])

    return log


def _areas(synthesis: "Synthesis", title: str, lut: int) -> Table:
    # 80 columns hold it: no frame, and the number of a unit only where there are several
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("unit", no_wrap=True)
    for column in (f"LUT{lut}s", "LUT", "carry", "FF", "BRAM", "LUTRAM", "DSP", "inner FF"):
        table.add_column(column, justify="right", no_wrap=True)
    for unit in synthesis.units:
        table.add_row(unit.name if unit.number == 1 else f"{unit.number} x {unit.name}", *_cells(unit.area))
    table.add_section()
    table.add_row("sum", *_cells(synthesis.total))
    return table


def _cells(area: "Area") -> list[str]:
    return [f"{count:,}" for count in asdict(area).values()]


def _path(route: "Route", device: str) -> Table:
    title = f"{route.fmax:.1f} MHz on {device}; the critical path, {1000 / route.fmax:.2f} ns, to {route.endpoint}"
    table = Table("signal", "from", title=title, title_justify="left")
    for column in ("logic ns", "routing ns"):
        table.add_column(column, justify="right")
    for hop in route.path:
        table.add_row(hop.signal, hop.source, f"{hop.logic:.2f}", f"{hop.routing:.2f}")
    return table
