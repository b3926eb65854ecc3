# SPDX-License-Identifier: Apache-2.0
"""What documents say of many cores: simulated tokens beside the closed form, and the closed form alone."""

from math import ceil
from statistics import median
from typing import Any

from tritforge.hw.link.message import message_bytes
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import MATRICES, Group, Shape, shares, token_beats
from tritforge.perf.estimates.project import KEPT
from tritforge.perf.estimates.ring import vectors_of
from tritforge.perf.estimates.survey import shape
from tritforge.perf.estimates.work import work
from tritforge.perf.figure import Figure
from tritforge.perf.measured import plan
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.measured.subject import core_of, ring_of
from tritforge.perf.pages.dots import INK, Row, draw
from tritforge.perf.pages.markdown import table
from tritforge.perf.pages.tables_gateware import cells, routes, units

TALES = Shape(256, 7, 704, 1024)
"""The shipped model's."""
PAIRS = (
    *(("tales", "edge"), ("370M", "edge"), ("370M", "wide"), ("370M", "wide vector_rows=4")),
    *(("1.3B", "wide"), ("1.3B", "wide vector_rows=4")),
)
GROUPS = (Group.MIX, Group.OUT, Group.EXPAND, Group.CONTRACT)
"""Of each layer."""
COUNTS = (2, 4, 8, 16)
LATENCIES = (0, 7, 50, 100, 500)
FORMED, SIMULATED = "#b8701a", "#1f5fa8"
"""Colours of the picture."""


def measured(one: Measurement) -> str:
    """Simulated tokens, by cause, beside the closed form."""
    data = one.entry.data
    params, dimensions = core_of(data["core"]), Shape(*data["shape"])
    rows = []
    for point in data["points"]:
        cycles = point["cycles"]
        formed = work(params, dimensions, cores=point["cores"], latency=point["latency"]).total
        rows.append(
            (
                str(point["cores"]),
                *([str(point["latency"])] if _with_links(data) else []),
                f"{cycles:,}",
                f"{point['beats']:,}",
                f"{_waits(point):,}",
                f"{point['exchange']:,}",
                f"{point['exchange'] / cycles:.1%}",
                f"{formed:,}",
                f"{formed / cycles - 1:+.2%}",
                f"{point['efficiency']:.4f}",
            )
        )
    head = (
        *("cores", *(["link"] if _with_links(data) else []), "cycles, simulated", "beats", "waits and result"),
        *("exchange", "of all", "cycles, closed form", "error", "efficiency"),
    )
    return table(head, (False,) * len(head), rows)


def speeds(one: Measurement) -> str:
    """How fast the cores are simulated."""
    return ", ".join(f"{point['speed']:,} with {point['cores']}" for point in one.entry.data["points"])


def shared(one: Measurement) -> str:
    """Simulated tokens of cores behind one memory, beside the larger of its cycles and the cores'."""
    data = one.entry.data
    params, dimensions, memory = core_of(data["core"]), Shape(*data["shape"]), data["memory"]
    rows = []
    for point in data["points"]:
        cores, cycles = point["cores"], point["cycles"]
        stream = sum(token_beats(params, share) for share in shares(dimensions, cores, params.vector_rows))
        formed = max(work(params, dimensions, cores=cores).total, ceil(stream * params.lanes / memory))
        rows.append(
            (
                str(cores),
                f"{cycles:,}",
                f"{point['beats']:,}",
                f"{point['starved']:,}",
                f"{point['exchange']:,}",
                f"{formed:,}",
                f"{formed / cycles - 1:+.2%}",
                f"{point['used']:.4f}",
            )
        )
    head = (
        "cores",
        "cycles, simulated",
        "beats",
        "starved",
        "exchange",
        "cycles, closed form",
        "error",
        "memory used",
    )
    return table(head, (False,) * len(head), rows)


def uses() -> str:
    """Two cores in a ring on one device beside one core as wide as both, and beside one of them."""
    dimensions, rows = shape("370M"), []
    for what, name in (
        ("one `edge`", "edge"),
        ("one `edge` with its link", plan.LINKED),
        ("two `edge` in a ring", plan.TWO),
        ("one core of 32 lanes, two rows a cycle", plan.WIDER),
    ):
        core, count = ring_of(name)
        cycles = work(core_of(core), dimensions, cores=count or 1).total
        area, found = cells(name), [route["fmax"] for route in routes(name)]
        rows.append(
            (
                what,
                *(f"{area[kind]:,}" for kind in ("logic", "ff", "block_ram", "dsp")),
                f"{median(found):.1f} of {len(found)}",
                f"{found[0]:.1f}",
                f"{cycles:,}",
                f"{1e6 * median(found) / cycles:.1f}",
                f"{1e9 * median(found) / cycles / area['logic']:.2f}",
            )
        )
    head = (
        *("on an LFE5U-85F-6", "LUT4s", "FF", "BRAM", "DSP", "MHz, median of placements", "best", "cycles of 370M"),
        *("tokens/s", "a thousand LUT4s"),
    )
    return table(head, (True, *(False,) * (len(head) - 1)), rows)


def exchange_area() -> str:
    """LUT4s that a link adds to a core, and those of its unit."""
    linked, plain = cells(plan.LINKED)["logic"], cells("edge")["logic"]
    return f"{units(plan.LINKED)['exchange']['logic']:,} LUT4s, {linked - plain:,} more than without it in all"


def _with_links(data: Any) -> bool:
    return any(point["latency"] for point in data["points"])


def _waits(point: Any) -> int:
    return sum(point[cause] for cause in ("starved", "drain", "dependency", "result"))


def picture() -> str:
    """Efficiency and the share of exchange: the closed form's, and over it what was simulated."""
    rows = []
    for one in plan.SCALING.values():
        data = one.entry.data
        if _with_links(data):
            continue
        params, dimensions = core_of(data["core"]), Shape(*data["shape"])
        alone = work(params, dimensions).total
        counted = {point["cores"]: point for point in data["points"]}
        for count in COUNTS:
            formed = work(params, dimensions, cores=count)
            marks: tuple[list[tuple[str, Figure]], ...] = ([], [])
            pairs = [(FORMED, alone / count / formed.total, formed.exchange / formed.total)]
            if count in counted:
                point = counted[count]
                pairs.append((SIMULATED, point["efficiency"], point["exchange"] / point["cycles"]))
            for colour, efficiency, exchange in pairs:
                marks[0].append((colour, Figure.exact(efficiency)))
                marks[1].append((colour, Figure.exact(100 * exchange)))
            rows.append(Row(f"{one.name.split(' on ')[0]} on {count} {data['core']}", INK, tuple(map(tuple, marks))))
    titles = ("efficiency", "exchange, % of a token's cycles")
    return draw(rows, titles, "", 250, {"closed form": FORMED, "simulated, over it": SIMULATED})


def efficiencies() -> str:
    """By the closed form: tokens a second and core against those of one core, and where exchange passes a tenth."""
    rows = []
    for model, name in PAIRS:
        params, dimensions = core_of(name), _shape(model)
        alone = work(params, dimensions).total
        found = [work(params, dimensions, cores=count) for count in COUNTS]
        cells = (
            f"{alone / count / one.total:.3f} ({one.exchange / one.total:.1%})"
            for count, one in zip(COUNTS, found, strict=True)
        )
        rows.append((f"{model} on `{name}`", *cells, _tenth(params, dimensions)))
    head = ("", *(f"{count} cores" for count in COUNTS), "exchange above 10 % from")
    return table(head, (True, *(False,) * (len(head) - 1)), rows)


def latencies() -> str:
    """By the closed form: the efficiency with longer links."""
    rows = []
    for model, name in PAIRS:
        params, dimensions = core_of(name), _shape(model)
        alone = work(params, dimensions).total
        for count in (2, 4):
            cells = (
                f"{alone / count / work(params, dimensions, cores=count, latency=latency).total:.3f}"
                for latency in LATENCIES
            )
            rows.append((f"{model} on {count} `{name}`", *cells))
    head = ("", *(f"{latency} cycles" for latency in LATENCIES))
    return table(head, (True, *(False,) * len(LATENCIES)), rows)


def widths() -> str:
    """What the cores tell each other in a row block, beside the cycles in which it streams."""
    rows = []
    for model, name in PAIRS[1:]:
        params, dimensions = core_of(name), _shape(model)
        said = [vectors_of(group, False) * params.row_groups for group in GROUPS]
        beats = [len(MATRICES[group]) * params.beats(dimensions.inputs(group)) for group in GROUPS]
        most = min(there // each for there, each in zip(beats, said, strict=True))
        cells = (f"{each} in {there}" for each, there in zip(said, beats, strict=True))
        rows.append((f"{model} on `{name}`", str(message_bytes(params)), *cells, str(most)))
    head = ("", "bytes of a message", *(group.name for group in GROUPS), "largest N")
    return table(head, (True, *(False,) * (len(head) - 1)), rows)


def _shape(model: str) -> Shape:
    return TALES if model == "tales" else shape(model)


def _tenth(params: CoreParams, dimensions: Shape) -> str:
    for count in range(2, 65):
        one = work(params, dimensions, cores=count)
        if one.exchange > (1 - KEPT) * one.total:
            return str(count)
    return "above 64"
