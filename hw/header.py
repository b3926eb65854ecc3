# SPDX-License-Identifier: Apache-2.0
"""Reads and checks the header of a token packet."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.ops import context_bits
from hw.params import CoreParams


def token_shape(core: CoreParams) -> data.StructLayout:
    """What a header says about its packet (hw/packet.py), and what follows from it.

    zero, logits : masks of contexts. slots : where each context's state is kept. used : mask of those slots. The
    spans are the positions of a vector in the store, ``contexts * beats``.
    """
    return data.StructLayout(
        {
            "hidden": 16,
            "layers": 8,
            "intermediate": 16,
            "vocab": 16,
            "hidden_beats": 16,
            "intermediate_beats": 16,
            "contexts": 4,
            "zero": core.batch,
            "logits": core.batch,
            "slots": data.ArrayLayout(context_bits(core), core.batch),
            "used": core.batch,
            "hidden_span": range(core.batch * core.beats(core.max_hidden) + 1),
            "intermediate_span": range(core.batch * core.beats(core.max_intermediate) + 1),
            "sequence": 32,
        }
    )


class HeaderReader(wiring.Component):
    """Collects the 16 header words and says whether the core can run the packet.

    ``pop`` with ``word`` takes the next word. Two cycles after the last one ``done`` pulses; ``status`` is a
    schedule.Status and ``shape`` what the header said. ``torn``, a mask of slots, forbids a packet that goes on from
    the state in one of them. ``clear`` starts over.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        super().__init__(
            {
                "word": In(unsigned(32)),
                "pop": In(1),
                "clear": In(1),
                "torn": In(core.batch),
                "done": Out(1),
                "status": Out(4),
                "shape": Out(token_shape(core)),
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
        contexts = words[2][:8]
        used = [Signal(core.batch, name=f"used_{i}") for i in range(core.batch)]
        m.d.comb += [
            shape.contexts.eq(contexts),
            shape.zero.eq(words[2][8:]),
            shape.logits.eq(words[2][16:]),
            shape.sequence.eq(words[3]),
            shape.hidden.eq(words[9]),
            shape.layers.eq(words[10]),
            shape.intermediate.eq(words[11]),
            shape.vocab.eq(words[12]),
            shape.hidden_beats.eq(words[13][:16]),
            shape.intermediate_beats.eq(words[13][16:]),
            shape.used.eq(reduce(or_, used)),
        ]
        # the checked words are there two cycles before the last one; products in a register and without a multiplier
        m.d.sync += [
            shape.hidden_span.eq(_times(shape.hidden_beats, shape.contexts, len(shape.hidden_span))),
            shape.intermediate_span.eq(
                _times(shape.intermediate_beats, shape.contexts, len(shape.intermediate_span))
            ),
        ]
        tokens = [words[4 + i // 2].word_select(i % 2, 16) for i in range(sc.MAX_BATCH)]
        slots = [words[8].word_select(i, 4) for i in range(sc.MAX_BATCH)]
        beyond, foreign, no_slot, torn = [], [], [], []
        for i, (token, slot) in enumerate(zip(tokens, slots, strict=True)):
            active, zero, logits = contexts > i, words[2][8 + i], words[2][16 + i]
            beyond.append(~active & (token.any() | slot.any() | zero | logits))
            if i >= core.batch:
                continue
            m.d.comb += [shape.slots[i].eq(slot), used[i].eq(Mux(active, 1 << slot[: len(shape.slots[i])], 0))]
            foreign.append(active & (token >= words[12]))
            no_slot.append(active & (slot >= core.batch))
            # an earlier context of this packet may have begun the slot's sequence anew
            begun = [words[2][8 + j] & (slots[j] == slot) for j in range(i + 1)]
            torn.append((used[i] & self.torn).any() & ~reduce(or_, begun))

        def outside(value: Value, limit: int) -> Value:
            return (value == 0) | (value > limit)

        def misfits(beats: Value, n: Value) -> Value:
            # ceil(n / columns) without a division
            room = Signal(len(beats) + core.columns.bit_length())
            wrong = Signal()
            m.d.sync += room.eq(_times(beats, core.columns, len(room)))
            m.d.comb += wrong.eq((room < n) | (room >= n + core.columns))
            return wrong

        unused = words[2][24:].any() | words[14].any() | reduce(or_, beyond)
        limits = [
            outside(contexts, core.batch),
            *no_slot,
            outside(words[9], core.max_hidden),
            outside(words[10], core.max_layers),
            outside(words[11], core.max_intermediate),
            outside(words[12], core.max_vocab),
            misfits(shape.hidden_beats, words[9][:16]),
            misfits(shape.intermediate_beats, words[11][:16]),
        ]
        checks = [
            (words[0] != sc.MAGIC, sc.Status.MAGIC),
            (words[15] != crc.crc, sc.Status.HEADER_CRC),
            ((words[1][:16] != (sc.STREAM_VERSION | core.trit_code.number << 8)) | unused, sc.Status.FORMAT),
            (words[1][16:] != geometry >> 16, sc.Status.GEOMETRY),
            (reduce(or_, limits), sc.Status.LIMITS),
            (reduce(or_, foreign), sc.Status.TOKEN),
            (reduce(or_, torn), sc.Status.STATE),
        ]
        status = Signal(4)
        for failed, code in reversed(checks):
            with m.If(failed):
                m.d.comb += status.eq(code)
        m.d.sync += self.status.eq(status)
        return m


def _times(value: Value, factor: Value | int, width: int) -> Value:
    """The product's low bits as a sum of shifts: a small or constant factor is not worth a multiplier."""
    if isinstance(factor, int):
        terms = [value << shift for shift in range(factor.bit_length()) if factor >> shift & 1]
    else:
        terms = [Mux(bit, value << shift, 0) for shift, bit in enumerate(factor)]
    return reduce(lambda total, term: (total + term)[:width], (term[:width] for term in terms))
