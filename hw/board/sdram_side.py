# SPDX-License-Identifier: Apache-2.0
"""SDR SDRAM as a machine's memory."""

from collections.abc import Mapping
from dataclasses import dataclass

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from tritforge.hw.board.memory_side import Users, address_bits
from tritforge.hw.memory.arbiter import Arbiter
from tritforge.hw.memory.chip import SdramChip
from tritforge.hw.memory.pins import SdramPins
from tritforge.hw.memory.reader import Reader
from tritforge.hw.memory.sdram import SdramController

READER_DEPTH = 32
"""Beats: a core that waits for a dependency does not make the memory wait (`Reader.needed_depth`)."""


@dataclass(frozen=True)
class SdramSide:
    """The machine's own controller, which window, results and reader share by an arbiter, at the memory's pins.

    The machine gets ``pins``, and ``phase``: steps by which the memory's clock is to be shifted (CAPTURE of
    `hw.board.machine_map`).

    Attributes
    ----------
    chip : of the memory. cas_latency : in clocks.
    """

    chip: SdramChip
    cas_latency: int
    started_by_host = False

    @property
    def size(self) -> int:
        """See `MemorySide`."""
        return self.chip.size

    @property
    def ways(self) -> Mapping[str, str]:
        """See `MemorySide`."""
        return {"memory": "0", "core": "10", "machine": "11"}

    def cycles_of_a_beat(self, bits: int) -> int:
        """See `MemorySide`: a transfer a cycle."""
        return bits // self.chip.dq_bits

    def ports(self, bits: int) -> dict[str, wiring.Member]:
        """See `MemorySide`."""
        return {"pins": Out(SdramPins(self.chip)), "phase": Out(8)}

    def reader(self, bits: int) -> Reader:
        """See `MemorySide`."""
        return Reader(address_bits(self, bits), bits, READER_DEPTH)

    def join(self, m: Module, machine: wiring.Component, clock_hz: int, bits: int, users: Users) -> None:
        """See `MemorySide`."""
        places = address_bits(self, bits)
        m.submodules.arbiter = arbiter = Arbiter(3, places, bits, writers=(0, 1))
        m.submodules.controller = controller = SdramController(self.chip, clock_hz / 1e6, bits, self.cas_latency)
        for port, way in zip((users.window, users.results, users.reader.port), arbiter.ports, strict=True):
            connect(m, port, way)
        connect(m, arbiter.port, controller.port)
        connect(m, controller.pins, wiring.flipped(machine.pins))
        m.d.comb += [
            users.registers.ready.eq(controller.initialised),
            controller.capture.eq(users.registers.capture),
            machine.phase.eq(users.registers.phase),
        ]
