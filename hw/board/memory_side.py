# SPDX-License-Identifier: Apache-2.0
"""What a machine has as its memory, of any kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from amaranth.hdl import Module
from amaranth.lib import wiring

from tritforge.hw.board.bus_split import BusSplit
from tritforge.hw.board.machine_registers import MachineRegisters


@dataclass(frozen=True)
class Users:
    """Who needs the memory, of a machine's units.

    Attributes
    ----------
    window, results : ports of whole words, of the host and of results, which come first in this order.
    reader : of weights, made by the memory's own `MemorySide.reader`.
    split : the bus, for what the host has to say to the memory. registers : that show whether it is ready.
    """

    window: wiring.PureInterface
    results: wiring.PureInterface
    reader: wiring.Component
    split: BusSplit
    registers: MachineRegisters


class MemorySide(Protocol):
    """A memory, and what is between it and its users. Frozen, and its text says all that decides it."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def ways(self) -> Mapping[str, str]:
        """Of the bus, see `BusSplit`."""
        ...

    @property
    def started_by_host(self) -> bool:
        """Whether the host initialises it."""
        ...

    def cycles_of_a_beat(self, bits: int) -> int:
        """Of the machine's clock, at the memory's peak."""
        ...

    def ports(self, bits: int) -> dict[str, wiring.Member]:
        """Of the machine, with words of ``bits``."""
        ...

    def reader(self, bits: int) -> wiring.Component:
        """The unit that gives runs of words (``runs``, `run_layout`) as a stream (``beats``), connected at these."""
        ...

    def join(self, m: Module, machine: wiring.Component, clock_hz: int, bits: int, users: Users) -> None:
        """Add the units to a machine that has the ports, and connect them."""
        ...


def address_bits(memory: MemorySide, bits: int) -> int:
    """Of a memory's address, which counts words of ``bits``."""
    return (memory.size * 8 // bits).bit_length() - 1
