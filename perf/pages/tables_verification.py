# SPDX-License-Identifier: Apache-2.0
"""What documents say of campaigns of mutants and of the soak, made of perf/measured."""

from typing import Any

from tritforge.perf.measured.plan import Measurement
from tritforge.perf.pages.markdown import table

FATES = ("killed", "bench", "proved", "argued", "unreachable", "open", "timed out")


def units(one: Measurement) -> str:
    """Mutants of a campaign by unit and fate."""
    rows = [
        (
            f"**{row['unit']}**" if row["unit"] == "all" else row["unit"],
            f"{row['mutants']:,}",
            *(f"{row[fate]:,}" if row[fate] else "" for fate in FATES),
            f"{row['score']:.1%}" if row["score"] is not None else "",
        )
        for row in one.entry.data["units"]
    ]
    return table(("unit", "mutants", *FATES, "score"), [True] + [False] * 9, rows)


def checks(one: Measurement) -> str:
    """How many each check and bench killed, and what nothing did."""
    data = one.entry.data
    killers = ", ".join(f"{name} {number:,}" for name, number in data["killers"].items())
    lines = [f"Killed by: {killers}."]
    lines += [f"* {_left(entry)}" for entry in data["left"] if entry["fate"] in ("open", "timed out")]
    return "\n".join([lines[0], *([""] if lines[1:] else []), *lines[1:]]) + "\n"


def _left(entry: dict[str, Any]) -> str:
    return f"{entry['fate']}: `{entry['key']}`"


def soaked(one: Measurement) -> str:
    """How much was compared."""
    data = one.entry.data
    return (
        f"{data['cores']:,} distinct cores, {data['rings']:,} of them in rings, with "
        f"{data['models']:,} models, {data['tokens']:,} tokens and {data['cycles'] / 1e6:,.0f} million cycles of "
        f"seeds {data['first_seed']} to {data['first_seed'] + data['seeds'] - 1} in {data['minutes']:g} minutes: "
        "every bit is equal.\n"
    )
