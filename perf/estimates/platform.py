# SPDX-License-Identifier: Apache-2.0
"""Platforms that a core may run on: a file each in perf/estimates/platforms, or one of the user's."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tritforge.hw.params import CoreParams
from tritforge.perf.data import DataError, Positive, Table, Value, read
from tritforge.perf.estimates.clocks import clock
from tritforge.perf.estimates.technology import SOURCES, Technology, technology
from tritforge.perf.figure import Figure, Tag
from tritforge.sim.memory_models import MEMORIES

FOLDER = Path(__file__).with_name("platforms")
Text = Annotated[str, Field(min_length=1)]


class Memory(Table):
    """Where the weights come from.

    Attributes
    ----------
    kind
        Its name.
    peak
        GB/s that its pins can carry.
    achieved
        Fraction of the peak that long sequential reads reach: a value, or ``memory``, one of `sim.memory_models`
        whose share it is, with bounds of its own if the file says so and why.
    energy
        pJ per bit read: cells, interface and controller.
    size
        MB (10^6 bytes); without it there is room for every model.
    """

    kind: Text
    peak: Positive
    achieved: Positive
    energy: Value
    size: Positive | None = None

    @field_validator("achieved", mode="before")
    @classmethod
    def _share_of_a_model(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "memory" not in given:
            return given
        rest = dict(given)
        model = MEMORIES.get(rest.pop("memory"))
        if model is None or (found := model.measured) is None:
            known = ", ".join(name for name, one in MEMORIES.items() if one.measured)
            raise ValueError(f"memory must be one of {known}")
        tag = Tag.SIMULATED if found.simulated else Tag.MEASURED
        source = "; ".join(filter(None, (found.source, rest.pop("source", ""))))
        return {"value": found.share, "low": found.low, "high": found.high, "tag": tag, "source": source} | rest

    @property
    def bandwidth(self) -> Figure:
        """Bytes a second that arrive."""
        return self.peak.figure * self.achieved.figure * 1e9


class Line(Table):
    """The serial line to a host.

    Attributes
    ----------
    baud
        Bits a second; a byte has ten.
    turn
        ms from a frame's last bit to the first bit of the host's next one, beside the board's answer itself: of
        adapter, driver and program.
    """

    baud: Positive
    turn: Value


class Resources(Table):
    """What a device has.

    Attributes
    ----------
    logic
        Tables, ALMs or gates, as `perf.estimates.technology.Technology.logic_kind` says.
    block_ram
        Blocks of 18 to 20 kbit.
    dsp
        Multipliers of 18 x 18 bits or more; 0 where they are made of gates.
    """

    logic: Positive
    block_ram: Positive
    dsp: Value


class Platform(Table):
    """A device with its memory.

    Attributes
    ----------
    name, technology
        What it is called; a technology of perf/estimates/technologies.toml.
    clock, routed
        MHz of the core; or those of the cores that were placed and routed (`perf.estimates.clocks`).
    memory, resources, line
        See there; no line where nothing is known of one.
    static
        W that it draws while nothing moves.
    scope
        Whether `static` is that of the device or of the whole board.
    """

    name: Text
    technology: Literal[*SOURCES]  # type: ignore[valid-type] # the names stand in a file
    clock: Positive | None = None
    routed: bool = False
    memory: Memory
    resources: Resources
    line: Line | None = None
    static: Value
    scope: Literal["device", "board"]

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if (self.clock is None) == (not self.routed):
            raise ValueError("a platform has a clock or routed = true")
        return self

    def running(self, params: CoreParams) -> "Clocked":
        """The platform with the clock of a core."""
        return Clocked(**dict(self) | {"clock": self.clock or clock(params), "routed": False})

    @property
    def technology_data(self) -> Technology:
        """What its logic costs."""
        return technology(self.technology)


class Clocked(Platform):
    """A platform whose clock is known."""

    clock: Positive


def names() -> list[str]:
    """The platforms that are here."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def platform(name: str) -> Platform:
    """A platform by its name or its file.

    Raises
    ------
    DataError
        If there is none or its file is wrong.
    """
    if name in names():
        return read(FOLDER / f"{name}.toml", Platform)
    if not name.endswith(".toml"):
        raise DataError(f"Unknown platform '{name}'; choose from {', '.join(names())} or give a .toml file.")
    return read(Path(name), Platform)
