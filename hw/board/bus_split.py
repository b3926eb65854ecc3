# SPDX-License-Identifier: Apache-2.0
"""The board's bus, led to whom an address belongs."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.bridge.word_bus import WordBus
from tritforge.hw.lib.one_hot import OneHot


class BusSplit(wiring.Component):
    """Leads accesses by the two highest bits of their address (`hw.board.machine_map`): 0 and 1 to the memory, 2 to
    the core's registers, 3 to the machine's. Two cycles before and one behind an access.

    Attributes
    ----------
    bus : In. memory, core, machine : Out.
    """

    def __init__(self) -> None:
        super().__init__({"bus": In(WordBus())} | dict.fromkeys(("memory", "core", "machine"), Out(WordBus())))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, high = self.bus, self.bus.address[-2:]
        states = OneHot(m, ("IDLE", "ACCESS", "DONE"))
        at, go = states.at, states.go
        chosen = {"memory": ~high[1], "core": high == 0b10, "machine": high == 0b11}
        done = Signal()
        answers, errors = [], []
        for name, condition in chosen.items():
            way = getattr(self, name)
            select = Signal(name=f"to_{name}")
            m.d.sync += select.eq(condition)
            m.d.comb += [
                way.valid.eq(at["ACCESS"] & select),
                way.write.eq(bus.write),
                way.address.eq(bus.address),
                way.data.eq(bus.data),
            ]
            answers.append(Mux(select, way.answer, 0))
            errors.append(select & way.error)
        m.d.comb += done.eq(reduce(or_, (way.valid & way.done for way in (self.memory, self.core, self.machine))))
        go("IDLE", "ACCESS", bus.valid)
        go("ACCESS", "DONE", done)
        go("DONE", "IDLE")
        states.build()
        with m.If(done):
            m.d.sync += [bus.answer.eq(reduce(or_, answers)), bus.error.eq(reduce(or_, errors))]
        m.d.comb += bus.done.eq(at["DONE"])
        return m
