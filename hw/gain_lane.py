# SPDX-License-Identifier: Apache-2.0
"""One lane of the gain stage: two multipliers and what follows from their products."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import DECAY_FRAC, OMEGA_FRAC, SIGMA_FRAC, STAT_BITS, UNIT_EXPONENT, Formats
from hw.floats import code_float
from hw.normaliser import Normaliser
from hw.ops import delay

GAIN_OPERAND = signed(18)


class GainLane(wiring.Component):
    """Multiplies a row by its gains, one slot a cycle; see GainStage for the slots.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    product_latency, code_latency, decay_latency : cycles from a slot to ``stat_product``, ``code`` and ``decay``.
    fresh : In, first slot of a row: ``wide`` and ``second`` are taken and kept for the slots that follow.
    load : In, the word is the row's value (and comes in a cycle before its first slot).
    middle : In, second slot: the statistics' product is ``second * kappa``. one : In, it is ``wide * 1``.
    wide, second : In, the row and the second operand of its statistics.
    word : In, gain of 18 bits above a statistics gain of 14. kappa : In.
    held : Out, the row, one cycle after ``fresh`` or ``load``.
    stat_product : Out, signed wide + 18. code : Out, code float of value * gain.
    decay : Out, c = sigma * decay gain with 17 fraction bits.
    """

    product_latency = 3
    decay_latency = product_latency + 1

    def __init__(self, fmt: Formats) -> None:
        self._fmt = fmt
        self._normaliser = Normaliser(fmt)
        self.code_latency = self.product_latency + self._normaliser.latency
        wide = signed(fmt.wide_bits)
        super().__init__(
            {
                "fresh": In(1),
                "load": In(1),
                "middle": In(1),
                "one": In(1),
                "wide": In(wide),
                "second": In(wide),
                "word": In(unsigned(32)),
                "kappa": In(unsigned(17)),
                "held": Out(wide),
                "stat_product": Out(signed(fmt.wide_bits + 18)),
                "code": Out(code_float(fmt)),
                "decay": Out(unsigned(DECAY_FRAC)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.normaliser = normaliser = self._normaliser
        value, second, held_second = (Signal.like(self.wide) for _ in range(3))
        m.d.comb += [
            value.eq(Mux(self.fresh, self.wide, self.held)),
            second.eq(Mux(self.fresh, self.second, held_second)),
        ]
        m.d.sync += [self.held.eq(value), held_second.eq(second)]
        with m.If(self.load):
            m.d.sync += [self.held.eq(self.word), held_second.eq(self.word)]

        stat_gain, value_gain = Signal(GAIN_OPERAND), Signal(GAIN_OPERAND)
        m.d.comb += [
            value_gain.eq(self.word[STAT_BITS:].as_signed()),
            stat_gain.eq(self.word[:STAT_BITS].as_signed()),
        ]
        with m.If(self.middle):
            m.d.comb += stat_gain.eq(self.kappa)
        with m.Elif(self.one):
            m.d.comb += stat_gain.eq(1 << UNIT_EXPONENT)
        product = self._multiply(m, value, value_gain, "value_product")
        m.d.comb += [
            self.stat_product.eq(self._multiply(m, Mux(self.middle, held_second, value), stat_gain, "stat_product")),
            normaliser.product.eq(product),
            self.code.eq(normaliser.code),
        ]

        shift = SIGMA_FRAC + OMEGA_FRAC - DECAY_FRAC
        decay = (product + (1 << (shift - 1))) >> shift
        largest = (1 << DECAY_FRAC) - 1
        m.d.sync += self.decay.eq(Mux(decay > largest, largest, decay))
        return m

    def _multiply(self, m: Module, a, b: Signal, name: str) -> Signal:
        """Registered before and twice after the multiplier, for the DSP blocks' own registers."""
        x, y = Signal.like(self.wide, name=f"{name}_a"), Signal(GAIN_OPERAND, name=f"{name}_b")
        product = Signal(self.stat_product.shape(), name=name)
        m.d.sync += [x.eq(a), y.eq(b), product.eq(x * y)]
        return delay(m, product, 1, name)
