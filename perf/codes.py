# SPDX-License-Identifier: Apache-2.0
"""What each trit code costs and brings, in one table: ``python -m perf.codes MODEL --platform F --bandwidth GB/s``.

Bytes and cycles follow from the schedule; the array's LUT4s and MHz are measured (perf/codes.toml, which ``python -m
perf.codes --measure`` writes, minutes a code). A core runs at the platform's clock; on an ECP5, where that was
measured, no faster than its array.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hw.params import CoreParams, preset
from hw.schedule import Shape
from hw.trits import CODES
from perf.data import HERE, Table, read
from perf.estimate import Estimate, estimate, sized
from perf.figure import Tag, number
from perf.markdown import table
from perf.platform import Platform, platform
from perf.survey import shape

FILE = HERE / "codes.toml"
PRESET, UNIT, DEVICE, SEED = "edge", "ternary_array", "ecp5-85k", 1
MODEL, PLATFORM, BANDWIDTHS = "370M", "ecp5-85f", (1.42, 10.0)
"""Of the table in docs/codes.md: a small board's memory, and one that is hardly ever late."""


class Array(Table):
    """The array of the preset edge with a code: LUT4s, and MHz when routed by itself with one seed."""

    code: str
    logic: int
    mhz: float


class Arrays(Table):
    """All codes, and how they were measured."""

    source: str
    arrays: list[Array]


@dataclass(frozen=True)
class Row:
    """A code on the preset edge.

    Attributes
    ----------
    array
        What was measured.
    core
        The core.
    clock
        MHz of the core.
    estimates
        For each bandwidth.
    """

    array: Array
    core: CoreParams
    clock: float
    estimates: tuple[Estimate, ...]


def rows(model: Shape, there: Platform, bandwidths: Sequence[float]) -> Iterator[Row]:
    """Every code with a memory that delivers so many GB/s."""
    for array in read(FILE, Arrays).arrays:
        core = sized(replace(preset(PRESET), code=array.code), model)
        mine = there.technology == platform(PLATFORM).technology
        clock = min(there.clock.value, array.mhz) if mine else there.clock.value
        found = tuple(estimate(model, core, _with(there, clock, bandwidth)) for bandwidth in bandwidths)
        yield Row(array, core, clock, found)


def markdown(model: str = MODEL, there: str = PLATFORM, bandwidths: Sequence[float] = BANDWIDTHS) -> str:
    """The table, with the kind of each column in its first line."""
    head = ("code", "bits a trit", "bytes a token", "trits a cycle", "array LUT4s", "LUT4s a trit")
    head += ("array MHz", "MHz")
    head += tuple(f"tokens/s at {bandwidth:g} GB/s" for bandwidth in bandwidths)
    lines: list[tuple[str, ...]] = []
    for row in rows(shape(model), platform(there), bandwidths):
        trits, rates = row.core.rows * row.core.columns, [one.rate for one in row.estimates]
        if not lines:
            kinds = ("derived", "derived", "derived", "measured", "derived", "measured", "derived")
            lines = [("", *(f"*{kind}*" for kind in (*kinds, *(rate.tag for rate in rates))))]
        logic, mhz = row.array.logic, row.array.mhz
        line = (row.array.code, f"{8 / row.core.trit_code.trits:g}", f"{row.estimates[0].work.stream:,}", str(trits))
        line += (f"{logic:,}", f"{logic / trits:.2f}", f"{mhz:.1f}", f"{row.clock:.1f}")
        lines.append((*line, *(f"{number(one.rate.nominal)} ({one.limit})" for one in row.estimates)))
    return table(head, [True] + [False] * (len(head) - 1), lines)


def measure() -> str:
    """The text of perf/codes.toml, with every array synthesised and routed."""
    from rtl_gen.pnr import place_and_route
    from rtl_gen.synth import synthesise, versions
    from sim.transport import TOP, cached_verilog

    def say(line: str) -> None:
        print(f"{line} ...", file=sys.stderr)

    tools = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Written by python -m perf.codes --measure",
        f'source = "measured: {UNIT} of {PRESET}, {DEVICE}, seed {SEED}, {tools}"',
    ]
    for code in CODES:
        files, top = cached_verilog(replace(preset(PRESET), code=code), say), f"{TOP}_{UNIT}"
        synthesis = synthesise(files, top, DEVICE, say)
        (route,) = place_and_route(synthesis, top, [SEED], say)
        lines += ["", "[[arrays]]", f'code = "{code}"', f"logic = {synthesis.total.logic}", f"mhz = {route.fmax:.1f}"]
    return "\n".join(lines) + "\n"


def _with(there: Platform, clock: float, bandwidth: float) -> Platform:
    """The platform with another clock, and a memory that delivers so many GB/s."""
    exact = {"low": None, "high": None, "tag": Tag.DERIVED}
    peak = there.memory.peak.model_copy(update={"value": bandwidth, **exact})
    whole = there.memory.achieved.model_copy(update={"value": 1.0, **exact})
    memory = there.memory.model_copy(update={"peak": peak, "achieved": whole})
    speed = there.clock.model_copy(update={"value": clock, "low": None, "high": None})
    return there.model_copy(update={"clock": speed, "memory": memory})


def main() -> None:
    """Print the table, or write the file of what is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default=MODEL, help="a published name, a checkpoint folder or an image")
    parser.add_argument("--platform", default=PLATFORM, help="a platform's name or file")
    parser.add_argument("--bandwidth", type=float, action="append", metavar="GB/s", help="repeatable")
    parser.add_argument("--measure", action="store_true", help="write perf/codes.toml anew")
    given = parser.parse_args()
    if given.measure:
        temporary = FILE.with_suffix(".tmp")
        temporary.write_text(measure())
        os.replace(temporary, FILE)
        return
    print(markdown(given.model, given.platform, given.bandwidth or BANDWIDTHS), end="")


if __name__ == "__main__":
    main()
