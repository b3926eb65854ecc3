# SPDX-License-Identifier: Apache-2.0
"""Area of a core from the areas of cores that were synthesised (perf/measured/areas.json), scaled per parameter.

Logic and multipliers of a unit grow linearly with what it is copied for (`DRIVERS`); constant and slopes are the
least squares over the measured points (`perf.measured.plan`). Memories follow from their widths
and depths. docs/estimates.md says how well that meets a core that is not among the points.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from tritforge.golden import TritforgeError
from tritforge.golden.model.formats import DECAY_FRAC
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.lib.floats import code_float
from tritforge.hw.params import CoreParams
from tritforge.hw.stream import side
from tritforge.perf.estimates.platform import Platform
from tritforge.perf.measured import plan
from tritforge.perf.measured.subject import core_of

Driver = Callable[[CoreParams], float]
DRIVERS: dict[str, tuple[Driver, ...]] = {
    "ternary_array": (
        lambda c: c.rows * c.columns,
        lambda c: c.rows * c.acc_bits,
        lambda c: (c.batch - 1) * c.rows * c.acc_bits,
    ),
    "vector_path": (lambda c: c.vector_rows, lambda c: c.batch - 1),
    "vector_store": (lambda c: c.vector_rows, lambda c: c.batch - 1, lambda c: c.columns),
    "stream_front": (lambda c: c.lanes,),
    "side_words": (lambda c: c.lanes,),
}
"""What a unit grows with: trits a cycle, accumulators, those of further contexts; rows a cycle, contexts, columns;
lanes. The others are constant."""


LEFT_OUT = {("tiny", "vector_store")}
"""Its banks are made of tables, and its logic is mostly what chooses among them."""


@dataclass(frozen=True)
class Point:
    """A unit as synthesised for an LFE5U-85F: its core, and cells as `rtl_gen.synthesis.synth.Area` counts them."""

    unit: str
    params: CoreParams
    cells: Mapping[str, int]


@dataclass(frozen=True)
class UnitArea:
    """LUT4s (of an ECP5) with their flip-flops, and 18 x 18 multipliers."""

    logic: float
    dsp: float


def units(params: CoreParams) -> dict[str, UnitArea]:
    """The units below a core's top; TritforgeError for a core whose units were not measured."""
    if params.extra_bits:
        raise TritforgeError(
            "Areas are known for act_bits 8 only; leave it at 8, or measure the core with tritforge synth."
        )
    return {
        unit: UnitArea(*(max(0.0, float(row @ fit)) for fit in fits))
        for unit, fits in _fits().items()
        for row in [_row(unit, params)]
    }


@dataclass(frozen=True)
class Memory:
    """So many memories of ``depth`` words of ``width`` bits."""

    width: int
    depth: int
    number: int = 1

    @property
    def block_rams(self) -> int:
        """Blocks of 18 kbit; none where tables are enough."""
        if self._of_tables:
            return 0
        return self.number * min(-(-self.width // w) * -(-self.depth // d) for w, d in _SHAPES)

    @property
    def tables(self) -> int:
        """LUT4s: four for each 16 words of 4 bits."""
        return 4 * self.number * -(-self.width // 4) * -(-self.depth // 16) if self._of_tables else 0

    @property
    def _of_tables(self) -> bool:
        return self.width * self.depth <= _TABLES or self.depth <= 16


_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
"""Width and depth that a block of 18 kbit can have."""
_TABLES = 2048
"""Bits up to which Yosys makes a memory of tables."""


def memories(params: CoreParams, cores: int = 1) -> dict[str, Memory]:
    """The memories of one of so many cores that share a model by output rows.

    State and residual keep a core's own rows, V values a word. The vector store keeps whole vectors: a bank of code
    floats a column and one memory of codes. The sigmoid's table is one block a row, those of
    reciprocal and root are three in all; the ring of side words is a beat
    wide.
    """
    rows, wide, store = params.vector_rows, params.formats.wide_bits, VectorStore(params).depth
    words = params.batch * -(-params.max_hidden // (rows * cores))
    return {
        "state": Memory(wide * rows, words * params.max_layers),
        "residual": Memory(wide * rows, words),
        "row buffers": Memory((wide + DECAY_FRAC) * rows, params.batch * params.row_groups),
        "sigmoid": Memory(36, 512, rows),
        "chords": Memory(36, 512, 3),
        "vectors": Memory(code_float(params.formats).size, store, params.columns),
        "codes": Memory(8 * params.columns, store),
        "side words": Memory(params.beat_bits, side.depth(params)),
    }


@dataclass(frozen=True)
class Area:
    """What a core takes of a device.

    Attributes
    ----------
    logic
        In the technology's own unit.
    block_ram, dsp
        Blocks of 18 kbit, multipliers.
    """

    logic: float
    block_ram: int
    dsp: float


def area(params: CoreParams, platform: Platform, cores: int = 1) -> Area:
    """One of so many cores that share a model; multipliers become logic on a device without any.

    The sum of the units, as `rtl_gen.synthesis.synth` places them.
    """
    tech = platform.technology_data
    parts, kept = units(params).values(), memories(params, cores).values()
    tables = sum(part.logic for part in parts) + sum(memory.tables for memory in kept)
    logic, dsp = tech.logic_per_lut4.value * tables, sum(part.dsp for part in parts)
    if not platform.resources.dsp.value:
        logic, dsp = logic + dsp * tech.dsp_as_logic.value, 0
    return Area(logic, sum(memory.block_rams for memory in kept), dsp)


@cache
def points() -> tuple[Point, ...]:
    """What was measured."""
    found = []
    for measured in plan.PRESETS:
        name = measured.name.partition(" on ")[0]
        units = (
            (unit, cells) for unit, cells in measured.entry.data["units"].items() if (name, unit) not in LEFT_OUT
        )
        found += [Point(unit, core_of(name), cells) for unit, cells in units]
    for measured in plan.POINTS:
        name, _, unit = measured.name.partition(" on ")[0].partition(": ")
        found.append(Point(unit, core_of(name), measured.entry.data["total"]))
    return tuple(found)


def check() -> Point:
    """All units of the core that the scaling is tried on."""
    return Point("all", core_of(plan.CHECK.name.partition(" on ")[0]), plan.CHECK.entry.data["total"])


def _row(unit: str, params: CoreParams) -> np.ndarray:
    return np.array([1.0, *(driver(params) for driver in DRIVERS.get(unit, ()))])


@cache
def _fits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each unit the coefficients of logic and of multipliers."""
    by_unit: dict[str, list[Point]] = {}
    for point in points():
        by_unit.setdefault(point.unit, []).append(point)
    fits = {}
    for unit, measured in by_unit.items():
        rows = np.stack([_row(unit, point.params) for point in measured])
        logic, dsp = ([point.cells[name] for point in measured] for name in ("logic", "dsp"))
        fits[unit] = tuple(np.linalg.lstsq(rows, np.array(y, float), rcond=None)[0] for y in (logic, dsp))
    return fits
