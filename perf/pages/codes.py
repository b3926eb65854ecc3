# SPDX-License-Identifier: Apache-2.0
"""What each trit code costs and brings.

Bytes and cycles follow from the schedule; the array's LUT4s and MHz are measured (`perf.measured.plan.CODES`). A core
runs at the platform's clock; on an ECP5, where that was measured, no faster than its array.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tritforge.hw.params import CoreParams, preset
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.estimate import Estimate, estimate, sized
from tritforge.perf.estimates.platform import Clocked, Platform, platform
from tritforge.perf.estimates.survey import shape
from tritforge.perf.figure import Tag, number
from tritforge.perf.measured import plan
from tritforge.perf.measured.subject import core_of
from tritforge.perf.pages.markdown import table

PRESET = "edge"
MODEL, PLATFORM, BANDWIDTHS = "370M", "ecp5-85f", (0.56, 10.0)
"""Of the table in docs/codes.md: a small board's memory, and one that is hardly ever late."""


@dataclass(frozen=True)
class Array:
    """The array of the preset edge with a code: LUT4s, and MHz when routed by itself with one seed."""

    code: str
    logic: int
    mhz: float


def arrays() -> Iterator[Array]:
    """What was measured."""
    for name in plan.ROUTED_ARRAYS:
        (route,) = plan.clocks(name, plan.ARRAY, 1)
        cells = plan.area(name, plan.ARRAY).entry.data["total"]
        yield Array(core_of(name).code, cells["logic"], route.entry.data["fmax"])


@dataclass(frozen=True)
class Row:
    """A code on the preset edge.

    Attributes
    ----------
    array
        What was measured.
    params
        The core.
    clock
        MHz of the core.
    estimates
        For each bandwidth.
    """

    array: Array
    params: CoreParams
    clock: float
    estimates: tuple[Estimate, ...]


def rows(model: Shape, there: Platform, bandwidths: Sequence[float]) -> Iterator[Row]:
    """Every code with a memory that delivers so many GB/s."""
    for array in arrays():
        params = sized(replace(preset(PRESET), code=array.code), model)
        here = there.running(params)
        mine = there.technology == platform(PLATFORM).technology
        clock = min(here.clock.value, array.mhz) if mine else here.clock.value
        found = tuple(estimate(model, params, _with(here, clock, bandwidth)) for bandwidth in bandwidths)
        yield Row(array, params, clock, found)


def markdown() -> str:
    """The table of docs/codes.md, with the kind of each column in its first line."""
    head = [
        "code",
        "bits a trit",
        "bytes a token",
        "trits a cycle",
        "array LUT4s",
        "LUT4s a trit",
        "array MHz",
        "MHz",
    ]
    head += [f"tokens/s at {bandwidth:g} GB/s" for bandwidth in BANDWIDTHS]
    lines: list[tuple[str, ...]] = []
    for row in rows(shape(MODEL), platform(PLATFORM), BANDWIDTHS):
        trits, rates = row.params.rows * row.params.columns, [one.rate for one in row.estimates]
        if not lines:
            kinds = ("derived", "derived", "derived", "measured", "derived", "measured", "derived")
            lines = [("", *(f"*{kind}*" for kind in (*kinds, *(rate.tag for rate in rates))))]
        logic, mhz = row.array.logic, row.array.mhz
        line = [
            row.array.code,
            f"{8 / row.params.trit_code.trits:g}",
            f"{row.estimates[0].work.stream:,}",
            str(trits),
        ]
        line += [f"{logic:,}", f"{logic / trits:.2f}", f"{mhz:.1f}", f"{row.clock:.1f}"]
        lines.append((*line, *(f"{number(one.rate.nominal)} ({one.limit})" for one in row.estimates)))
    return table(head, [True] + [False] * (len(head) - 1), lines)


def _with(there: Clocked, clock: float, bandwidth: float) -> Clocked:
    """The platform with another clock, and a memory that delivers so many GB/s."""
    exact = {"low": None, "high": None, "tag": Tag.DERIVED}
    peak = there.memory.peak.model_copy(update={"value": bandwidth, **exact})
    whole = there.memory.achieved.model_copy(update={"value": 1.0, **exact})
    memory = there.memory.model_copy(update={"peak": peak, "achieved": whole})
    speed = there.clock.model_copy(update={"value": clock, "low": None, "high": None})
    return there.model_copy(update={"clock": speed, "memory": memory})
