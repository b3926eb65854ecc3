# SPDX-License-Identifier: Apache-2.0
"""A port of whole words at a memory behind AXI4, beside a reader."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.memory.axi4 import CACHE, INCREMENTING, WIDTHS, Axi4, Axi4Read
from tritforge.hw.memory.port import MemoryPort

READER, OWN = 0, 1
"""IDs: whose a read is."""


class AxiPort(wiring.Component):
    """Carries out requests one at a time, and lets those of a reader through, which needs the memory all the time.

    A request becomes a burst of one word. One that writes is taken when the memory has answered it, so that whoever
    has seen it taken reads what it wrote, by either way; one that reads is taken when it is on its way. The address
    of a read goes through a register, the port's own before one of the reader's; the memory answers in order or not,
    and the ID says whose it is.

    Responses are not looked at: LiteDRAM has no other than OKAY.

    Latency: a cycle of the reader's addresses, none of its words; three cycles from a request to the bus.

    Parameters
    ----------
    address_bits : of the memory, in words.
    bits : of a word, one of `WIDTHS`.

    Attributes
    ----------
    port : In. reads : In, the reader's, of ID `READER`.
    axi : Out, with IDs of one bit.
    """

    def __init__(self, address_bits: int, bits: int) -> None:
        if bits not in WIDTHS:
            raise TritforgeError(f"A word of an AXI memory has {', '.join(map(str, WIDTHS))} bits, not {bits}.")
        self._byte_bits = (bits // 8 - 1).bit_length()
        size = address_bits + self._byte_bits
        super().__init__(
            {
                "port": In(MemoryPort(address_bits, bits)),
                "reads": In(Axi4Read(size, bits, 1)),
                "axi": Out(Axi4(size, bits, 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request, reads, axi = self.port.request, self.reads, self.axi
        address = Cat(Const(0, self._byte_bits), request.payload.address)
        free, own, written, answered = flags("free", "own", "written", "answered")
        states = OneHot(m, ("IDLE", "WRITE", "WRITTEN", "ASK", "READ"))
        at, go = states.at, states.go
        go("IDLE", "WRITE", request.valid & request.payload.write)
        go("IDLE", "ASK", request.valid & ~request.payload.write)
        go("WRITE", "WRITTEN", ~axi.awvalid & ~axi.wvalid)
        go("WRITTEN", "IDLE", axi.bvalid)
        go("ASK", "READ", free)
        go("READ", "IDLE", answered)
        states.build()

        begins = Signal()
        m.d.comb += begins.eq(at["IDLE"] & request.valid & request.payload.write)
        # both stay until they are taken, in any order
        for valid, ready in ((axi.awvalid, axi.awready), (axi.wvalid, axi.wready)):
            m.d.sync += valid.eq(begins | valid & ~ready)
        m.d.comb += [
            written.eq(at["WRITTEN"] & axi.bvalid),
            request.ready.eq(written | at["ASK"] & free),
            axi.awid.eq(OWN),
            axi.awaddr.eq(address),
            axi.awlen.eq(0),
            axi.wdata.eq(request.payload.data),
            axi.wstrb.eq(~Const(0, len(axi.wstrb))),
            axi.wlast.eq(1),
            axi.bready.eq(at["WRITTEN"]),
        ]

        m.d.comb += [free.eq(~axi.arvalid | axi.arready), reads.arready.eq(free & ~at["ASK"])]
        with m.If(free):
            m.d.sync += [
                axi.arvalid.eq(at["ASK"] | reads.arvalid),
                axi.arid.eq(Mux(at["ASK"], OWN, READER)),
                axi.araddr.eq(Mux(at["ASK"], address, reads.araddr)),
                axi.arlen.eq(Mux(at["ASK"], 0, reads.arlen)),
            ]
        for channel in ("aw", "ar"):
            for name, value in (
                ("size", self._byte_bits),
                ("burst", INCREMENTING),
                ("cache", CACHE),
                ("lock", 0),
                ("prot", 0),
            ):
                m.d.comb += getattr(axi, channel + name).eq(value)
        m.d.comb += [
            own.eq(axi.rid == OWN),
            answered.eq(axi.rvalid & own),
            self.port.answer_valid.eq(answered),
            self.port.answer.eq(axi.rdata),
            reads.rvalid.eq(axi.rvalid & ~own),
            reads.rid.eq(READER),
            reads.rdata.eq(axi.rdata),
            reads.rresp.eq(axi.rresp),
            reads.rlast.eq(axi.rlast),
            # there is room for one's own
            axi.rready.eq(own | reads.rready),
        ]
        return m
