# SPDX-License-Identifier: Apache-2.0
"""The machine: a core that plays tokens from its memory, with a host at a serial line."""

from dataclasses import dataclass

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from tritforge.hw.board.bus_split import BusSplit
from tritforge.hw.board.machine_map import Identity
from tritforge.hw.board.machine_registers import MachineRegisters
from tritforge.hw.board.memory_window import MemoryWindow
from tritforge.hw.board.player import Player
from tritforge.hw.board.register_window import RegisterWindow
from tritforge.hw.board.result_writer import ResultWriter
from tritforge.hw.bridge.bridge import Bridge
from tritforge.hw.control.axi_lite import AxiLite
from tritforge.hw.core import BUSES, Core
from tritforge.hw.lib.interfaces import AxiStream, Edge
from tritforge.hw.memory.arbiter import Arbiter
from tritforge.hw.memory.chip import SdramChip
from tritforge.hw.memory.pins import SdramPins
from tritforge.hw.memory.reader import Reader
from tritforge.hw.memory.sdram import SdramController
from tritforge.hw.params import CoreParams

READER_DEPTH = 32
"""Beats: a core that waits for a dependency does not make the memory wait (`Reader.needed_depth`)."""


@dataclass(frozen=True)
class MachineParams:
    """Everything that decides a machine.

    core : its geometry, limits and widths; a beat is a burst of the memory. chip : the memory. clock_hz : of core and
    memory. cas_latency : of the memory, in clocks. baud : of the serial line.
    """

    core: CoreParams
    chip: SdramChip
    clock_hz: int
    cas_latency: int
    baud: int

    @property
    def address_bits(self) -> int:
        """Of the memory's address, which counts beats."""
        return (self.identity.memory_bytes // self.identity.beat_bytes).bit_length() - 1

    @property
    def identity(self) -> Identity:
        """What the machine says of itself."""
        chip = self.chip
        size = (chip.dq_bits // 8) << chip.row_bits + chip.bank_bits + chip.column_bits
        return Identity(self.core.lanes, size, self.clock_hz)


class Machine(wiring.Component):
    """Core, memory controller and bridge, in one clock::

        host == bridge == split -+- register window == core's registers
                            |    +- machine's registers == player ...... runs
                            |    +- memory window -+                      |
                          tokens                   |                    reader == core == result writer
                                                   +--- arbiter -----------+----------------------+
                                                           |
                                                     controller == pins

    The window comes first at the memory, then results, then the reader: the host and results are rare, and the
    weights need the memory all the time.

    Parameters
    ----------
    params : of all of it.

    Attributes
    ----------
    rx : In, tx : Out, the serial line. pins : Out, the memory's.
    phase : Out, steps by which the memory's clock is to be shifted (`hw.board.machine_map`, CAPTURE).
    playing, ready : Out, for lamps.
    """

    def __init__(self, params: MachineParams) -> None:
        self._params = params
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "pins": Out(SdramPins(params.chip)),
                "phase": Out(8),
                "playing": Out(1),
                "ready": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params, bits = self._params, self._params.core.beat_bits
        address_bits = params.address_bits
        m.submodules.core = core = Core(params.core)
        m.submodules.bridge = bridge = Bridge(params.clock_hz, params.baud)
        m.submodules.split = split = BusSplit()
        m.submodules.window = window = MemoryWindow(address_bits, bits)
        m.submodules.register_window = register_window = RegisterWindow()
        m.submodules.registers = registers = MachineRegisters(params.identity, address_bits)
        m.submodules.player = player = Player(address_bits)
        m.submodules.reader = reader = Reader(address_bits, bits, READER_DEPTH)
        m.submodules.writer = writer = ResultWriter(address_bits, bits)
        m.submodules.arbiter = arbiter = Arbiter(3, address_bits, bits, writers=(0, 1))
        m.submodules.controller = controller = SdramController(
            params.chip, params.clock_hz / 1e6, bits, params.cas_latency
        )
        signatures = (AxiStream(bits).flip(), AxiStream(32), AxiLite().flip())
        weights, results, csr = (Edge(*pair).outside(core) for pair in zip(BUSES, signatures, strict=True))

        # the host's ways
        connect(m, bridge.bus, split.bus)
        connect(m, split.memory, window.bus)
        connect(m, split.core, register_window.bus)
        connect(m, split.machine, registers.bus)
        connect(m, register_window.axi, csr)
        connect(m, player.tokens, bridge.tokens)
        m.d.comb += [bridge.rx.eq(self.rx), self.tx.eq(bridge.tx)]

        # weights and results
        connect(m, player.runs, reader.runs)
        connect(m, reader.beats, weights)
        connect(m, results, writer.results)
        connect(m, writer.end, player.result)
        for port, way in zip((window.port, writer.port, reader.port), arbiter.ports, strict=True):
            connect(m, port, way)
        connect(m, arbiter.port, controller.port)
        connect(m, controller.pins, wiring.flipped(self.pins))

        m.d.comb += [
            player.start.eq(registers.start),
            player.stop.eq(registers.stop),
            registers.setting.eq(player.setting),
            player.setting_data.eq(registers.setting_data),
            writer.start.eq(player.result_start),
            writer.start_address.eq(player.result_address),
            writer.cycles.eq(player.count),
            registers.ready.eq(controller.initialised),
            registers.playing.eq(player.playing),
            registers.done.eq(player.done),
            registers.cycles.eq(player.cycles),
            registers.address.eq(writer.address),
            registers.last_word.eq(writer.last_word),
            controller.capture.eq(registers.capture),
            self.phase.eq(registers.phase),
            self.playing.eq(player.playing),
            self.ready.eq(controller.initialised),
        ]
        return m
