# SPDX-License-Identifier: Apache-2.0
"""What has grown since the areas of the preset tiny were recorded (perf/measured/areas.json)."""

from collections.abc import Mapping

from tritforge.perf.measured import plan

PRESET, TOLERANCE = "tiny", 0.05
KINDS = ("logic", "ff", "block_ram", "lut_ram", "dsp")

Areas = Mapping[str, Mapping[str, int]]
"""Cells by kind (see `rtl_gen.synthesis.synth.Area`) of all copies of a unit, by its name."""


def recorded() -> Areas:
    """Cells of the preset's units when they were measured."""
    units = plan.area(PRESET).entry.data["units"]
    return {name: {kind: unit["number"] * unit[kind] for kind in KINDS} for name, unit in units.items()}


def growth(before: Areas, found: Areas) -> list[str]:
    """A line for each unit that is new, or more than `TOLERANCE` larger than recorded in some kind of cell."""
    lines = []
    for name, cells in found.items():
        if name not in before:
            lines.append(f"{name} is not in the record")
            continue
        lines += [
            f"{name}: {kind} grew from {before[name][kind]} to {cells[kind]}"
            for kind in KINDS
            if cells[kind] > before[name][kind] * (1 + TOLERANCE)
        ]
    return lines
