# SPDX-License-Identifier: Apache-2.0
"""The recorded area of every unit, and what has grown since.

`python -m rtl_gen.area` compares the preset `PRESET` with the record, `python -m rtl_gen.area --update` rewrites it.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from hw.params import preset
from rtl_gen.synth import netlist, unit_areas, versions
from sim.build import Status
from sim.transport import TOP, cached_verilog

PRESET, DEVICE, TOLERANCE = "tiny", "ecp5-85k", 0.05
RECORD = Path(__file__).with_name("area.json")
KINDS = ("logic", "ff", "block_ram", "lut_ram", "dsp")

Areas = Mapping[str, Mapping[str, int]]
"""Cells by kind (see `rtl_gen.synth.Area`) of all copies of a unit, by its name."""


def recorded_design(status: Status | None = None) -> dict:
    """The netlist of the preset, synthesised unit by unit."""
    return json.loads(netlist(cached_verilog(preset(PRESET), status), TOP, DEVICE, status).read_text())


def measure(status: Status | None = None) -> dict[str, dict[str, int]]:
    """Cells of the preset's units."""
    return {
        unit.name: {kind: unit.number * asdict(unit.area)[kind] for kind in KINDS}
        for unit in unit_areas(recorded_design(status), TOP, DEVICE)
    }


def growth(recorded: Areas, found: Areas) -> list[str]:
    """A line for each unit that is new, or more than `TOLERANCE` larger than recorded in some kind of cell."""
    lines = []
    for name, cells in found.items():
        before = recorded.get(name)
        if before is None:
            lines.append(f"{name} is not in the record")
            continue
        lines += [
            f"{name}: {kind} grew from {before[kind]} to {cells[kind]}"
            for kind in KINDS
            if cells[kind] > before[kind] * (1 + TOLERANCE)
        ]
    return lines


def main(update: bool) -> int:
    """Compare, or rewrite the record; 1 if something has grown."""
    found = measure(lambda line: print(line, file=sys.stderr))
    if update:
        temporary = RECORD.with_suffix(".tmp")
        temporary.write_text(
            json.dumps({"preset": PRESET, "device": DEVICE} | versions() | {"units": found}, indent=2)
        )
        os.replace(temporary, RECORD)
        return 0
    lines = growth(json.loads(RECORD.read_text())["units"], found)
    print("\n".join(lines) or "No unit has grown.")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main("--update" in sys.argv[1:]))
