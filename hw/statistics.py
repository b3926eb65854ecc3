# SPDX-License-Identifier: Apache-2.0
"""Running statistics of the vector that a group produces: sum of squares and largest magnitudes."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.floats import code_float
from hw.ops import delay
from hw.params import CoreParams

TOTAL_BITS = 64


class Statistics(wiring.Component):
    """Sum of squares with its bias, and the largest |v| for each of up to three matrices.

    ``begin`` loads ``bias`` and clears the maxima. ``square_valid`` adds round(square_product >> shift)^2, where
    the shift is ``square_shift``, or ``epsilon_shift`` with ``second``. ``value_valid`` compares ``value`` with
    maximum ``which``. Everything accepted is in ``total`` and ``maxima`` after ``latency`` cycles. The total of
    8192 pairs of 25 bit magnitudes and a bias below 2**62 fits 64 bits.
    """

    latency = 4

    def __init__(self, core: CoreParams) -> None:
        self._fmt = fmt = core.formats
        self._float = code_float(fmt)
        super().__init__(
            {
                "begin": In(1),
                "bias": In(unsigned(TOTAL_BITS)),
                "square_valid": In(1),
                "second": In(1),
                "square_product": In(signed(fmt.wide_bits + 18)),
                "value_valid": In(1),
                "which": In(2),
                "value": In(self._float),
                "total": Out(unsigned(TOTAL_BITS)),
                "maxima": Out(
                    data.ArrayLayout(
                        data.StructLayout({"mantissa": unsigned(fmt.mantissa), "exponent": unsigned(6)}), 3
                    )
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self._fmt

        def rounded(shift: int):
            return (self.square_product + (1 << (shift - 1))) >> shift

        operand = Signal(signed(26))
        with m.If(self.second):
            m.d.sync += operand.eq(rounded(fmt.epsilon_shift))
        with m.Else():
            m.d.sync += operand.eq(rounded(fmt.square_shift))
        square = Signal(unsigned(52))
        m.d.sync += square.eq((operand * operand)[:52])
        square_2 = delay(m, square, 1, "square")
        valid = delay(m, self.square_valid, 3, "valid")
        with m.If(self.begin):
            m.d.sync += self.total.eq(self.bias)
        with m.Elif(valid):
            m.d.sync += self.total.eq(self.total + square_2)

        magnitude = Cat(self.value.mantissa, self.value.exponent)
        for index in range(3):
            largest = self.maxima[index]
            with m.If(self.begin):
                m.d.sync += largest.eq(0)
            with m.Elif(self.value_valid & (self.which == index) & (magnitude > largest.as_value())):
                m.d.sync += largest.as_value().eq(magnitude)
        return m
