# SPDX-License-Identifier: Apache-2.0
"""Side words: the part of the weight stream that is not trits, as 32 bit words in order."""

from amaranth.hdl import Module, ResetInserter, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.params import CoreParams

DEPTH = 16
"""Beats of the buffer: more than two row blocks' gains (12 * rows bytes each at most), so that the next block's
gains never wait for this block's rows."""


class SideWords(wiring.Component):
    """Buffers side beats and unpacks them, low word first, one word a cycle without gaps.

    ``word`` is valid with ``valid``; ``pop`` takes it, and with ``last`` also drops the rest of its beat (padding).
    ``clear`` empties everything.
    """

    def __init__(self, core: CoreParams) -> None:
        self._width = 8 * core.lanes
        super().__init__(
            {
                "beats": In(stream.Signature(unsigned(self._width))),
                "word": Out(unsigned(32)),
                "valid": Out(1),
                "pop": In(1),
                "last": In(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffer = SyncFIFOBuffered(width=self._width, depth=DEPTH)
        m.submodules.buffer = ResetInserter(self.clear)(buffer)
        words = self._width // 32
        beat, left = Signal(self._width), Signal(range(words + 1))
        m.d.comb += [
            buffer.w_data.eq(self.beats.payload),
            buffer.w_en.eq(self.beats.valid),
            self.beats.ready.eq(buffer.w_rdy),
            self.word.eq(beat[:32]),
            self.valid.eq(left != 0),
        ]
        spent = (left == 0) | (self.pop & (self.last | (left == 1)))
        m.d.comb += buffer.r_en.eq(spent)
        with m.If(spent):
            m.d.sync += [beat.eq(buffer.r_data), left.eq(0)]
            with m.If(buffer.r_rdy):
                m.d.sync += left.eq(words)
        with m.Elif(self.pop):
            m.d.sync += [beat.eq(beat >> 32), left.eq(left - 1)]
        with m.If(self.clear):
            m.d.sync += left.eq(0)
        return m
