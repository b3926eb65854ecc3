# SPDX-License-Identifier: Apache-2.0
"""The machine: a core that plays tokens from its memory, with a host at a serial line."""

from dataclasses import dataclass

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from tritforge.golden import TritforgeError
from tritforge.hw.board.bus_split import BusSplit
from tritforge.hw.board.machine_map import BY_NAME, Identity
from tritforge.hw.board.machine_registers import MachineRegisters
from tritforge.hw.board.memory_side import MemorySide, Users, address_bits
from tritforge.hw.board.memory_window import MemoryWindow
from tritforge.hw.board.player import Player
from tritforge.hw.board.register_window import RegisterWindow
from tritforge.hw.board.result_writer import ResultWriter
from tritforge.hw.bridge.bridge import Bridge
from tritforge.hw.control.axi_lite import AxiLite
from tritforge.hw.core import BUSES, Core
from tritforge.hw.lib.interfaces import AxiStream, Edge
from tritforge.hw.params import WORD_BYTES, CoreParams

MOST_WORDS = 1 << BY_NAME["RESULT"].field("LAST_WORD").width
"""Of a beat."""


@dataclass(frozen=True)
class MachineParams:
    """Everything that decides a machine.

    core : its geometry, limits and widths; a beat is a burst of the memory. memory : all between the machine and it.
    clock_hz : of core and memory. baud : of the serial line.
    """

    core: CoreParams
    memory: MemorySide
    clock_hz: int
    baud: int

    def __post_init__(self) -> None:
        if self.core.beat_words > MOST_WORDS:
            raise TritforgeError(
                f"A board's core has at most {WORD_BYTES * MOST_WORDS} lanes, not {self.core.lanes}: the register "
                "RESULT counts the words of a beat no further."
            )

    @property
    def identity(self) -> Identity:
        """What the machine says of itself."""
        memory = self.memory
        return Identity(self.core.lanes, memory.size, self.clock_hz, memory.started_by_host)


class Machine(wiring.Component):
    """Core, memory and bridge, in one clock::

        host == bridge == split -+- register window == core's registers
                            |    +- machine's registers == player ...... runs
                            |    +- memory window -+                      |
                          tokens                   |                    reader == core == result writer
                                                   +--- arbiter -----------+----------------------+
                                                           |
                                                     controller == pins

    The window comes first at the memory, then results, then the reader: the host and results are rare, and the
    weights need the memory all the time. The reader and what joins the three to the memory are of its kind
    (`hw.board.memory_side`).

    Parameters
    ----------
    params : of all of it.

    Attributes
    ----------
    rx : In, tx : Out, the serial line. playing, ready : Out, for lamps.
    The memory's own ports beside them.
    """

    def __init__(self, params: MachineParams) -> None:
        self._params = params
        line = {"rx": In(1, init=1), "tx": Out(1, init=1)}
        super().__init__(line | params.memory.ports(params.core.beat_bits) | {"playing": Out(1), "ready": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params, bits = self._params, self._params.core.beat_bits
        memory = params.memory
        places = address_bits(memory, bits)
        m.submodules.core = core = Core(params.core)
        m.submodules.bridge = bridge = Bridge(params.clock_hz, params.baud)
        m.submodules.split = split = BusSplit(memory.ways)
        m.submodules.window = window = MemoryWindow(places, bits)
        m.submodules.register_window = register_window = RegisterWindow()
        m.submodules.registers = registers = MachineRegisters(params.identity, places)
        m.submodules.player = player = Player(places)
        m.submodules.reader = reader = memory.reader(bits)
        m.submodules.writer = writer = ResultWriter(places, bits)
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
        users = Users(window.port, writer.port, reader, split, registers)
        memory.join(m, self, params.clock_hz, bits, users)

        m.d.comb += [
            player.start.eq(registers.start),
            player.stop.eq(registers.stop),
            registers.setting.eq(player.setting),
            player.setting_data.eq(registers.setting_data),
            writer.start.eq(player.result_start),
            writer.start_address.eq(player.result_address),
            writer.cycles.eq(player.count),
            registers.playing.eq(player.playing),
            registers.done.eq(player.done),
            registers.cycles.eq(player.cycles),
            registers.address.eq(writer.address),
            registers.last_word.eq(writer.last_word),
            self.playing.eq(player.playing),
            self.ready.eq(registers.ready),
        ]
        return m
