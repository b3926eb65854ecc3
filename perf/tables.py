# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of documents: ``python -m perf.tables docs/estimates.md docs/codes.md``."""

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from golden import TritforgeError
from perf import codes, survey
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


TABLES: dict[str, Callable[[], str]] = {
    "validation": validation,
    "estimates": estimates,
    "same platforms": same_platforms,
    "codes": codes.markdown,
}
"""What stands between ``<!-- name -->`` and ``<!-- end -->`` in a document."""
LEFT = ("model", "platform", "cores", "limit")
"""Columns of words."""


def filled(document: str, names: Iterable[str] = ()) -> str:
    """The document with these tables made anew, or all that it has a place for."""
    for name in names or [name for name in TABLES if f"<!-- {name} -->" in document]:
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        document, found = re.subn(
            pattern, lambda match, name=name: match[1] + TABLES[name]() + match[2], document, flags=re.S
        )
        if not found:
            raise TritforgeError(f"The document has no place '<!-- {name} -->' for this table.")
    return document


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


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        text = filled(path.read_text())
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(path)
