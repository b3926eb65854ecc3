# SPDX-License-Identifier: Apache-2.0
"""The machine's own registers."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.hw.board.machine_map import (
    BY_NAME,
    LEAST_CAPTURE,
    MACHINE_ID,
    MACHINE_VERSION,
    REGISTERS,
    SETTINGS,
    SETTINGS_OFFSET,
    Identity,
)
from tritforge.hw.bridge.word_bus import WordBus
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.register_map import Access


class MachineRegisters(wiring.Component):
    """Registers of `hw.board.machine_map`; settings are words of a small memory that the player reads as well.

    The player has the settings' read port while it plays; until it ends, the host reads zeros there and cannot write.
    An access takes six cycles.

    Parameters
    ----------
    identity : what the machine says of itself.
    address_bits : of the memory's address, which counts beats.

    Attributes
    ----------
    bus : In.
    start, stop : Out, pulses.
    setting : In, which word the player asks for; ``setting_data`` : Out, a cycle later.
    ready, playing, done, cycles, address, last_word : In, what the registers show.
    capture : Out, cycles; ``phase`` : Out, steps.
    """

    def __init__(self, identity: Identity, address_bits: int) -> None:
        self._identity, self._address_bits = identity, address_bits
        super().__init__(
            {
                "bus": In(WordBus()),
                "start": Out(1),
                "stop": Out(1),
                "setting": In(range(SETTINGS)),
                "setting_data": Out(32),
                "ready": In(1),
                "playing": In(1),
                "done": In(16),
                "cycles": In(32),
                "address": In(address_bits),
                "last_word": In(4),
                "capture": Out(2, init=LEAST_CAPTURE),
                "phase": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        index = Signal(SETTINGS.bit_length())
        outside = Signal()
        m.d.sync += [index.eq(bus.address[: len(index)]), outside.eq(bus.address[len(index) : -2].any())]
        of_settings = index[-1]
        assert 4 << len(index) - 1 == SETTINGS_OFFSET

        m.submodules.settings = settings = Memory(shape=32, depth=SETTINGS, init=[])
        write = settings.write_port()
        read = settings.read_port(domain="comb")
        states = OneHot(m, ("IDLE", "LOOK", "FIND", "GATHER", "DONE"))
        at, go = states.at, states.go
        go("IDLE", "LOOK", bus.valid)
        go("LOOK", "FIND")
        go("FIND", "GATHER")
        go("GATHER", "DONE")
        go("DONE", "IDLE")
        states.build()
        read_at = Signal(range(SETTINGS))
        m.d.sync += read_at.eq(Mux(self.playing, self.setting, index[:-1]))
        m.d.comb += [
            read.addr.eq(read_at),
            self.setting_data.eq(read.data),
            write.addr.eq(index[:-1]),
            write.data.eq(bus.data),
            write.en.eq(at["FIND"] & bus.write & of_settings & ~outside & ~self.playing),
            bus.done.eq(at["DONE"]),
        ]

        shape = {
            "VERSION": MACHINE_VERSION,
            "BEAT_BYTES_LOG2": self._identity.beat_bytes.bit_length() - 1,
            "BEATS_LOG2": self._address_bits,
            "STARTED_BY_HOST": self._identity.started_by_host,
        }
        values = {
            "ID": MACHINE_ID,
            "SHAPE": BY_NAME["SHAPE"].word(**shape),
            "CLOCK": self._identity.clock_hz // 1000,
            "STATUS": Cat(self.ready, self.playing),
            "COMMAND": 0,
            "DONE": self.done,
            "CYCLES": self.cycles,
            "RESULT": self.address | self.last_word << BY_NAME["RESULT"].field("LAST_WORD").low,
            "CAPTURE": self.capture | self.phase << BY_NAME["CAPTURE"].field("PHASE").low,
        }
        select = {}
        for register in REGISTERS:
            chosen = Signal(name=f"select_{register.name.lower()}")
            m.d.sync += chosen.eq(~outside & (index == register.offset // 4))
            select[register.name] = chosen
        shown = Signal(32, reset_less=True)
        m.d.sync += shown.eq(reduce(or_, (Mux(select[name], value, 0) for name, value in values.items()))[:32])
        settings_chosen = Signal()
        writable = Signal()
        m.d.sync += [
            settings_chosen.eq(of_settings & ~outside & ~self.playing),
            writable.eq(
                reduce(or_, (select[r.name] for r in REGISTERS if r.access is not Access.READ_ONLY))
                | of_settings & ~outside & ~self.playing
            ),
        ]
        readable = Signal()
        m.d.sync += readable.eq(~outside & (Cat(select.values()).any() | of_settings))
        with m.If(at["GATHER"]):
            m.d.sync += [
                bus.answer.eq(Mux(settings_chosen, self.setting_data, shown)),
                bus.error.eq(~Mux(bus.write, writable, readable)),
            ]

        command = at["GATHER"] & bus.write & select["COMMAND"]
        start, stop = BY_NAME["COMMAND"].field("START"), BY_NAME["COMMAND"].field("STOP")
        m.d.sync += [
            self.start.eq(command & bus.data[start.low] & ~self.playing),
            self.stop.eq(command & bus.data[stop.low]),
        ]
        with m.If(at["GATHER"] & bus.write & select["CAPTURE"]):
            m.d.sync += [self.capture.eq(bus.data[:2]), self.phase.eq(bus.data[8:16])]
        return m
