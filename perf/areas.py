# SPDX-License-Identifier: Apache-2.0
"""Synthesises the points of perf/areas.toml again: ``python -m perf.areas`` (minutes a point)."""

import os
import sys
from collections.abc import Iterator

from hw.params import preset
from perf.area import AREAS, Point, Points
from rtl_gen.synth import Area, Synthesis, synthesise, versions
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
    ("ternary_array", {"lanes": 64, "element_bytes": 4}),
    ("ternary_array", {"batch": 4}),
    ("side_words", {"lanes": 64}),
    ("stream_front", {"lanes": 64}),
)
"""Single units of edge with other parameters."""
CHECK = {"lanes": 32, "vector_rows": 2}
"""A core of which nothing is a point."""


def measure() -> Iterator[Point]:
    """Every point, as it is now."""
    for name in WHOLE:
        files = cached_verilog(preset(name), _say)
        for unit in synthesise(files, TOP, DEVICE, _say).units:
            if (name, unit.name) not in LEFT_OUT:
                yield _point(unit.name, name, {}, unit.area)
    for unit, settings in SINGLE:
        yield _point(unit, "edge", settings, _synthesis(settings, f"{TOP}_{unit}").total)


def check() -> Point:
    """All units of the core that the scaling is tried on."""
    parts = (unit.area for unit in _synthesis(CHECK, TOP).units for _ in range(unit.number))
    return _point("all", "edge", CHECK, sum(parts, Area()))


def toml(measured: Points) -> str:
    """The file's text."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Written by python -m perf.areas",
        f'source = "{measured.source}"',
    ]
    for head, point in (("[check]", measured.check), *(("[[points]]", point) for point in measured.points)):
        values = point.model_dump()
        settings = ", ".join(f"{key} = {value}" for key, value in values.pop("set").items())
        lines += ["", head, *(f'{key} = "{values.pop(key)}"' for key in ("unit", "preset"))]
        lines += [f"set = {{ {settings} }}"] * bool(settings)
        lines += [f"{key} = {value}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _synthesis(settings: dict[str, int], top: str) -> Synthesis:
    core = preset("edge").override({key: str(value) for key, value in settings.items()})
    return synthesise(cached_verilog(core, _say), top, DEVICE, _say)


def _point(unit: str, name: str, settings: dict[str, int], cells: Area) -> Point:
    kept = {key: getattr(cells, key) for key in ("logic", "lut_ram", "ff", "block_ram", "dsp")}
    return Point(unit=unit, preset=name, set=settings, **kept)


def _say(line: str) -> None:
    print(f"{line} ...", file=sys.stderr)


if __name__ == "__main__":
    tools = ", ".join(f"{name} {version}" for name, version in versions().items())
    source = f"measured: python -m perf.areas, {DEVICE}, {tools}"
    text = toml(Points(source=source, check=check(), points=list(measure())))
    temporary = AREAS.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, AREAS)
