# SPDX-License-Identifier: Apache-2.0
"""DDR3 behind a controller of LiteDRAM as a machine's memory."""

from collections.abc import Mapping
from dataclasses import dataclass

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from tritforge.hw.board.memory_side import Users, address_bits
from tritforge.hw.board.wishbone_window import Wishbone, WishboneWindow
from tritforge.hw.memory.arbiter import Arbiter
from tritforge.hw.memory.axi4 import Axi4
from tritforge.hw.memory.axi_port import AxiPort
from tritforge.hw.memory.axi_reader import AxiReader
from tritforge.hw.memory.ddr3 import CYCLES_OF_A_WORD, REGISTER_BITS, Ddr3Params

READER_DEPTH = 512
"""Beats: a burst of 256 is asked for once it has room, and a core that waits for a dependency does not make the
memory wait (`AxiReader.needed_depth`)."""
READER_OUTSTANDING = 16


@dataclass(frozen=True)
class Ddr3Side:
    """The weights come through a reader of long bursts; window and results, which are rare, through a port that lets
    it through.

    The machine gets ``axi`` and ``control``, the two ways to the controller, and ``initialised``, which that says.

    Attributes
    ----------
    params : of the controller.
    """

    params: Ddr3Params
    started_by_host = True

    @property
    def size(self) -> int:
        """See `MemorySide`."""
        return self.params.chip.size

    @property
    def ways(self) -> Mapping[str, str]:
        """See `MemorySide`."""
        return {"memory": "00", "controller": "01", "core": "10", "machine": "11"}

    def cycles_of_a_beat(self, bits: int) -> int:
        """See `MemorySide`."""
        return CYCLES_OF_A_WORD

    def ports(self, bits: int) -> dict[str, wiring.Member]:
        """See `MemorySide`."""
        return {
            "axi": Out(Axi4(address_bits(self, 8), bits, self.params.id_bits)),
            "control": Out(Wishbone(REGISTER_BITS)),
            "initialised": In(1),
        }

    def reader(self, bits: int) -> AxiReader:
        """See `MemorySide`."""
        return AxiReader(address_bits(self, bits), bits, READER_DEPTH, READER_OUTSTANDING)

    def join(self, m: Module, machine: wiring.Component, clock_hz: int, bits: int, users: Users) -> None:
        """See `MemorySide`."""
        places = address_bits(self, bits)
        m.submodules.arbiter = arbiter = Arbiter(2, places, bits, writers=(0, 1))
        m.submodules.port = port = AxiPort(places, bits)
        m.submodules.control = control = WishboneWindow(REGISTER_BITS)
        for user, way in zip((users.window, users.results), arbiter.ports, strict=True):
            connect(m, user, way)
        connect(m, arbiter.port, port.port)
        connect(m, users.reader.axi, port.reads)
        connect(m, port.axi, wiring.flipped(machine.axi))
        connect(m, users.split.controller, control.bus)
        connect(m, control.wishbone, wiring.flipped(machine.control))
        m.d.comb += users.registers.ready.eq(machine.initialised)
