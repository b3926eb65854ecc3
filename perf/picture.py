# SPDX-License-Identifier: Apache-2.0
"""Draws this core's estimates beside published systems as an SVG picture for the README."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from math import log10

from perf import survey
from perf.figure import Figure
from perf.published import published

MODEL = "370M"
LABEL, PANEL, GAP, TOP, PITCH = 330, 230, 60, 56, 22
WIDTH = LABEL + 2 * PANEL + GAP + 16
OURS, THEIRS, GRID = "#1f5fa8", "#5b6b7b", "#dde1e6"


@dataclass(frozen=True)
class Row:
    """A line of the picture."""

    label: str
    colour: str
    rate: Figure
    joules: Figure


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis over whole decades, from ``left``."""

    title: str
    left: float
    low: int
    high: int
    width: float = PANEL

    def place(self, value: float) -> float:
        """Where a value lies."""
        return self.left + self.width * (log10(value) - self.low) / (self.high - self.low)


def comparison() -> str:
    """Tokens a second and joules a token: dots, with lines from low to high."""
    ones = [choice for choice in survey.choices() if choice.model == MODEL]
    ours = [_row("this core", choice) for choice in ones]
    ours += [_row(f"{choice.estimate.cores} of this core", choice) for choice in survey.same_platforms()]
    theirs = [
        Row(f"{s.name}, {s.model}, {s.platform}", THEIRS, s.rate.figure, Figure.exact(s.joules))
        for s in published().systems
    ]
    rows = sorted(ours, key=_rate) + sorted(theirs, key=_rate)
    axes = (
        _axis("tokens a second", LABEL, [row.rate for row in rows]),
        _axis("joules a token", LABEL + PANEL + GAP, [row.joules for row in rows]),
    )
    height = TOP + PITCH * len(rows) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *frame(axes, len(rows)),
    ]
    for index, row in enumerate(rows):
        y = TOP + PITCH * index + PITCH / 2
        lines.append(
            f'<text x="{LABEL - 12}" y="{y + 4:.1f}" text-anchor="end" fill="{row.colour}">{escape(row.label)}</text>'
        )
        for axis, figure in zip(axes, (row.rate, row.joules), strict=True):
            low, mid, high = (axis.place(value) for value in (figure.low, figure.nominal, figure.high))
            if high > low:
                lines.append(
                    f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{row.colour}" stroke-width="2"/>'
                )
            lines.append(f'<circle cx="{mid:.1f}" cy="{y}" r="4" fill="{row.colour}"/>')
    foot = (
        "this core: estimated, lines from low to high; others: as published, measured or projected by their authors"
    )
    lines.append(
        f'<text x="{WIDTH / 2}" y="{height - 10}" text-anchor="middle" font-size="12" fill="#4a4f57">{foot}</text>'
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _row(what: str, choice: survey.Choice) -> Row:
    one = choice.estimate
    return Row(f"{what}, {choice.model}, {one.platform.name}", OURS, one.rate, one.joules)


def _rate(row: Row) -> float:
    return row.rate.nominal


def _axis(title: str, left: float, figures: list[Figure]) -> Axis:
    low = int(log10(min(figure.low for figure in figures)) // 1)
    high = -int(-log10(max(figure.high for figure in figures)) // 1)
    return Axis(title, left, low, high)


def frame(axes: tuple[Axis, ...], rows: int) -> Iterator[str]:
    """Titles, decades and their lines."""
    bottom = TOP + PITCH * rows
    for axis in axes:
        middle = axis.left + axis.width / 2
        yield f'<text x="{middle}" y="18" text-anchor="middle" font-weight="bold" fill="#1d2329">{axis.title}</text>'
        for decade in range(axis.low, axis.high + 1):
            x = axis.place(10.0**decade)
            label = f"{10.0**decade:g}" if decade < 3 else f"{10 ** (decade - 3)}k"
            at = f'x="{x:.1f}" y="{TOP - 12}" text-anchor="middle"'
            yield f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="{GRID}"/>'
            yield f'<text {at} font-size="11" fill="#4a4f57">{label}</text>'
