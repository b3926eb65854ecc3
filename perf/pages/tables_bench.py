# SPDX-License-Identifier: Apache-2.0
"""What documents say of whole tokens: cycles, speed, prefill and packing, made of perf/measured."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.cycles import CycleModel
from tritforge.perf.measured import plan
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.measured.subject import core_of
from tritforge.perf.pages.markdown import table

Figures = Mapping[str, Mapping[str, Any]]


def figures(measured: Measurement) -> Figures:
    """By what they are."""
    return {figure["what"]: figure for figure in measured.entry.data["figures"]}


def section(measured: Measurement) -> str:
    """The figures of a section as a table, with a remark."""
    found, rows = figures(measured), []
    for figure in found.values():
        rows.append((figure["what"], value(figure["value"]), figure["unit"], figure["tag"], _target(figure)))
        if figure["what"] == "cycles":
            never_late = ", memory never late" if found["starved"]["value"] else ""
            rows.append((f"the closed form's{never_late}", f"{closed_form(measured):,}", "a token", "derived", ""))
    head = ("", "value", "", "kind", "target")
    note = f"\n{lost()}\n" if measured == plan.BENCH["tales"] else ""
    return table(head, (True, False, True, True, True), rows) + note


def closed_form(measured: Measurement) -> int:
    """Cycles of the same token by `perf.estimates.cycles`."""
    data = measured.entry.data
    return CycleModel(core_of(data["core"])).packet(Shape(*data["shape"])).total


def lost() -> str:
    """Why the shipped model's stream waits."""
    data, found = plan.BENCH["tales"].entry.data, figures(plan.BENCH["tales"])
    hidden, layers, _, _ = data["shape"]
    params, products = core_of(data["core"]), 4 * layers + 1
    each = found["dependency"]["value"] / products
    return (
        f"Lost: {products} dependencies of about {each:.0f} cycles, dear beside row blocks of {params.beats(hidden)} "
        f"beats, and drain: the {hidden} rows of the embedding need four cycles each and arrive in one, and rows of g"
        " wait for f and i longer than a row block streams."
    )


def prefill() -> Iterator[tuple[int, int, float]]:
    """Contexts, cycles in which the memory delivers a beat, and cycles a token."""
    for what, figure in figures(plan.BENCH["prefill"]).items():
        ((contexts, every),) = re.findall(r"^(\d) contexts(?:, a beat every (\d) cycles)?$", what)
        yield int(contexts), int(every or 1), figure["value"]


def value(number: float) -> str:
    """As a table shows it."""
    return f"{number:,.0f}" if abs(number) >= 1000 or number == int(number) else f"{number:.4g}"


def _target(figure: Mapping[str, Any]) -> str:
    return f"{figure['target']}: {'met' if figure['met'] else 'missed'}" if figure.get("target") else ""
