# SPDX-License-Identifier: Apache-2.0
"""Draws what `golden.outliers` measured: ``python -m perf.outlier_picture NAME=FILE.json ... -o FILE.svg``."""

import argparse
import json
import os
from html import escape
from math import ceil, floor, log10
from pathlib import Path

from perf.picture import Axis, frame

COLOURS = ("#1f5fa8", "#b8701a", "#2e8b57", "#7a4fa3")
LABEL, PANEL, TOP, PITCH = 300, 520, 56, 22


def picture(measured: dict[str, list[dict]]) -> str:
    """The logit error of each way to code a product's inputs, a dot for each model."""
    ways = [row["activations"] for row in next(iter(measured.values())) if row["logit error"]]
    errors = {
        name: {row["activations"]: row["logit error"] for row in rows if row["logit error"]}
        for name, rows in measured.items()
    }
    logs = [log10(error) for values in errors.values() for error in values.values()]
    axis = Axis("logit error, rms over rms", LABEL, floor(min(logs)), ceil(max(logs)), PANEL)
    width, height = LABEL + PANEL + 30, TOP + PITCH * len(ways) + 36
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *frame((axis,), len(ways)),
    ]
    for index, way in enumerate(ways):
        y = TOP + PITCH * index + PITCH / 2
        lines.append(f'<text x="{LABEL - 12}" y="{y + 4:.1f}" text-anchor="end" fill="#1d2329">{escape(way)}</text>')
        for values, colour in zip(errors.values(), COLOURS, strict=False):
            lines.append(f'<circle cx="{axis.place(values[way]):.1f}" cy="{y}" r="4" fill="{colour}"/>')
    for index, (name, colour) in enumerate(zip(errors, COLOURS, strict=False)):
        x, y = LABEL + index * PANEL / len(errors), height - 14
        lines.append(f'<circle cx="{x:.1f}" cy="{y - 4}" r="4" fill="{colour}"/>')
        lines.append(f'<text x="{x + 10:.1f}" y="{y}" fill="#4a4f57">{escape(name)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="NAME=FILE.json", help="what golden.outliers --json printed")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the .svg to write")
    given = parser.parse_args()
    measured = {}
    for text in given.models[: len(COLOURS)]:
        name, _, file = text.partition("=")
        measured[name] = json.loads(Path(file).read_text())
    temporary = given.out.with_suffix(".tmp")
    temporary.write_text(picture(measured))
    os.replace(temporary, given.out)


if __name__ == "__main__":
    main()
