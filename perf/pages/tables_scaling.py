# SPDX-License-Identifier: Apache-2.0
"""What documents say of many cores: simulated tokens beside the closed form, and the closed form alone."""

from tritforge.hw.link.message import message_bytes
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import MATRICES, Group, Shape
from tritforge.perf.estimates.project import KEPT
from tritforge.perf.estimates.ring import vectors_of
from tritforge.perf.estimates.survey import shape
from tritforge.perf.estimates.work import work
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.measured.subject import core_of
from tritforge.perf.pages.markdown import table

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


def measured(one: Measurement) -> str:
    """Simulated tokens, by cause, beside the closed form."""
    data = one.entry.data
    params, dimensions = core_of(data["core"]), Shape(*data["shape"])
    rows = []
    for point in data["points"]:
        cores, latency, cycles = point["cores"], point["latency"], point["cycles"]
        formed = work(params, dimensions, cores=cores, latency=latency).total
        waits = point["starved"] + point["drain"] + point["dependency"] + point["result"]
        rows.append(
            (
                str(cores),
                str(latency),
                f"{cycles:,}",
                f"{point['beats']:,}",
                f"{waits:,}",
                f"{point['exchange']:,}",
                f"{point['exchange'] / cycles:.1%}",
                f"{formed:,}",
                f"{formed / cycles - 1:+.2%}",
                f"{point['efficiency']:.4f}",
            )
        )
    head = (
        *("cores", "link", "cycles, simulated", "beats", "waits and result", "exchange", "of all"),
        *("cycles, closed form", "error", "efficiency"),
    )
    return table(head, (False,) * len(head), rows)


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
