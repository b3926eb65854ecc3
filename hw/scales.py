# SPDX-License-Identifier: Apache-2.0
"""The scalars of one dependency: what follows from a vector's maxima and sum of squares."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import CODE_MAX, Formats
from hw.divider import Divider
from hw.floats import EXPONENT_BITS
from hw.rescale import SHIFT_BITS
from hw.root import TOTAL_BITS, ReciprocalRoot

TENSORS = 3
SCALE_WORD = data.StructLayout({"mantissa": 20, "exponent": signed(12)})
"""A scale word of the constants segment."""


def maximum(fmt: Formats) -> data.StructLayout:
    """Layout of a largest magnitude; as an integer it orders like the magnitude."""
    return data.StructLayout({"mantissa": fmt.mantissa, "exponent": EXPONENT_BITS})


class ScaleUnit(wiring.Component):
    """Quantiser reciprocals (``numerics.code_reciprocal``) and output scales (``integer.output_scale``).

    ``start`` takes maxima, total and tensors, clears both masks and abandons a computation under way; until
    then all results stay. With M = ``fmt.mantissa``, ``reciprocal_ready[k]`` is seen set (M + 1) (k + 1) + 1
    cycles after ``start``, and ``ready[k]`` 2 M + 14 + 6 k cycles after it, or 6 (k + 1) after
    ``words_valid`` rises if that is later. One divider for the reciprocals, another in the root, one
    multiplier.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    start : In, pulse.
    tensors : In, 1 to 3 matrices; results of the others are undefined and their mask bits stay 0.
    maxima : In, largest magnitude of each matrix's vector as a code float; exponent 0 if the vector is zero.
    total : In, unsigned 64 sum of squares.
    words, words_valid : In, scale words; stable while valid, needed until ``ready``.
    reciprocal, e_max, reciprocal_ready : Out, per matrix, for the quantiser; e_max is there after one cycle.
    mantissa, shift, ready : Out, per matrix, for `Rescale`; the shift is saturated to 12 bits.
    """

    def __init__(self, fmt: Formats) -> None:
        self.fmt = fmt
        super().__init__(
            {
                "start": In(1),
                "tensors": In(2),
                "maxima": In(data.ArrayLayout(maximum(fmt), TENSORS)),
                "total": In(TOTAL_BITS),
                "words": In(data.ArrayLayout(SCALE_WORD, TENSORS)),
                "words_valid": In(1),
                "reciprocal": Out(data.ArrayLayout(fmt.mantissa, TENSORS)),
                "e_max": Out(data.ArrayLayout(EXPONENT_BITS, TENSORS)),
                "reciprocal_ready": Out(TENSORS),
                "mantissa": Out(data.ArrayLayout(fmt.mantissa, TENSORS)),
                "shift": Out(data.ArrayLayout(signed(SHIFT_BITS), TENSORS)),
                "ready": Out(TENSORS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tensors = Signal.like(self.tensors)
        m_max = Signal(data.ArrayLayout(self.fmt.mantissa, TENSORS))
        with m.If(self.start):
            m.d.sync += tensors.eq(self.tensors)
            for index in range(TENSORS):
                m.d.sync += m_max[index].eq(self._significand(index))
                m.d.sync += self.e_max[index].eq(self.maxima[index].exponent)
        self._reciprocals(m, tensors, m_max)
        self._scales(m, tensors, m_max)
        return m

    def _significand(self, index: int) -> Value:
        """Mantissa of a maximum, or that of the smallest normalised number for a zero vector."""
        value = self.maxima[index]
        return Mux(value.exponent == 0, 1 << (self.fmt.mantissa - 1), value.mantissa)

    def _reciprocals(self, m: Module, tensors: Signal, m_max: data.View) -> None:
        """One division after the other; rounding comes from (2 n + m) // 2 m, where 2 n ends in zeros."""
        bits = self.fmt.mantissa
        m.submodules.divider = divider = Divider(2 * bits, bits + 1, bits)
        index = Signal(range(TENSORS))
        more = divider.done & (index + 1 != tensors)
        denominator = Mux(self.start, self._significand(0), m_max[(index + 1)[: len(index)]])
        zeros = Const(0, self.fmt.code_shift + 1 - bits)
        m.d.comb += [
            divider.start.eq(self.start | more),
            divider.denominator.eq(Cat(Const(0, 1), denominator)),
            divider.numerator.eq(Cat(denominator, zeros, Const(CODE_MAX, 7))),
        ]
        with m.If(self.start):
            m.d.sync += [index.eq(0), self.reciprocal_ready.eq(0)]
        with m.Elif(divider.done):
            m.d.sync += [
                self.reciprocal[index].eq(divider.quotient),
                self.reciprocal_ready.bit_select(index, 1).eq(1),
                index.eq(index + 1),
            ]

    def _scales(self, m: Module, tensors: Signal, m_max: data.View) -> None:
        """Six phases a matrix: largest x root, then x scale word; the exponents add up alongside."""
        bits = self.fmt.mantissa
        m.submodules.root = root = ReciprocalRoot(self.fmt)
        m.d.comb += [root.start.eq(self.start), root.total.eq(self.total)]
        index, phase, scaling = Signal(range(TENSORS)), Signal(range(6)), Signal()
        a, b, product = Signal(bits), Signal(bits), Signal(2 * bits)
        exponent = Signal(signed(SHIFT_BITS + 2))
        word = self.words[index]
        carry = product[-1]
        significand = Mux(carry, product[bits:], product[bits - 1 : -1])
        m.d.sync += product.eq(a * b)
        with m.If(self.start):
            m.d.sync += [index.eq(0), phase.eq(0), scaling.eq(0), self.ready.eq(0)]
        with m.Elif(root.done):
            m.d.sync += scaling.eq(1)
        with m.Elif(scaling & self.words_valid):
            m.d.sync += phase.eq(phase + 1)
            with m.Switch(phase):
                with m.Case(0):
                    m.d.sync += [
                        a.eq(m_max[index]),
                        b.eq(root.root),
                        exponent.eq(word.exponent - self.e_max[index]),
                    ]
                with m.Case(1):
                    m.d.sync += exponent.eq(exponent + root.exponent)
                with m.Case(2):
                    m.d.sync += [a.eq(significand), b.eq(word.mantissa[:bits])]
                    m.d.sync += exponent.eq(exponent - Mux(carry, 2 * bits - 1, 2 * bits - 2))
                with m.Case(4):
                    m.d.sync += [self.mantissa[index].eq(significand), exponent.eq(exponent - carry)]
                with m.Case(5):
                    m.d.sync += [
                        self.shift[index].eq(_saturated(exponent)),
                        self.ready.bit_select(index, 1).eq(1),
                        scaling.eq(index + 1 != tensors),
                        index.eq(index + 1),
                        phase.eq(0),
                    ]


def _saturated(exponent: Signal) -> Value:
    limit = 1 << (SHIFT_BITS - 1)
    return Mux(exponent >= limit, limit - 1, Mux(exponent < -limit, -limit, exponent))
