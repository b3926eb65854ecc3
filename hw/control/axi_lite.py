# SPDX-License-Identifier: Apache-2.0
"""The AXI4-Lite protocol, apart from the registers behind it."""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot

ADDRESS_BITS = 12
EFFECT = 4
"""Cycles by which the answer to a write is held back, so that what it does has been done: an abort comes before the
beats that the host sends after it."""
OKAY, SLVERR = 0, 2


class AxiLite(wiring.Signature):
    """AXI4-Lite with 32 bit data and `ADDRESS_BITS` of an address, seen from the master: five channels, address and
    data of a write, its response, address and data of a read, each taken in a cycle with its valid and ready.

    Attributes
    ----------
    aw*, w*, ar* : Out, but for their ready. b*, r* : In, but for theirs.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "awaddr": Out(ADDRESS_BITS),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(ADDRESS_BITS),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLiteSlave(wiring.Component):
    """Turns AXI4-Lite transactions into accesses, one at a time; waiting reads and writes take turns.

    An access takes ``settle + 5`` cycles: it is chosen; its address is taken; ``index`` and ``writing`` are stable
    for ``settle``, in which what the access before it changed reaches the registers; two more for these to find the
    answer, the first with ``collect``; then ``access``, and ``error`` and ``read_data`` are taken. Address and data
    of a write are accepted together, in that last cycle; an answer that the master does not take holds up only its
    own kind.

    Parameters
    ----------
    settle : see above.

    Attributes
    ----------
    axi : In, the bus.
    index : Out, word address; stable until two cycles after ``access``.
    writing : Out, the access is a write; as ``index``.
    collect : Out, pulse, two cycles before ``access`` of a read.
    access : Out, pulse.
    write_data : Out, a register; valid from when ``index`` is stable until a cycle after ``access``.
    whole : Out, all bytes are to be written; valid as long.
    error : In, answer SLVERR, with data 0.
    read_data : In.
    """

    def __init__(self, settle: int) -> None:
        self._settle = settle
        super().__init__(
            {
                "axi": In(AxiLite()),
                "index": Out(ADDRESS_BITS - 2),
                "writing": Out(1),
                "collect": Out(1),
                "access": Out(1),
                "write_data": Out(32),
                "whole": Out(1),
                "error": In(1),
                "read_data": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi = self.axi
        can_write, can_read = flags("can_write", "can_read")
        taken = Signal(EFFECT)
        m.d.comb += [
            can_write.eq(axi.awvalid & axi.wvalid & ~axi.bvalid & ~taken.any()),
            can_read.eq(axi.arvalid & ~axi.rvalid),
            axi.wready.eq(axi.awready),
        ]
        m.d.sync += [
            self.index.eq(Mux(self.writing, axi.awaddr, axi.araddr)[2:]),
            self.write_data.eq(axi.wdata),
            self.whole.eq(axi.wstrb.all()),
        ]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
        response = Mux(self.error, SLVERR, OKAY)
        settling = (f"SETTLE_{step}" for step in range(self._settle))
        steps = ("CHOOSE", "ADDRESS", *settling, "SAMPLE", "COLLECT", "ACCESS")
        states = OneHot(m, steps)
        states.go("CHOOSE", "ADDRESS", can_write | can_read)
        for source, target in pairwise(steps[1:]):
            states.go(source, target)
        states.go("ACCESS", "CHOOSE")
        states.build()
        m.d.comb += [
            self.access.eq(states.at["ACCESS"]),
            self.collect.eq(states.at["SAMPLE"] & ~self.writing),
        ]
        m.d.sync += [
            axi.awready.eq(states.at["COLLECT"] & self.writing),
            axi.arready.eq(states.at["COLLECT"] & ~self.writing),
        ]
        with m.If(states.at["CHOOSE"]):
            # A kind just served still offers its answer, so the other kind comes first.
            m.d.sync += self.writing.eq(can_write)
        m.d.sync += taken.eq(Cat(axi.awready, taken[:-1]))
        with m.If(axi.awready):
            m.d.sync += axi.bresp.eq(response)
        with m.If(taken[-1]):
            m.d.sync += axi.bvalid.eq(1)
        with m.If(axi.arready):
            m.d.sync += [
                axi.rvalid.eq(1),
                axi.rresp.eq(response),
                axi.rdata.eq(Mux(self.error, 0, self.read_data)),
            ]
        return m
