# SPDX-License-Identifier: Apache-2.0
"""A core with the ports of the real one that folds each beat into a result word, to test the tools with."""

from itertools import pairwise

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from tritforge.hw.control.axi_lite import AxiLite
from tritforge.hw.lib.interfaces import AxiStream, Edge
from tritforge.hw.lib.width import cut, plus_one

IDENTITY = 0x74726974
TAP_OP_ACC, TAP_OP_WIDE = 3, 9
ID, SCRATCH, HOLD = 0x0, 0x4, 0x8


def fold(packet: NDArray[np.uint8], lanes: int) -> NDArray[np.uint32]:
    """Result words of a packet: the exclusive or of a beat's 32-bit words."""
    return np.bitwise_xor.reduce(packet.view("<u4").reshape(-1, lanes // 4), axis=1)


def tapped(word: int, rows: int) -> list[int]:
    """What the taps show of a result word: bit r of it says whether row r lives, whose value is the word plus r."""
    return [(word + row) & 0xFFFFFFFF for row in range(rows) if word >> row % 32 & 1]


def trace_word(cycle: int) -> int:
    """What the trace port shows in a cycle since the reset; each half changes every 16 cycles, in turn."""
    return cycle + 8 >> 4 & 0x3FFFFFF | (~cycle >> 4 & 0x3FFFFFF) << 26


def random_packet(beats: int, lanes: int) -> NDArray[np.uint8]:
    """The same bytes for the same length."""
    return np.random.default_rng(beats).integers(0, 256, beats * lanes, dtype=np.uint8)


class Stage(wiring.Component):
    """One register of a stream, half throughput; word and last flag.

    Latency 1 cycle, a word every second cycle.
    """

    i: In(stream.Signature(data.StructLayout({"word": 32, "last": 1})))
    o: Out(stream.Signature(data.StructLayout({"word": 32, "last": 1})))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.payload.eq(self.i.payload), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class Registers(wiring.Component):
    """AXI4-Lite registers: identity, scratch and a hold bit; any other address answers SLVERR."""

    def __init__(self) -> None:
        super().__init__(
            {
                "csr": In(AxiLite()),
                "hold": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        csr, scratch = self.csr, Signal(32)
        write = Signal()
        m.d.comb += [
            write.eq(csr.awvalid & csr.wvalid & ~csr.bvalid),
            csr.awready.eq(write),
            csr.wready.eq(write),
            csr.arready.eq(~csr.rvalid),
        ]
        with m.If(csr.bready):
            m.d.sync += csr.bvalid.eq(0)
        with m.If(write):
            m.d.sync += [csr.bvalid.eq(1), csr.bresp.eq(0)]
            with m.Switch(csr.awaddr):
                with m.Case(SCRATCH):
                    for byte in range(4):
                        with m.If(csr.wstrb[byte]):
                            lanes = slice(8 * byte, 8 * byte + 8)
                            m.d.sync += scratch[lanes].eq(csr.wdata[lanes])
                with m.Case(HOLD):
                    m.d.sync += self.hold.eq(csr.wdata[0])
                with m.Default():
                    m.d.sync += csr.bresp.eq(2)
        with m.If(csr.rready):
            m.d.sync += csr.rvalid.eq(0)
        with m.If(csr.arvalid & csr.arready):
            m.d.sync += [csr.rvalid.eq(1), csr.rresp.eq(0)]
            with m.Switch(csr.araddr):
                with m.Case(ID):
                    m.d.sync += csr.rdata.eq(IDENTITY)
                with m.Case(SCRATCH):
                    m.d.sync += csr.rdata.eq(scratch)
                with m.Default():
                    m.d.sync += csr.rresp.eq(2)
        return m


class Loopback(wiring.Component):
    """Streams in, `stages` registers, streams out.

    Parameters
    ----------
    lanes
        Bytes a beat, a multiple of four.
    stages
        Number of identical `Stage` units.
    rows
        Rows of the debug ports; see `tapped` and `trace_word`.
    """

    def __init__(self, lanes: int, stages: int = 3, rows: int = 1) -> None:
        self._lanes, self._stages, self._rows = lanes, stages, rows
        self._csr = Edge("s_axil_csr", AxiLite().flip())
        super().__init__(
            {
                **Edge("s_axis_weights", AxiStream(8 * lanes).flip()).ports,
                **Edge("m_axis_result", AxiStream(32)).ports,
                **self._csr.ports,
                **{"tap_acc_valid": Out(rows), "tap_acc_op": Out(4), "tap_acc": Out(_values(rows))},
                **{"tap_wide_valid": Out(rows), "tap_wide_op": Out(4), "tap_wide": Out(_values(rows))},
                "tap_trace": Out(52),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = Registers()
        wiring.connect(m, self._csr.inside(self), registers.csr)
        word = Signal(32)
        beat = self.s_axis_weights_tdata
        words = [beat.word_select(index, 32) for index in range(self._lanes // 4)]
        m.d.comb += word.eq(words[0])
        for extra in words[1:]:
            word, previous = Signal(32), word
            m.d.comb += word.eq(previous ^ extra)
        cycle = Signal(30)
        m.d.sync += cycle.eq(plus_one(cycle))
        stages = [Stage() for _ in range(self._stages)]
        for index, stage in enumerate(stages):
            m.submodules[f"stage_{index}"] = stage
        for before, after in pairwise(stages):
            wiring.connect(m, before.o, after.i)
        first, last = stages[0].i, stages[-1].o
        m.d.comb += [
            Cat(first.payload.word, first.payload.last).eq(Cat(word, self.s_axis_weights_tlast)),
            first.valid.eq(self.s_axis_weights_tvalid & ~registers.hold),
            self.s_axis_weights_tready.eq(first.ready & ~registers.hold),
            self.m_axis_result_tdata.eq(last.payload.word),
            self.m_axis_result_tlast.eq(last.payload.last),
            self.m_axis_result_tvalid.eq(last.valid),
            last.ready.eq(self.m_axis_result_tready),
            self.tap_acc_valid.eq(Mux(first.valid & first.ready, Cat(word, word)[: self._rows], 0)),
            self.tap_acc_op.eq(TAP_OP_ACC),
            self.tap_wide_valid.eq(
                Mux(last.valid & last.ready, Cat(last.payload.word, last.payload.word)[: self._rows], 0)
            ),
            self.tap_wide_op.eq(TAP_OP_WIDE),
            self.tap_trace.eq(Cat((cycle + 8)[4:30], ~cycle[4:])),
        ]
        for row in range(self._rows):
            m.d.comb += [
                self.tap_acc[row].eq(cut(word + row, self.tap_acc[row])),
                self.tap_wide[row].eq(cut(last.payload.word + row, self.tap_wide[row])),
            ]
        return m


def _values(rows: int) -> data.ArrayLayout:
    return data.ArrayLayout(signed(32), rows)
