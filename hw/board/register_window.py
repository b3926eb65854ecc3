# SPDX-License-Identifier: Apache-2.0
"""The host's way to the core's registers: the board's bus turned into AXI4-Lite."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.bridge.word_bus import WordBus
from tritforge.hw.control.axi_lite import ADDRESS_BITS, AxiLite
from tritforge.hw.lib.one_hot import OneHot


class RegisterWindow(wiring.Component):
    """An access of the bus becomes one transaction; addresses beyond AXI's `ADDRESS_BITS` are errors.

    Attributes
    ----------
    bus : In. axi : Out.
    """

    def __init__(self) -> None:
        super().__init__({"bus": In(WordBus()), "axi": Out(AxiLite())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, axi = self.bus, self.axi
        outside = Signal()
        m.d.sync += outside.eq(bus.address[ADDRESS_BITS - 2 : -2].any())
        states = OneHot(m, ("IDLE", "LOOK", "WRITE", "WRITTEN", "READ", "ANSWER", "DONE"))
        at, go = states.at, states.go
        go("IDLE", "LOOK", bus.valid)
        go("LOOK", "DONE", outside)
        go("LOOK", "WRITE", ~outside & bus.write)
        go("LOOK", "READ", ~outside & ~bus.write)
        # the core takes address and data of a write together
        go("WRITE", "WRITTEN", axi.awready & axi.wready)
        go("WRITTEN", "DONE", axi.bvalid)
        go("READ", "ANSWER", axi.arready)
        go("ANSWER", "DONE", axi.rvalid)
        go("DONE", "IDLE")
        states.build()
        address = Cat(Const(0, 2), bus.address[: ADDRESS_BITS - 2])
        m.d.comb += [
            axi.awaddr.eq(address),
            axi.araddr.eq(address),
            axi.awvalid.eq(at["WRITE"]),
            axi.wvalid.eq(at["WRITE"]),
            axi.wdata.eq(bus.data),
            axi.wstrb.eq(0b1111),
            axi.awprot.eq(0),
            axi.arprot.eq(0),
            axi.arvalid.eq(at["READ"]),
            axi.bready.eq(at["WRITTEN"]),
            axi.rready.eq(at["ANSWER"]),
            bus.done.eq(at["DONE"]),
        ]
        with m.If(at["LOOK"]):
            m.d.sync += bus.error.eq(outside)
        with m.If(at["WRITTEN"]):
            m.d.sync += bus.error.eq(axi.bresp[1])
        with m.If(at["ANSWER"]):
            m.d.sync += [bus.error.eq(axi.rresp[1]), bus.answer.eq(axi.rdata)]
        return m
