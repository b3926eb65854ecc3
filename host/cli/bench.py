# SPDX-License-Identifier: Apache-2.0
"""The commands that measure whole tokens: on one core, and on many."""

import json
from dataclasses import asdict, astuple, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tritforge.golden import TritforgeError
from tritforge.golden.files import check_writable, make_folder, write_text
from tritforge.host.cli.console import heed, out, print_json, progress, say
from tritforge.host.cli.estimate import shape_of, sized_core
from tritforge.host.cli.options import SHAPES, Json, PresetName, Record, Settings
from tritforge.host.run.backends import saturation_warnings
from tritforge.host.run.fit import DEFAULT_PRESET
from tritforge.host.run.models import TALES
from tritforge.hw.schedule import MAX_CORES
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import made, on_verilog, put
from tritforge.perf.measured.subject import machine, named
from tritforge.perf.pages.tables_bench import value
from tritforge.sim.ring.feed import LARGEST_LATENCY

if TYPE_CHECKING:
    from tritforge.host.measure.figures import Figure, Section


def bench(
    full_size: Annotated[
        bool, typer.Option("--full-size/--quick", help="With the 370M, 1.3B and 2.7B shapes, or without.")
    ] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the figures as JSON.", metavar="FILE")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only sections whose title begins with it, such as 1.3B.", metavar="TEXT")
    ] = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Measure occupancy, prefill, simulation speed and packing.

    The full sizes need 10 GB where builds are kept, and minutes.

    With --record every section of which a document is made is kept as soon as it is measured.

    Example: tritforge bench --quick
    """
    from tritforge.host.measure.bench import SATURATIONS, Bench
    from tritforge.rtl_gen.tools.toolchain import tool_versions

    if output:
        make_folder(output.parent)
        check_writable(output)
    sections: list[Section] = []
    for section in Bench(say, progress).sections(full_size, only or ""):
        sections.append(section)
        if record and any((one.file, one.name) == ("bench", section.title) for one in plan.every()):
            _record(section)
        elif record:
            say(f"{section.title}: not kept, since no document is made of it.")
    if not sections:
        raise TritforgeError(f"No section's title begins with '{only}'.")
    figures = [figure for section in sections for figure in section.figures]
    count = sum(int(figure.value) for figure in figures if figure.what == SATURATIONS)
    warnings = heed(saturation_warnings(count))
    if not as_json:
        out.print(_table(sections))
    facts = {
        "machine": machine() + "".join(f", {name} {version}" for name, version in tool_versions().items()),
        "figures": {section.title: [asdict(figure) for figure in section.figures] for section in sections},
        "warnings": warnings,
    }
    if output:
        write_text(output, json.dumps(facts, indent=2) + "\n")
    if as_json:
        print_json(facts)


def scale_out(
    model: Annotated[
        str | None,
        typer.Argument(
            help=f"{SHAPES}; else a checkpoint folder or an image. Default: the shipped one.", metavar="MODEL"
        ),
    ] = None,
    cores: Annotated[str, typer.Option(help=f"How many, each 1 to {MAX_CORES}.", metavar="N,N,...")] = "1,2,4,8",
    name: PresetName = DEFAULT_PRESET,
    settings: Settings = None,
    link_latency: Annotated[
        str, typer.Option(help="Cycles from core to core beside their own; 0 for wires.", metavar="CYCLES,...")
    ] = "0",
    shared_memory: Annotated[
        float | None,
        typer.Option(
            help="Bytes a cycle of one memory behind all of them. Default: memory is never late.", metavar="BYTES"
        ),
    ] = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Simulate a token on cores that share a model, beside its projection.

    Prints cycles by cause, the projection's error, and the efficiency: tokens a second and core, against one core
    without a link. Only the model's shape counts, so a name or four numbers will do.

    Example: tritforge scaling 370M --preset edge --cores 1,2,4,8
    """
    from tritforge.host.measure.scaling import scaling
    from tritforge.hw.link.message import with_link
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    counts = _numbers("--cores", cores, 1, MAX_CORES)
    latencies = _numbers("--link-latency", link_latency, 0, LARGEST_LATENCY)
    if shared_memory is not None and not 0 < shared_memory < inf:
        raise TritforgeError(f"--shared-memory takes a number of bytes a cycle above 0, not {shared_memory:g}.")
    model = model or str(TALES)
    shape = shape_of(model)
    params = sized_core(name, settings, shape)
    if misfit := params.misfit(shape):
        raise TritforgeError(misfit)
    core = replace(params, link_bytes=0)
    title = plan.scaled_name(Path(model).name, named(params), cores, link_latency, shared_memory)
    one = plan.wanted("scaling", title) if record else None
    rows = [point.row for point in scaling(params, shape, counts, latencies, say, progress, shared_memory)]
    if one:
        on: dict[str, str] = {}
        for used in (core, with_link(params)):
            on |= on_verilog(named(used), cached_verilog(used), TOP)
        data: dict[str, Any] = {"core": named(core), "shape": list(astuple(shape)), "points": rows}
        data |= {} if shared_memory is None else {"memory": shared_memory}
        put(one.file, {one.name: made(one.command, data, on, ("verilator",), machine())})
    if as_json:
        print_json(rows)
        return
    table = Table("", *("" for _ in rows), title=f"{Path(model).name} on {named(core)}", title_justify="left")
    for what in rows[0]:
        table.add_row(what, *(_cell(what, row[what]) for row in rows))
    out.print(table)


def _cell(what: str, number: float) -> str:
    special = {"error": f"{number:+.2%}", "efficiency": f"{number:.4f}", "used": f"{number:.4f}"}
    return special.get(what, f"{number:,}")


def _numbers(option: str, text: str, least: int, most: int) -> list[int]:
    found = [int(part) if part.isdecimal() else -1 for part in text.split(",")]
    if not all(least <= number <= most for number in found):
        raise TritforgeError(f"{option} takes numbers from {least} to {most:,} with commas between, not '{text}'.")
    return list(dict.fromkeys(found))


def _record(section: "Section") -> None:
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    one = plan.wanted("bench", section.title)
    data: dict[str, Any] = {"figures": [asdict(figure) for figure in section.figures]}
    on = dict(section.on)
    for params in section.cores:
        on |= on_verilog(named(params), cached_verilog(params), TOP)
    if section.shape:
        data |= {"core": named(section.cores[0]), "shape": list(section.shape)}
    put(one.file, {one.name: made(one.command, data, on, ("verilator",), machine())})


def _table(sections: "list[Section]") -> Table:
    table = Table("", "value", "", "kind", "target")
    for section in sections:
        table.add_section()
        table.add_row(Text(section.title, style="bold"))
        for figure in section.figures:
            table.add_row(figure.what, value(figure.value), figure.unit, figure.tag, _target(figure))
    return table


def _target(figure: "Figure") -> str:
    return f"{figure.target}: {'met' if figure.met else 'missed'}" if figure.target else ""
