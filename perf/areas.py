# SPDX-License-Identifier: Apache-2.0
"""Synthesises the points of perf/areas.toml again: ``python -m perf.areas`` (minutes a point)."""

import os
import sys
from collections.abc import Iterator

from hw.params import preset
from perf.area import AREAS, Point, Points
from rtl_gen.synth import Area, synthesise, versions
from sim.transport import TOP, cached_verilog

DEVICE = "ecp5-85k"
WHOLE = ("edge", "tiny")
"""Presets of which every unit is a point."""
LEFT_OUT = {("tiny", "vector_store")}
"""Its banks are made of tables, and its logic is mostly what chooses among them."""
SINGLE: tuple[tuple[str, dict[str, int]], ...] = (
    ("vector_path", {"vector_rows": 4}),
    ("vector_path", {"batch": 4}),
    ("vector_store", {"vector_rows": 4}),
    ("vector_store", {"batch": 4}),
    ("ternary_array", {"lanes": 64}),
    ("ternary_array", {"batch": 4}),
    ("side_words", {"lanes": 64}),
    ("stream_front", {"lanes": 64}),
)
"""Single units of edge with other parameters."""




def measure() -> Iterator[Point]:
    """Every point, as it is now."""
    for name in WHOLE:
        files = cached_verilog(preset(name), _say)
        for unit in synthesise(files, TOP, DEVICE, _say).units:
            if (name, unit.name) not in LEFT_OUT:
                yield _point(unit.name, name, {}, unit.area)
    for unit, settings in SINGLE:
        core = preset("edge").override({key: str(value) for key, value in settings.items()})
        total = synthesise(cached_verilog(core, _say), f"{TOP}_{unit}", DEVICE, _say).total
        yield _point(unit, "edge", settings, total)


def toml(measured: Points) -> str:
    """The file's text."""
    lines = ["# SPDX-License-Identifier: Apache-2.0", "# Written by python -m perf.areas", f'source = "{measured.source}"']
    for point in measured.points:
        values = point.model_dump()
        settings = ", ".join(f"{key} = {value}" for key, value in values.pop("set").items())
        lines += ["", "[[points]]", *(f'{key} = "{values.pop(key)}"' for key in ("unit", "preset"))]
        lines += [f"set = {{ {settings} }}"] * bool(settings)
        lines += [f"{key} = {value}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _point(unit: str, name: str, settings: dict[str, int], cells: Area) -> Point:
    kept = {key: getattr(cells, key) for key in ("logic", "lut_ram", "ff", "block_ram", "dsp")}
    return Point(unit=unit, preset=name, set=settings, **kept)


def _say(line: str) -> None:
    print(f"{line} ...", file=sys.stderr)


if __name__ == "__main__":
    tools = ", ".join(f"{name} {version}" for name, version in versions().items())
    text = toml(Points(source=f"measured: python -m perf.areas, {DEVICE}, {tools}", points=list(measure())))
    temporary = AREAS.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, AREAS)
