# SPDX-License-Identifier: Apache-2.0
"""What documents say of campaigns of mutants, coverage, the soak and fuzzing, made of perf/measured."""

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


def fuzzed(one: Measurement) -> str:
    """How often each reader was fed."""
    data = one.entry.data
    rows = [(row["reader"], f"{row['runs']:,}", f"{row['branches']:,}") for row in data["rows"]]
    return table(("reader", "runs", "branches reached"), [True, False, False], rows)


def kills(one: Measurement) -> str:
    """How often each command was killed."""
    rows = [(row["command"], f"{row['kills']:,}", f"{row['running']:,}") for row in one.entry.data["rows"]]
    return table(("command", "kills", "while it ran"), [True, False, False], rows)


def covered(one: Measurement) -> str:
    """What the checks of a core and the benches of its units reach, by unit."""
    rows = [
        (
            f"**{row['unit']}**" if row["unit"] == "all" else row["unit"],
            *(f"{row[name]:,}" if row[name] else "" for name in ("lines", "explained")),
            _percent(row["of lines"]),
            *(f"{row[name]:,}" if row[name] else "" for name in ("changes", "constant")),
            _percent(row["of changes"]),
        )
        for row in one.entry.data["units"]
    ]
    heads = ("unit", "lines", "explained", "of the others ran", "changes of bits", "constant", "of the others seen")
    return table(heads, [True] + [False] * 6, rows)


def lines_left(one: Measurement) -> str:
    """Lines that never ran, and why: those of one reason together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in one.entry.data["left"]:
        reasons.setdefault((entry["module"], entry["reason"] or "not explained"), []).append(entry["line"])
    lines = [f"* {module}, {len(found)}: {reason}" for (module, reason), found in reasons.items()]
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return f"{share:.1%}" if share is not None else ""
