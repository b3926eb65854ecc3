# SPDX-License-Identifier: Apache-2.0
"""The host's way to registers behind Wishbone, such as those of a controller of LiteX."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.bridge.word_bus import WORD_ADDRESS_BITS, WordBus
from tritforge.hw.lib.one_hot import OneHot

REGION_BITS = 2
"""Of an address, that lead to the window (`hw.board.bus_split`)."""


class Wishbone(wiring.Signature):
    """Wishbone of words of 32 bits, seen from the master: classic cycles, one at a time.

    Parameters
    ----------
    address_bits : of ``adr``, which counts words.

    Attributes
    ----------
    cyc, stb, we, adr, sel, dat_w : Out. ack, err, dat_r : In.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "cyc": Out(1),
                "stb": Out(1),
                "we": Out(1),
                "adr": Out(address_bits),
                "sel": Out(4),
                "dat_w": Out(32),
                "ack": In(1),
                "err": In(1),
                "dat_r": In(32),
            }
        )


class WishboneWindow(wiring.Component):
    """An access of the bus becomes one of Wishbone; addresses beyond it are errors, and so is what it refuses.

    Two cycles before and one behind an access.

    Parameters
    ----------
    address_bits : of Wishbone, in words.

    Attributes
    ----------
    bus : In. wishbone : Out.
    """

    def __init__(self, address_bits: int) -> None:
        self._address_bits = address_bits
        super().__init__({"bus": In(WordBus()), "wishbone": Out(Wishbone(address_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, wishbone = self.bus, self.wishbone
        outside = Signal()
        m.d.sync += outside.eq(bus.address[self._address_bits : WORD_ADDRESS_BITS - REGION_BITS].any())
        states = OneHot(m, ("IDLE", "LOOK", "ACCESS", "DONE"))
        at, go = states.at, states.go
        go("IDLE", "LOOK", bus.valid)
        go("LOOK", "DONE", outside)
        go("LOOK", "ACCESS", ~outside)
        go("ACCESS", "DONE", wishbone.ack | wishbone.err)
        go("DONE", "IDLE")
        states.build()
        m.d.comb += [
            wishbone.cyc.eq(at["ACCESS"]),
            wishbone.stb.eq(at["ACCESS"]),
            wishbone.we.eq(bus.write),
            wishbone.adr.eq(bus.address[: self._address_bits]),
            wishbone.sel.eq(0b1111),
            wishbone.dat_w.eq(bus.data),
            bus.done.eq(at["DONE"]),
        ]
        with m.If(at["LOOK"]):
            m.d.sync += bus.error.eq(outside)
        with m.If(at["ACCESS"]):
            m.d.sync += [bus.error.eq(wishbone.err), bus.answer.eq(wishbone.dat_r)]
        return m
