# SPDX-License-Identifier: Apache-2.0
"""Draws this core's estimates beside published systems as an SVG picture for the README."""

from tritforge.perf.estimates import survey
from tritforge.perf.estimates.published import published
from tritforge.perf.figure import Figure
from tritforge.perf.pages.dots import Row, draw

MODEL = "370M"
LABEL = 330
OURS, THEIRS = "#1f5fa8", "#5b6b7b"
FOOT = "this core: estimated, lines from low to high; others: as published, measured or projected by their authors"


def comparison() -> str:
    """Tokens a second and joules a token."""
    ones = [choice for choice in survey.choices() if choice.model == MODEL]
    ours = [_row("this core", choice) for choice in ones]
    ours += [_row(f"{choice.estimate.cores} of this core", choice) for choice in survey.same_platforms()]
    theirs = [
        _line(f"{s.name}, {s.model}, {s.platform}", THEIRS, s.rate.figure, Figure.exact(s.joules))
        for s in published().systems
    ]
    rows = sorted(ours, key=_rate) + sorted(theirs, key=_rate)
    return draw(rows, ("tokens a second", "joules a token"), FOOT, LABEL)


def _row(what: str, choice: survey.Choice) -> Row:
    one = choice.estimate
    return _line(f"{what}, {choice.model}, {one.platform.name}", OURS, one.rate, one.joules)


def _line(label: str, colour: str, *figures: Figure) -> Row:
    return Row(label, colour, tuple(((colour, figure),) for figure in figures))


def _rate(row: Row) -> float:
    ((_, rate),) = row.panels[0]
    return rate.nominal
