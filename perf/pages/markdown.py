# SPDX-License-Identifier: Apache-2.0
"""Tables as documents have them."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], left: Sequence[bool], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns are set left or else right."""
    ruler = "|".join(":---" if side else "---:" for side in left)
    lines = [f"| {' | '.join(head)} |", f"|{ruler}|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"
