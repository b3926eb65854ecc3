# SPDX-License-Identifier: Apache-2.0
"""What logic costs in a technology, in area and in energy: perf/estimates/technologies.toml."""

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from tritforge.perf.data import Positive, Table, Value, read
from tritforge.perf.estimates import gate_level
from tritforge.perf.figure import Tag
from tritforge.perf.measured import plan

SCALED = ("logic_energy", "memory_energy", "dsp_energy", "link_energy")


class Technology(Table):
    """A family of devices.

    Attributes
    ----------
    logic_kind
        What its logic is counted in.
    logic_per_lut4
        So many of them do what one LUT4 of an ECP5, with its flip-flop, does.
    dsp_as_logic
        So many of them make a multiplier of 18 x 18 bits, where there is no DSP block.
    logic_energy
        pJ of one of them in a cycle in which its unit works: switching, wires, clock.
    idle
        Fraction of that in a cycle in which its unit waits: the clock goes on.
    memory_energy
        pJ per byte read from or written to on-chip memory.
    dsp_energy
        pJ of a multiplication of 18 x 18 bits.
    link_energy
        pJ per byte that one core sends to another on the same device.
    """

    logic_kind: Literal["LUT4", "LUT6", "ALM", "gate"]
    logic_per_lut4: Positive
    dsp_as_logic: Value
    logic_energy: Value
    idle: Value
    memory_energy: Value
    dsp_energy: Value
    link_energy: Value


class Synthesised(Table):
    """Logic as Yosys made it of the preset tiny for a family, against its LUT4s on an ECP5.

    Attributes
    ----------
    family
        As `tritforge synth --device` calls it.
    packed
        What is counted, for each table of the family.
    """

    family: Literal["ultrascale+", "cyclonev"]
    packed: Positive


class Scaled(Table):
    """Energies of another technology, by feature size times voltage squared; `logic_energy` is for as much logic."""

    base: str
    times: Positive


class GateLevel(Table):
    """Constants from power at the gates: see `perf.estimates.gate_level.technology`."""

    wires: Positive
    by_size: Positive


class Source(Table):
    """A technology as the file has it: what is derived from measurements or another technology is left out."""

    logic_kind: Literal["LUT4", "LUT6", "ALM", "gate"]
    synthesised: Synthesised | None = None
    scaled: Scaled | None = None
    gate_level: GateLevel | None = None
    logic_per_lut4: Positive | None = None
    dsp_as_logic: Value | None = None
    logic_energy: Value | None = None
    idle: Value | None = None
    memory_energy: Value | None = None
    dsp_energy: Value | None = None
    link_energy: Value | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {name for name in Technology.model_fields if getattr(self, name) is not None}
        given |= {"logic_per_lut4"} if self.synthesised else set()
        given |= set(SCALED) if self.scaled else set()
        given |= (
            {"logic_per_lut4", "dsp_as_logic", "logic_energy", "idle", "dsp_energy"} if self.gate_level else set()
        )
        missing = [name for name in Technology.model_fields if name not in given]
        if missing:
            raise ValueError(f"{missing[0]} is missing, and nothing is said that it is derived from")
        return self


class _Technologies(Table):
    technologies: dict[str, Source]


SOURCES: dict[str, Source] = read(Path(__file__).with_name("technologies.toml"), _Technologies).technologies
"""All of them by name, as the file has them."""


@cache
def technology(name: str) -> Technology:
    """A technology with everything that is derived."""
    source = SOURCES[name]
    given = {field: getattr(source, field) for field in Technology.model_fields}
    if source.synthesised:
        given["logic_per_lut4"] = _ratio(source.synthesised)
    if source.gate_level:
        given |= gate_level.technology(source.gate_level.wires, source.gate_level.by_size)
    if source.scaled:
        base, times = technology(source.scaled.base), source.scaled.times.value
        for field in SCALED:
            factor = times
            if field == "logic_energy":
                factor *= base.logic_per_lut4.value / given["logic_per_lut4"].value
            given[field] = _times(getattr(base, field), factor, f"{source.scaled.base} times {factor:.3g}")
    return Technology.model_validate({name: _plain(value) for name, value in given.items()})


def _ratio(synthesised: Synthesised) -> Value:
    """Logic for one LUT4 of an ECP5."""
    four, other = (plan.area("tiny", device=device).entry.data["total"] for device in (plan.ECP5, synthesised.family))
    ratio, packed = other["logic"] / four["logic"], synthesised.packed.figure
    source = f"tiny has {other['logic']:,} tables on {synthesised.family} and {four['logic']:,} LUT4s on ECP5"
    bounds = {"low": ratio * packed.low, "high": ratio * packed.high}
    return Value(value=ratio * packed.nominal, **bounds, tag=Tag.DERIVED, source=source)


def _times(value: Value, factor: float, source: str) -> Value:
    figure = value.figure
    tag = Tag.PROJECTED if value.tag is not Tag.ASSUMED else Tag.ASSUMED
    return Value(
        value=factor * figure.nominal, low=factor * figure.low, high=factor * figure.high, tag=tag, source=source
    )


def _plain(value: object) -> object:
    return value.model_dump() if isinstance(value, Value) else value
