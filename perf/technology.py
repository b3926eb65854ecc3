# SPDX-License-Identifier: Apache-2.0
"""What logic costs in a technology, in area and in energy: perf/technologies.toml."""

from typing import Literal

from perf.data import HERE, Positive, Table, Value, read


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


class _Technologies(Table):
    technologies: dict[str, Technology]


TECHNOLOGIES: dict[str, Technology] = read(HERE / "technologies.toml", _Technologies).technologies
"""All of them by name."""
