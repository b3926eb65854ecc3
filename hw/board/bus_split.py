# SPDX-License-Identifier: Apache-2.0
"""The board's bus, led to whom an address belongs."""

from collections.abc import Mapping
from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.bridge.word_bus import WordBus
from tritforge.hw.lib.one_hot import OneHot


class BusSplit(wiring.Component):
    """Leads accesses by the two highest bits of their address (`hw.board.machine_map`). Two cycles before and one
    behind an access.

    Parameters
    ----------
    ways : the bits that lead to each, by name: two, or the higher alone; each of the four is one's.

    Attributes
    ----------
    bus : In. The names of the ways : Out.
    """

    def __init__(self, ways: Mapping[str, str]) -> None:
        self._ways = dict(ways)
        super().__init__({"bus": In(WordBus())} | dict.fromkeys(ways, Out(WordBus())))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, high = self.bus, self.bus.address[-2:]
        states = OneHot(m, ("IDLE", "ACCESS", "DONE"))
        at, go = states.at, states.go
        done = Signal()
        answers, errors = [], []
        ways = {name: getattr(self, name) for name in self._ways}
        for name, way in ways.items():
            select = Signal(name=f"to_{name}")
            m.d.sync += select.eq(_begins(high, self._ways[name]))
            m.d.comb += [
                way.valid.eq(at["ACCESS"] & select),
                way.write.eq(bus.write),
                way.address.eq(bus.address),
                way.data.eq(bus.data),
            ]
            answers.append(Mux(select, way.answer, 0))
            errors.append(select & way.error)
        m.d.comb += done.eq(reduce(or_, (way.valid & way.done for way in ways.values())))
        go("IDLE", "ACCESS", bus.valid)
        go("ACCESS", "DONE", done)
        go("DONE", "IDLE")
        states.build()
        with m.If(done):
            m.d.sync += [bus.answer.eq(reduce(or_, answers)), bus.error.eq(reduce(or_, errors))]
        m.d.comb += bus.done.eq(at["DONE"])
        return m


def _begins(value: Value, bits: str) -> Value:
    """Whether these are its highest bits."""
    return value[-1] if bits == "1" else ~value[-1] if bits == "0" else value == int(bits, 2)
