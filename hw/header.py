# SPDX-License-Identifier: Apache-2.0
"""Reads and checks the header of a token packet."""

from amaranth.hdl import Array, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.params import CoreParams


class TokenShape(data.Struct):
    """What a header says about its token; layout in hw/packet.py."""

    hidden: 16
    layers: 8
    intermediate: 16
    vocab: 16
    hidden_beats: 16
    intermediate_beats: 16
    logits: 1
    reset: 1
    sequence: 32


class HeaderReader(wiring.Component):
    """Collects the 16 header words and says whether the core can run the token.

    ``pop`` with ``word`` takes the next word. Two cycles after the last one ``done`` pulses; ``status`` is a
    schedule.Status and ``shape`` what the header said. ``torn`` forbids a token that does not reset the state.
    ``clear`` starts over.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        super().__init__(
            {
                "word": In(unsigned(32)),
                "pop": In(1),
                "clear": In(1),
                "torn": In(1),
                "done": Out(1),
                "status": Out(4),
                "shape": Out(TokenShape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core, shape = self._core, self.shape
        words = Array(Signal(32, name=f"word_{i}") for i in range(sc.HEADER_WORDS))
        index, complete = Signal(range(sc.HEADER_WORDS)), Signal()
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=32).create()
        m.d.comb += [
            crc.start.eq(self.clear),
            crc.data.eq(self.word),
            crc.valid.eq(self.pop & (index != sc.HEADER_WORDS - 1)),
        ]
        m.d.sync += [complete.eq(0), self.done.eq(complete)]
        with m.If(self.clear):
            m.d.sync += index.eq(0)
        with m.Elif(self.pop):
            m.d.sync += [words[index].eq(self.word), index.eq(index + 1)]
            m.d.sync += complete.eq(index == sc.HEADER_WORDS - 1)

        geometry = core.element_bytes << 16 | (core.lanes.bit_length() - 1) << 24
        m.d.comb += [
            shape.logits.eq(words[2][1]),
            shape.reset.eq(words[2][0]),
            shape.sequence.eq(words[3]),
            shape.hidden.eq(words[5]),
            shape.layers.eq(words[6]),
            shape.intermediate.eq(words[7]),
            shape.vocab.eq(words[8]),
            shape.hidden_beats.eq(words[9][:16]),
            shape.intermediate_beats.eq(words[9][16:]),
        ]

        def outside(word, limit: int):
            return (word == 0) | (word > limit)

        def misfits(beats, n):
            # ceil(n / columns) without a division
            room = beats * core.columns
            return (room < n) | (room >= n + core.columns)

        unused = words[2][2:].any() | words[10] | words[11] | words[12] | words[13] | words[14]
        limits = [
            outside(words[5], core.max_hidden),
            outside(words[6], core.max_layers),
            outside(words[7], core.max_intermediate),
            outside(words[8], core.max_vocab),
            misfits(shape.hidden_beats, words[5][:16]),
            misfits(shape.intermediate_beats, words[7][:16]),
        ]
        checks = [
            (words[0] != sc.MAGIC, sc.Status.MAGIC),
            (words[15] != crc.crc, sc.Status.HEADER_CRC),
            ((words[1][:16] != (sc.STREAM_VERSION | sc.CODE_NESTED << 8)) | unused.any(), sc.Status.FORMAT),
            (words[1][16:] != geometry >> 16, sc.Status.GEOMETRY),
            (sum(limits) != 0, sc.Status.LIMITS),
            (words[4] >= words[8], sc.Status.TOKEN),
            (self.torn & ~shape.reset, sc.Status.STATE),
        ]
        status = Signal(4)
        for failed, code in reversed(checks):
            with m.If(failed):
                m.d.comb += status.eq(code)
        m.d.sync += self.status.eq(status)
        return m
