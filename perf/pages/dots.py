# SPDX-License-Identifier: Apache-2.0
"""Draws figures as dots, a line each, as an SVG picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import Any

from tritforge.golden import TritforgeError
from tritforge.perf.figure import Figure, number

PANEL, GAP, TOP, PITCH = 230, 60, 56, 22
COLOURS = ("#1f5fa8", "#b8701a", "#2e8b57", "#7a4fa3")
INK, GRID = "#1d2329", "#dde1e6"
TICKS = 4
"""At most so many on a linear axis, and one."""


Marks = tuple[tuple[str, Figure], ...]
"""Colours and figures."""


@dataclass(frozen=True)
class Row:
    """A line of the picture: its name in a colour, and what it has in each panel."""

    label: str
    colour: str
    panels: tuple[Marks, ...]


@dataclass(frozen=True)
class Axis:
    """A panel's axis from ``left``: logarithmic over whole decades, or linear where less than one is needed."""

    title: str
    left: float
    low: float
    high: float
    decades: bool

    @classmethod
    def over(cls, title: str, left: float, figures: Sequence[Figure]) -> "Axis":
        """An axis that shows all figures."""
        low, high = min(figure.low for figure in figures), max(figure.high for figure in figures)
        if high > 10 * low:
            return cls(title, left, floor(log10(low)), ceil(log10(high)), True)
        margin = (high - low) / 10 or 0.1 * high
        return cls(title, left, low - margin, high + margin, False)

    def place(self, value: float) -> float:
        """Where a value lies."""
        return self.left + PANEL * ((log10(value) if self.decades else value) - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Values that have a line, and how they are called."""
        if not self.decades:
            span = (self.high - self.low) / TICKS
            unit = 10.0 ** floor(log10(span))
            step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= span)
            for index in range(ceil(self.low / step), floor(self.high / step) + 1):
                yield index * step, number(index * step)
            return
        for decade in range(int(self.low), int(self.high) + 1):
            yield 10.0**decade, f"{10.0**decade:g}" if decade < 3 else f"{10 ** (decade - 3)}k"


def draw(
    rows: Sequence[Row], titles: Sequence[str], foot: str, label: int, names: dict[str, str] | None = None
) -> str:
    """The picture: dots, with lines from low to high.

    Parameters
    ----------
    rows, titles, foot
        Lines, a title for each panel, a remark below.
    label
        Width of the lines' names.
    names
        What colours mean, if that has to be said.
    """
    axes = [
        Axis.over(title, label + index * (PANEL + GAP), [figure for row in rows for _, figure in row.panels[index]])
        for index, title in enumerate(titles)
    ]
    width, height = label + len(axes) * (PANEL + GAP) - GAP + 16, TOP + PITCH * len(rows) + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_frame(axes, len(rows)),
    ]
    for index, row in enumerate(rows):
        y = TOP + PITCH * index + PITCH / 2
        lines.append(
            f'<text x="{label - 12}" y="{y + 4:.1f}" text-anchor="end" fill="{row.colour}">{escape(row.label)}</text>'
        )
        for axis, marks in zip(axes, row.panels, strict=True):
            for colour, figure in marks:
                lines += _dot(axis, figure, y, colour)
    names = names or {}
    for index, (name, colour) in enumerate(names.items()):
        x = label + index * (width - label) / len(names)
        lines.append(f'<rect x="{x:.1f}" y="{height - 18}" width="8" height="8" fill="{colour}"/>')
        lines.append(f'<text x="{x + 14:.1f}" y="{height - 10}" font-size="12" fill="#4a4f57">{escape(name)}</text>')
    lines.append(
        f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle" font-size="12" fill="#4a4f57">'
        f"{escape(foot)}</text>"
    )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _dot(axis: Axis, figure: Figure, y: float, colour: str) -> Iterator[str]:
    low, mid, high = (axis.place(value) for value in (figure.low, figure.nominal, figure.high))
    if high > low:
        yield f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
    yield f'<circle cx="{mid:.1f}" cy="{y}" r="4" fill="{colour}"/>'


def _frame(axes: Sequence[Axis], rows: int) -> Iterator[str]:
    """Titles, ticks and their lines."""
    bottom = TOP + PITCH * rows
    for axis in axes:
        middle = axis.left + PANEL / 2
        yield (
            f'<text x="{middle}" y="18" text-anchor="middle" font-weight="bold" fill="{INK}">'
            f"{escape(axis.title)}</text>"
        )
        for value, label in axis.ticks():
            x = axis.place(value)
            at = f'x="{x:.1f}" y="{TOP - 12}" text-anchor="middle"'
            yield f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="{GRID}"/>'
            yield f'<text {at} font-size="11" fill="#4a4f57">{label}</text>'


def compared(files: Mapping[str, Any], labels: Sequence[str], values: Sequence[str]) -> list[Row]:
    """A line for each label that a file has; nothing is drawn of a value that is zero or missing.

    Parameters
    ----------
    files
        Lists of objects, as commands print them with ``--json``, by the files' names; each has its colour.
    labels
        Keys that a line is named by.
    values
        Keys to draw, a panel each.

    Raises
    ------
    TritforgeError
        For what is no list of objects with the labels, and where nothing is to be drawn.
    """
    for name, entries in files.items():
        if not isinstance(entries, list) or not all(isinstance(e, dict) and set(labels) <= e.keys() for e in entries):
            keys = ", ".join(labels)
            raise TritforgeError(f"{name or 'The file'} is no list of objects with {keys}; print one with --json.")
    panels: dict[str, list[list[tuple[str, Figure]]]] = {}
    for entries, colour in zip(files.values(), COLOURS, strict=False):
        for entry in entries:
            parts = (f"{key} {entry[key]}" if isinstance(entry[key], int) else entry[key] for key in labels)
            marks = panels.setdefault(", ".join(parts), [[] for _ in values])
            for found, value in zip(marks, values, strict=True):
                if entry.get(value):
                    found.append((colour, Figure.exact(float(entry[value]))))
    for index, value in enumerate(values):
        if not any(marks[index] for marks in panels.values()):
            raise TritforgeError(f"There is no '{value}' to draw; name a key of the rows with --value.")
    return [Row(label, INK, tuple(map(tuple, marks))) for label, marks in panels.items() if any(marks)]
