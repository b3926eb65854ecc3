# SPDX-License-Identifier: Apache-2.0
"""Ring stops in a ring, as cores have them."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.hw.link.message import message_layout
from tritforge.hw.link.ring_stop import RingStop
from tritforge.hw.params import CoreParams


class Stops(wiring.Component):
    """N ring stops, each of which hears the one before it. own_K : In. here_K : Out."""

    def __init__(self, params: CoreParams, count: int) -> None:
        self._params, self._count = params, count
        messages = stream.Signature(message_layout(params))
        super().__init__(
            {f"own_{core}": In(messages) for core in range(count)}
            | {f"here_{core}": Out(messages) for core in range(count)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stops = [RingStop(self._params) for _ in range(self._count)]
        for core, stop in enumerate(stops):
            m.submodules[f"stop_{core}"] = stop
            connect(m, flipped(getattr(self, f"own_{core}")), stop.own)
            connect(m, stop.here, flipped(getattr(self, f"here_{core}")))
            connect(m, stops[core - 1].leaving, stop.arriving)
            m.d.comb += stop.others.eq(self._count - 1)
        return m
