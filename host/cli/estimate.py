# SPDX-License-Identifier: Apache-2.0
"""The commands that estimate: one core, many cores, and the page that shows both."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import PUBLISHED
from tritforge.golden.files import check_writable, make_folder, write_text
from tritforge.host.cli.console import err, out, print_json, print_rows, say
from tritforge.host.cli.options import SHAPES, Json, PresetName, Settings, chosen_core, parse_shape
from tritforge.host.run.fit import DEFAULT_PRESET
from tritforge.host.run.models import Model
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Shape
from tritforge.perf.figure import number

if TYPE_CHECKING:
    from tritforge.perf.estimates.estimate import Estimate
    from tritforge.perf.figure import Figure

ModelName = Annotated[str, typer.Argument(help=f"{SHAPES}; else a checkpoint folder or an image.", metavar="MODEL")]
PlatformName = Annotated[
    str,
    typer.Option(
        "--platform", help="A platform of perf/estimates/platforms, or a file like them.", metavar="NAME|FILE.toml"
    ),
]
Contexts = Annotated[int, typer.Option(help="Tokens that share a pass over the weights.", metavar="N")]
DEFAULT_PLATFORM = "ecp5-85f"


def estimate_core(
    model: ModelName,
    name: PresetName = DEFAULT_PRESET,
    settings: Settings = None,
    platform_name: PlatformName = DEFAULT_PLATFORM,
    contexts: Contexts = 1,
    as_json: Json = False,
) -> None:
    """Estimate tokens/s, watts and joules a token of one core on a platform, with what limits it.

    On a board with a line to a host also what host and line take for each token, and how much of the memory.

    Example: tritforge estimate 370M --preset edge --platform ecp5-85f
    """
    from tritforge.perf.estimates.estimate import estimate
    from tritforge.perf.estimates.platform import platform

    there, shape = platform(platform_name), shape_of(model)
    params = sized_core(name, settings, shape)
    found = estimate(shape, params, there, contexts)
    by_host = None if there.line is None else estimate(shape, params, there, contexts, by_host=True)
    if as_json:
        print_json({"model": model, **_json(found), **(_port(found, by_host) if by_host else {})})
        return
    title = f"{model}, {found.params.lanes} lanes on {there.name} ({there.memory.kind})"
    out.print(_table(found, by_host, title))


def project_cores(
    model: ModelName,
    cores: Annotated[str, typer.Option(help="How many, such as 1..64 or 8.", metavar="FROM..TO")] = "1..64",
    name: PresetName = DEFAULT_PRESET,
    settings: Settings = None,
    platform_name: PlatformName = "kv260",
    contexts: Contexts = 1,
    as_json: Json = False,
) -> None:
    """Project to many cores that share a model by output rows, and one memory.

    Example: tritforge project 1.3B --platform u280 --preset wide --cores 1..64
    """
    from tritforge.perf.estimates.platform import platform
    from tritforge.perf.estimates.project import limits, project

    there, shape = platform(platform_name), shape_of(model)
    found = project(shape, sized_core(name, settings, shape), there, _range(cores), contexts)
    sets_in = limits(found)
    if as_json:
        print_json({"model": model, "cores": [_json(one) for one in found], "limits": sets_in})
        return
    title = f"{model}, cores of {found[0].params.lanes} lanes on {there.name} ({there.memory.kind})"
    table = Table(title=title, title_justify="left")
    for column in ("cores", "tokens/s", "low", "high", "ideal", "W", "J/token", "limit", "area"):
        table.add_column(column, justify="left" if column == "limit" else "right", no_wrap=True)
    shown = [one for one in found if one.cores & (one.cores - 1) == 0 or one.cores in sets_in.values()]
    for one in shown:
        rate = one.rate
        table.add_row(
            str(one.cores),
            *(number(value) for value in (rate.nominal, rate.low, rate.high)),
            f"{one.efficiency(found[0]):.0%}",
            number(one.watts.nominal),
            number(one.joules.nominal),
            one.limit,
            f"[{'default' if one.fits else 'red'}]{max(one.occupied.values()):.0%}[/]",
        )
    out.print(table)
    out.print("ideal: of as many times the first line's rate; area: the resource that is taken most of")
    for limit, first in sets_in.items():
        out.print(f"{limit}: {'from ' + str(first) + ' cores' if first else 'not within this range'}")


def compare_codes(
    model: ModelName,
    platform_name: PlatformName = DEFAULT_PLATFORM,
    bandwidth: Annotated[
        list[float] | None,
        typer.Option(help="GB/s that the memory delivers; repeatable. Default 0.56 10.", metavar="GB/s"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the trit codes on the preset edge: bytes, LUT4s, clock and tokens/s.

    Example: tritforge codes 370M --platform ecp5-85f --bandwidth 0.56 --bandwidth 10
    """
    from tritforge.perf.estimates.platform import platform
    from tritforge.perf.pages.codes import BANDWIDTHS, rows

    if bandwidth and min(bandwidth) <= 0:
        raise TritforgeError("--bandwidth takes GB/s above 0.")
    found = [
        {
            "code": row.array.code,
            "bits a trit": 8 / row.params.trit_code.trits,
            "bytes a token": row.estimates[0].work.stream,
            "trits a cycle": (trits := row.params.rows * row.params.columns),
            "array LUT4s": row.array.logic,
            "LUT4s a trit": row.array.logic / trits,
            "array MHz": row.array.mhz,
            "MHz": row.clock,
            **{
                f"tokens/s at {rate:g} GB/s": estimate.rate.nominal
                for rate, estimate in zip(bandwidth or BANDWIDTHS, row.estimates, strict=True)
            },
        }
        for row in rows(shape_of(model), platform(platform_name), bandwidth or BANDWIDTHS)
    ]
    if as_json:
        print_json(found)
        return
    # a column for each code: so a terminal is wide enough
    lines = [{"": what, **{str(row["code"]): row[what] for row in found}} for what in list(found[0])[1:]]
    print_rows(lines, False)


def write_report(
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to.", metavar="FILE.html")],
    picture: Annotated[Path | None, typer.Option(help="Also draw the comparison as SVG.", metavar="FILE.svg")] = None,
    as_json: Json = False,
) -> None:
    """Write one page, without anything from the network, with all estimates and interactive plots.

    Example: tritforge report -o build/report.html
    """
    from tritforge.perf.pages.page import page
    from tritforge.perf.pages.picture import comparison

    if output.suffix.lower() not in (".html", ".htm"):
        raise TritforgeError(f"The report is a web page; give a file that ends in .html, not {output.name}.")
    say("Estimating every model, preset and platform")
    for path in filter(None, (output, picture)):
        make_folder(path.parent)
        check_writable(path)
    write_text(output, page())
    if picture:
        write_text(picture, comparison())
    if as_json:
        print_json({"report": str(output), "bytes": output.stat().st_size, "picture": picture and str(picture)})
    else:
        err.print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, open it in a browser.", highlight=False)


def shape_of(model: str) -> Shape:
    """The dimensions of a model: by name, in numbers, of a checkpoint or an image."""
    is_shape = model in PUBLISHED or re.fullmatch(r"[\d,]+", model)
    return Shape.of(parse_shape(model) if is_shape else Model(Path(model)).config)


def sized_core(name: str | None, settings: list[str] | None, shape: Shape) -> CoreParams:
    """The core that the options name, with limits raised to the model's where the user sets none."""
    from tritforge.perf.estimates.estimate import sized

    params = chosen_core(name, settings)
    fixed = any(text.startswith("max_") for text in settings or ())
    return params if fixed else sized(params, shape)


def _range(text: str) -> range:
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= first <= last <= 1024:
        raise TritforgeError(f"--cores takes a number or FROM..TO up to 1024, such as 1..64, not '{text}'.")
    return range(first, last + 1)


def _table(found: "Estimate", by_host: "Estimate | None", title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("low", "nominal", "high", "kind"):
        table.add_column(column, justify="left" if column == "kind" else "right", no_wrap=True)

    def row(what: str, figure: "Figure") -> None:
        table.add_row(what, *(number(v) for v in (figure.low, figure.nominal, figure.high)), figure.tag)

    row("tokens/s", found.rate)
    table.add_row("limited by", "", found.limit)
    row("clock, MHz", found.platform.clock.figure)
    row("memory, GB/s", found.platform.memory.bandwidth * 1e-9)
    table.add_section()
    if by_host is not None and by_host.line is not None:
        records = "derived" if found.line is None else "no room"
        table.add_row("MB beside the records", "", f"{found.megabytes:.3g}", "", "derived")
        table.add_row("MB of records", "", f"{found.records_megabytes:.3g}", "", records)
        table.add_row("bytes a token on the line", "", f"{found.port.pushed:,}", "", "derived")
        table.add_section()
        table.add_row("tokens sent by the host: bytes", "", f"{found.port.sent:,}", "", "derived")
        row("ms of host and line", by_host.line * 1e3)
        row("tokens/s", by_host.rate)
        table.add_row("limited by", "", by_host.limit)
        table.add_section()
    for what, watts in found.power.items():
        row(f"W, {what}" + (f" ({found.platform.scope})" if what == "static" else ""), watts)
    row("W", found.watts)
    row("J/token", found.joules)
    row("pJ/trit", found.picojoules_a_trit)
    table.add_section()
    for what, part in found.occupied.items():
        table.add_row(f"{what} taken", "", f"{part:.1%}", "", "derived" if part <= 1 else "too large")
    table.add_section()
    total = sum(found.phases.values())
    for what, cycles in found.phases.items():
        table.add_row(f"cycles, {what}", "", f"{cycles:,.0f}", f"{cycles / total:.1%}", "derived")
    return table


def _figure(value: "Figure") -> dict[str, Any]:
    return {"low": value.low, "nominal": value.nominal, "high": value.high, "tag": value.tag}


def _port(found: "Estimate", by_host: "Estimate") -> dict[str, Any]:
    """Memory and line of a board, and how it is where the host sends each token."""
    return {
        "megabytes": found.megabytes,
        "records_megabytes": found.records_megabytes,
        "by_itself": found.line is None,
        "bytes_pushed": found.port.pushed,
        "by_host": {
            "bytes_sent": found.port.sent,
            "seconds_of_line": by_host.line and _figure(by_host.line),
            "tokens_per_second": _figure(by_host.rate),
            "limit": by_host.limit,
        },
    }


def _json(found: "Estimate") -> dict[str, Any]:
    return {
        "platform": found.platform.name,
        "cores": found.cores,
        "contexts": found.contexts,
        "lanes": found.params.lanes,
        "tokens_per_second": _figure(found.rate),
        "limit": found.limit,
        "power_w": {what: _figure(watts) for what, watts in found.power.items()},
        "watts": _figure(found.watts),
        "joules_per_token": _figure(found.joules),
        "pj_per_trit": _figure(found.picojoules_a_trit),
        "occupied": found.occupied,
        "fits": found.fits,
        "cycles": found.phases,
    }
