# SPDX-License-Identifier: Apache-2.0
"""What documents say of estimates."""

from collections.abc import Iterable

from perf import survey
from perf.figure import Figure, number
from perf.markdown import table
from perf.validation import checks


def validation() -> str:
    """Published figures reckoned again."""
    rows = (
        (
            f"{check.what}, {check.unit}",
            number(check.published),
            figure(check.here),
            f"{check.error:+.1%}",
            check.why,
        )
        for check in checks()
    )
    return table(("", "published", "here", "error", "made of"), (True, False, False, False, True), rows)


def estimates() -> str:
    """One core on every platform."""
    return _choices(survey.choices())


def same_platforms() -> str:
    """Many cores where others have run."""
    return _choices(survey.same_platforms())


LEFT = ("model", "platform", "cores", "limit")
"""Columns of words."""


def figure(value: Figure) -> str:
    """Nominal, and the bounds where they differ."""
    low, nominal, high = (number(bound) for bound in (value.low, value.nominal, value.high))
    return nominal if low == high else f"{nominal} ({low} to {high})"


def _choices(choices: Iterable[survey.Choice]) -> str:
    rows = (
        (
            choice.model,
            one.platform.name,
            f"{one.cores} x {choice.core}",
            figure(one.rate),
            one.limit,
            figure(one.watts),
            figure(one.joules),
            number(one.picojoules_a_trit.nominal),
            f"{max(one.occupied.values()):.0%}",
        )
        for choice in choices
        for one in [choice.estimate]
    )
    head = ("model", "platform", "cores", "tokens/s", "limit", "W", "J/token", "pJ/trit", "room")
    return table(head, [name in LEFT for name in head], rows)
