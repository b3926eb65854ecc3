# SPDX-License-Identifier: Apache-2.0
"""The unit of one row at the gain stage: two multipliers and what follows from their products."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.formats import (
    DECAY_FRAC,
    GAIN_BITS,
    OMEGA_FRAC,
    SIGMA_FRAC,
    STAT_BITS,
    UNIT_EXPONENT,
    Formats,
)
from tritforge.hw.lib.floats import code_float
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.width import cut
from tritforge.hw.vector.normaliser import Normaliser

GAIN_OPERAND = signed(GAIN_BITS)
KAPPA_BITS = 17


class GainLane(wiring.Component):
    """Multiplies a row by its gains, one slot a cycle; see GainStage for the slots.

    Parameters
    ----------
    fmt : widths of the vector path.
    shown : the product of value and gain is brought out, too.

    Attributes
    ----------
    product_latency, code_latency, decay_latency : cycles from a slot to ``stat_product``, ``code`` and ``decay``.
    first : In, first slot of a row: ``wide`` and ``second`` are taken and kept for the slots that follow.
    load : In, the word is the row's value (and comes in a cycle before its first slot).
    middle : In, second slot: the statistics' product is ``second * kappa``. one : In, it is ``wide * 1``.
    wide, second : In, the row and the second operand of its statistics.
    word : In, gain of 18 bits above a statistics gain of 14. kappa : In.
    held : Out, the row, one cycle after ``first`` or ``load``.
    stat_product : Out, signed wide + `GAIN_BITS`. gain_product : Out, the same, if ``shown``.
    code : Out, code float of value * gain.
    decay : Out, c = sigma * decay gain with 17 fraction bits.
    """

    product_latency = 5
    decay_latency = product_latency + 1
    code_latency = product_latency + Normaliser.latency

    def __init__(self, fmt: Formats, *, shown: bool = False) -> None:
        self._shown = shown
        wide = signed(fmt.wide_bits)
        self._normaliser = Normaliser(fmt)
        self._gain, self._stat = Multiplier(wide, GAIN_OPERAND), Multiplier(wide, GAIN_OPERAND)
        assert self._gain.latency == self.product_latency - 1
        super().__init__(
            {
                "first": In(1),
                "load": In(1),
                "middle": In(1),
                "one": In(1),
                "wide": In(wide),
                "second": In(wide),
                "word": In(unsigned(32)),
                "kappa": In(unsigned(KAPPA_BITS)),
                "held": Out(wide),
                "stat_product": Out(signed(fmt.wide_bits + GAIN_BITS)),
                **({"gain_product": Out(signed(fmt.wide_bits + GAIN_BITS))} if shown else {}),
                "code": Out(code_float(fmt)),
                "decay": Out(unsigned(DECAY_FRAC)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.normaliser = normaliser = self._normaliser
        value = Signal.like(self.wide)
        held, held_second = (Signal(value.shape(), name=name, reset_less=True) for name in ("kept", "kept_second"))
        m.d.comb += [value.eq(Mux(self.first, self.wide, held)), self.held.eq(held)]
        with m.If(self.load):
            word = cut(self.word.as_signed(), held)
            m.d.sync += [held.eq(word), held_second.eq(word)]
        with m.Elif(self.first):
            m.d.sync += [held.eq(self.wide), held_second.eq(self.second)]

        # blocks of multipliers are far away: operands are chosen a cycle before
        left, other_left, right, stat_gain = (
            Signal(shape, name=name, reset_less=True)
            for name, shape in (
                *(("left", value.shape()), ("other_left", value.shape())),
                *(("right", GAIN_OPERAND), ("stat_gain", GAIN_OPERAND)),
            )
        )
        own = self.word[:STAT_BITS].as_signed()
        m.d.sync += [
            left.eq(value),
            other_left.eq(Mux(self.middle, held_second, value)),
            right.eq(self.word[STAT_BITS:].as_signed()),
            stat_gain.eq(Mux(self.one, 1 << UNIT_EXPONENT, Mux(self.middle, self.kappa, own))),
        ]
        m.submodules.gain, m.submodules.stat = gain, stat = self._gain, self._stat
        m.d.comb += [
            gain.a.eq(left),
            gain.b.eq(right),
            stat.a.eq(other_left),
            stat.b.eq(stat_gain),
            self.stat_product.eq(stat.product),
            normaliser.product.eq(gain.product),
            self.code.eq(normaliser.code),
        ]
        if self._shown:
            m.d.comb += self.gain_product.eq(gain.product)

        # sigma and its gain are not negative, and at most 1: only the highest bit shows that c would be
        shift = SIGMA_FRAC + OMEGA_FRAC - DECAY_FRAC
        decay = Signal(DECAY_FRAC + 1, reset_less=True)
        rounded = gain.product[shift - 1 : shift + DECAY_FRAC + 1] + 1
        m.d.sync += decay.eq(cut(rounded[1:], decay))
        m.d.comb += self.decay.eq(decay[:DECAY_FRAC] | decay[DECAY_FRAC].replicate(DECAY_FRAC))
        return m
