# SPDX-License-Identifier: Apache-2.0
"""The command that measures everything and writes the page of benchmarks."""

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from host.console import Json, out, print_json, progress, say

if TYPE_CHECKING:
    from host.bench import Figure, Section

INTRODUCTION = """# Benchmarks

Written by `tritforge bench --page docs/benchmarks.md` (`make bench`), on {machine}.

*Measured*: counted or timed while it ran. *Derived*: arithmetic on measured figures. *Projected*: with the
assumption that stands beside it. Cycles come from the core's own counters (`hw/trace.py` says what each means)
and are the same on every machine; seconds are those of this one. Full sizes have random weights
(`tritforge random-checkpoint`).
"""


def bench(
    full_size: Annotated[
        bool, typer.Option("--full-size/--quick", help="With the 370M, 1.3B and 2.7B shapes, or without.")
    ] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the figures as JSON.", metavar="FILE")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Write them as a Markdown page.", metavar="FILE")] = None,
    as_json: Json = False,
) -> None:
    """Measure occupancy, prefill, simulation speed and packing. The full sizes need 10 GB under build/ and minutes.

    Example: tritforge bench --quick
    """
    from host.bench import Bench
    from sim.toolchain import tool_versions

    sections: list[Section] = []
    for section in Bench(say, progress).sections(full_size):
        sections.append(section)
    if not as_json:
        out.print(_table(sections))
    machine = f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    machine += "".join(f", {name} {version}" for name, version in tool_versions().items())
    facts = {
        "machine": machine,
        "figures": {section.title: [asdict(figure) for figure in section.figures] for section in sections},
    }
    if output:
        _write(output, json.dumps(facts, indent=2) + "\n")
    if page:
        _write(page, INTRODUCTION.format(machine=machine) + "".join(map(_markdown, sections)))
    if as_json:
        print_json(facts)


def _table(sections: "list[Section]") -> Table:
    table = Table("", "value", "", "kind", "target")
    for section in sections:
        table.add_section()
        table.add_row(f"[bold]{section.title}[/bold]")
        for figure in section.figures:
            table.add_row(figure.what, _number(figure.value), figure.unit, figure.tag, _target(figure))
    return table


def _markdown(section: "Section") -> str:
    lines = [f"\n## {section.title}\n", "| | value | | kind | target |", "|---|---:|---|---|---|"]
    lines += [f"| {f.what} | {_number(f.value)} | {f.unit} | {f.tag} | {_target(f)} |" for f in section.figures]
    return "\n".join([*lines, *(["", section.note] if section.note else [])]) + "\n"


def _target(figure: "Figure") -> str:
    return f"{figure.target}: {'met' if figure.met else 'missed'}" if figure.target else ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(text)
    os.replace(temporary, path)
