# SPDX-License-Identifier: Apache-2.0
"""A core with the ports of a linked one: each result word needs a word of its own and one of the core before it."""

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from tests.loopback import Registers, fold
from tritforge.hw.control.axi_lite import AxiLite
from tritforge.hw.lib.interfaces import AxiStream, Edge
from tritforge.hw.lib.width import plus_one

LINK_BYTES = 3
"""Two beats a word; no whole number of words."""
DEPTH = 8
TAPS = ("acc", "wide")


def expected(packets: list[NDArray[np.uint8]], lanes: int) -> list[NDArray[np.uint32]]:
    """The results of all cores: own words, those of the core before, its index on top."""
    words = [fold(packet, lanes) for packet in packets]
    if len(words) == 1:
        return words
    return [own ^ words[core - 1] ^ np.uint32(core << 28) for core, own in enumerate(words)]


class LinkedLoopback(wiring.Component):
    """Folds each beat into a word (`tests.loopback.fold`), says it to the next core, and answers with its exclusive
    or with what the core before it says; alone with its own. Bit 27 is spoilt once a link has taken a beat back.

    Parameters
    ----------
    lanes
        Bytes a beat, a multiple of four.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._csr = Edge("s_axil_csr", AxiLite().flip())
        super().__init__(
            {
                **Edge("s_axis_weights", AxiStream(8 * lanes).flip()).ports,
                **Edge("m_axis_result", AxiStream(32)).ports,
                **Edge("s_axis_link", AxiStream(8 * LINK_BYTES).flip()).ports,
                **Edge("m_axis_link", AxiStream(8 * LINK_BYTES)).ports,
                **self._csr.ports,
                "link_index": In(4),
                "link_last": In(4),
                **{f"tap_{name}_valid": Out(1) for name in TAPS},
                **{f"tap_{name}_op": Out(4) for name in TAPS},
                **{f"tap_{name}": Out(data.ArrayLayout(signed(32), 1)) for name in TAPS},
                "tap_trace": Out(52),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = registers = Registers()
        wiring.connect(m, self._csr.inside(self), registers.csr)
        m.submodules.own = own = SyncFIFOBuffered(width=33, depth=DEPTH)
        m.submodules.said = said = SyncFIFOBuffered(width=32, depth=DEPTH)
        m.submodules.heard = heard = SyncFIFOBuffered(width=32, depth=DEPTH)
        word, alone, high, answers, waits, spoilt = (
            *(Signal(32, name="word"), Signal(name="alone"), Signal(name="high")),
            *(Signal(name="answers"), Signal(name="waits"), Signal(name="spoilt")),
        )
        low = Signal(8 * LINK_BYTES)
        beat = self.s_axis_weights_tdata
        words = [beat.word_select(index, 32) for index in range(self._lanes // 4)]
        m.d.comb += word.eq(words[0])
        for extra in words[1:]:
            word, previous = Signal(32), word
            m.d.comb += word.eq(previous ^ extra)
        accepted = self.s_axis_weights_tvalid & self.s_axis_weights_tready
        m.d.comb += [
            alone.eq(self.link_last == 0),
            self.s_axis_weights_tready.eq(own.w_rdy & said.w_rdy & ~registers.hold),
            own.w_data.eq(Cat(word, self.s_axis_weights_tlast)),
            own.w_en.eq(accepted),
            said.w_data.eq(word),
            said.w_en.eq(accepted & ~alone),
        ]
        # out: two beats a word, the lower first
        second, sent = Signal(), self.m_axis_link_tvalid & self.m_axis_link_tready
        m.d.comb += [
            self.m_axis_link_tvalid.eq(said.r_rdy),
            self.m_axis_link_tlast.eq(second),
            self.m_axis_link_tdata.eq(Mux(second, said.r_data[8 * LINK_BYTES :], said.r_data)[: 8 * LINK_BYTES]),
            said.r_en.eq(sent & second),
        ]
        with m.If(sent):
            m.d.sync += second.eq(~second)
        # in: the answer depends on TLAST, as that of a core may
        m.d.comb += [
            self.s_axis_link_tready.eq(heard.w_rdy | ~self.s_axis_link_tlast),
            heard.w_data.eq(Cat(low, self.s_axis_link_tdata)[:32]),
            heard.w_en.eq(self.s_axis_link_tvalid & self.s_axis_link_tlast & high),
        ]
        with m.If(self.s_axis_link_tvalid & self.s_axis_link_tready):
            m.d.sync += [low.eq(self.s_axis_link_tdata), high.eq(~self.s_axis_link_tlast)]
        m.d.sync += waits.eq(self.s_axis_link_tvalid & ~self.s_axis_link_tready)
        with m.If(waits & ~self.s_axis_link_tvalid):
            m.d.sync += spoilt.eq(1)
        m.d.comb += [
            self.m_axis_result_tvalid.eq(own.r_rdy & (heard.r_rdy | alone)),
            self.m_axis_result_tdata.eq(
                Mux(
                    alone,
                    own.r_data[:32],
                    own.r_data[:32] ^ heard.r_data ^ Cat(Const(0, 27), spoilt, self.link_index),
                )
            ),
            self.m_axis_result_tlast.eq(own.r_data[32]),
            answers.eq(self.m_axis_result_tvalid & self.m_axis_result_tready),
            own.r_en.eq(answers),
            heard.r_en.eq(answers & ~alone),
        ]
        cycle = Signal(30)
        m.d.sync += cycle.eq(plus_one(cycle))
        m.d.comb += [
            self.tap_trace.eq(Cat(cycle[4:], self.link_index)),
            *(self.tap_acc_valid.eq(answers), self.tap_acc_op.eq(self.link_index)),
            self.tap_acc[0].eq(self.m_axis_result_tdata.as_signed()),
        ]
        return m
