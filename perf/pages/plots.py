# SPDX-License-Identifier: Apache-2.0
"""The plots of the report."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from tritforge.golden.checkpoints.config import PUBLISHED
from tritforge.perf.estimates import survey
from tritforge.perf.estimates.estimate import Estimate
from tritforge.perf.estimates.platform import names, platform
from tritforge.perf.estimates.published import published
from tritforge.perf.figure import Figure

COLOURS = ("#1f5fa8", "#b8701a", "#2e8b57", "#7a4fa3", "#b3261e", "#5b6b7b", "#0f8a8a", "#c2185b", "#8d6e00")
PARTS = {
    "static": "#b8bcc2",
    "DRAM interface": "#b8701a",
    "array": "#1f5fa8",
    "vector path": "#2e8b57",
    "control": "#7a4fa3",
    "on-chip memory": "#d6b400",
}
PHASES = {
    "products": "#1f5fa8",
    "waits": "#b3261e",
    "result": "#2e8b57",
    "exchange": "#7a4fa3",
    "starved": "#d6b400",
    "line": "#5b6b7b",
}
BATCH_MODEL = "370M"


def roofline() -> go.Figure:
    """Trits a second against trits a byte: the platforms' roofs, below them a model with one to eight contexts."""
    plot = _figure("trits multiplied per byte read", "G trits a second", "log", "log")
    chosen = [choice for choice in survey.choices() if choice.model == BATCH_MODEL]
    for choice, colour in zip(chosen, COLOURS, strict=False):
        one, name = choice.estimate, choice.estimate.platform.name
        bandwidth = one.platform.memory.bandwidth.nominal
        peak = one.params.rows * one.params.columns * one.platform.clock.value * 1e6
        xs = sorted({1.0, min(100.0, max(1.0, peak / bandwidth)), 100.0})
        ys = [min(peak, x * bandwidth) / 1e9 for x in xs]
        line = {"color": colour, "width": 1.5}
        plot.add_scatter(x=xs, y=ys, mode="lines", line=line, name=name, legendgroup=name, hoverinfo="skip")
        points = survey.batches(choice)
        rates = [survey_trits(point) * point.rate.nominal / 1e9 for point in points]
        intensity = [survey_trits(point) * point.contexts / (point.cores * point.work.stream) for point in points]
        plot.add_scatter(
            x=intensity,
            y=rates,
            mode="markers",
            marker={"color": colour, "size": 8},
            name=name,
            legendgroup=name,
            showlegend=False,
            text=[
                f"{name}, {choice.core}<br>{p.contexts} contexts: {p.rate.nominal:,.1f} tokens/s, {p.limit}"
                for p in points
            ],
            hoverinfo="text",
        )
    return plot


def survey_trits(one: Estimate) -> float:
    """Ternary weights of the model that an estimate is of."""
    return one.joules.nominal / one.picojoules_a_trit.nominal * 1e12


def cycles() -> go.Figure:
    """Where the time of a token goes."""
    plot = _figure("% of a token's time", "")
    chosen = [choice for choice in survey.choices() if choice.model == BATCH_MODEL]
    labels = [f"{choice.estimate.platform.name}<br><i>{choice.core}</i>" for choice in chosen]
    for phase, colour in PHASES.items():
        share = [100 * c.estimate.phases[phase] / sum(c.estimate.phases.values()) for c in chosen]
        counts = [c.estimate.phases[phase] for c in chosen]
        if any(share):
            _bars(plot, phase, share, labels, colour, [f"{phase}: {count:,.0f} cycles" for count in counts])
    plot.update_layout(barmode="stack", height=420)
    return plot


def scaling() -> go.Figure:
    """Tokens a second over the number of cores; dotted where the device has no room for them."""
    plot = _figure("cores", "tokens a second", "log", "log")
    ticks = [1, 2, 4, 8, 16, 32, 64]
    plot.update_xaxes(tickvals=ticks, ticktext=[str(tick) for tick in ticks])
    for name, colour in zip(names(), COLOURS, strict=True):
        found = survey.many(platform(name))
        label = found[0].platform.name
        inside = [one for one in found if one.fits]
        for part, dash, shown in ((inside, "solid", True), (found[max(0, len(inside) - 1) :], "dot", not inside)):
            if not part:
                continue
            plot.add_scatter(
                x=[one.cores for one in part],
                y=[one.rate.nominal for one in part],
                mode="lines+markers" if dash == "solid" else "lines",
                line={"color": colour, "dash": dash, "width": 2 if dash == "solid" else 1},
                marker={"size": 5},
                name=label,
                legendgroup=label,
                showlegend=shown,
                text=[_told(one) for one in part],
                hoverinfo="text",
            )
    return plot


def energy() -> go.Figure:
    """Joules a token by part."""
    plot = _figure("mJ a token", "")
    chosen = [choice for choice in survey.choices() if choice.model == BATCH_MODEL]
    labels = [f"{choice.estimate.platform.name}<br><i>{choice.core}</i>" for choice in chosen]
    for part, colour in PARTS.items():
        joules = [1e3 * c.estimate.power[part].nominal / c.estimate.rate.nominal for c in chosen]
        _bars(plot, part, joules, labels, colour, [f"{part}: {value:.3g} mJ" for value in joules])
    plot.update_layout(barmode="stack", height=420)
    return plot


def comparison() -> go.Figure:
    """Tokens a second and joules a token of this core and of published systems."""
    plot = _figure("tokens a second", "J a token", "log", "log")
    groups = {f"this core, {model}": _of(survey.choices(), model) for model in PUBLISHED}
    groups["many of this core"] = [choice.estimate for choice in survey.same_platforms()]
    for (name, found), colour in zip(groups.items(), COLOURS, strict=False):
        plot.add_scatter(
            x=[one.rate.nominal for one in found],
            y=[one.joules.nominal for one in found],
            error_x=_bounds([one.rate for one in found], colour),
            error_y=_bounds([one.joules for one in found], colour),
            mode="markers",
            marker={"color": colour, "size": 9},
            name=name,
            text=[f"{one.platform.name}<br>{_told(one)}" for one in found],
            hoverinfo="text",
        )
    systems = published().systems
    symbols = ("diamond", "square", "star", "cross", "x", "triangle-up", "triangle-down", "hexagon", "pentagon")
    for system, symbol in zip(systems, symbols, strict=True):
        plot.add_scatter(
            x=[system.rate.value],
            y=[system.joules],
            mode="markers",
            marker={"color": "#4a4f57", "size": 11, "symbol": symbol},
            name=f"{system.name}, {system.model}",
            text=[
                f"{system.name}: {system.model} on {system.platform}<br>{system.rate.value:g} tokens/s "
                f"[{system.rate.tag}], {system.joules:.3g} J"
            ],
            hoverinfo="text",
        )
    plot.update_layout(height=620)
    return plot


def _of(choices: Sequence[survey.Choice], model: str) -> list[Estimate]:
    return [choice.estimate for choice in choices if choice.model == model]


def _told(one: Estimate) -> str:
    room = "" if one.fits else ", does not fit"
    return (
        f"{one.cores} cores of {one.params.lanes} lanes: {one.rate.nominal:,.3g} tokens/s, "
        f"{one.joules.nominal:.3g} J, limit: {one.limit}{room}"
    )


def _bounds(figures: list[Figure], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [figure.high - figure.nominal for figure in figures],
        "arrayminus": [figure.nominal - figure.low for figure in figures],
        "color": colour,
        "thickness": 1,
        "width": 2,
    }


def _bars(plot: go.Figure, name: str, values: list[float], labels: list[str], colour: str, text: list[str]) -> None:
    plot.add_bar(
        x=values,
        y=labels,
        orientation="h",
        name=name,
        marker={"color": colour},
        hovertext=text,
        hoverinfo="text",
    )


def _figure(x: str, y: str, x_type: str = "linear", y_type: str | None = None) -> go.Figure:
    plot = go.Figure()
    plot.update_layout(
        template="plotly_white",
        height=480,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={
            "orientation": "h",
            "yref": "container",
            "yanchor": "bottom",
            "y": 0,
            "x": 0,
            "xanchor": "left",
            "traceorder": "normal",
        },
        font={"family": "system-ui, sans-serif", "size": 13},
    )
    for axis, title, kind in ((plot.update_xaxes, x, x_type), (plot.update_yaxes, y, y_type)):
        decades = {"dtick": 1, "exponentformat": "none", "separatethousands": True} if kind == "log" else {}
        axis(title={"text": title}, type=kind, automargin=True, fixedrange=True, **decades)
    return plot
