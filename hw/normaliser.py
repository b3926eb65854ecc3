# SPDX-License-Identifier: Apache-2.0
"""From value x gain to the code float that a quantiser input is stored as."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import GAIN_BITS, Formats
from hw.floats import code_float


class Normaliser(wiring.Component):
    """``numerics.normalise(|product| >> product_drop)`` with the sign of the product.

    Free running, one result a cycle, ``latency`` 4 cycles: magnitude, then shifts by multiples of 16, 4, 1.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    product : In, signed ``wide_bits + GAIN_BITS``: any wide value times any gain.
    code : Out, code float; mantissa and exponent 0 for 0.
    """

    latency = 4

    def __init__(self, fmt: Formats) -> None:
        self.fmt = fmt
        super().__init__({"product": In(signed(fmt.wide_bits + GAIN_BITS)), "code": Out(code_float(fmt))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.fmt.magnitude_bits
        magnitude = Signal(width)
        negative = Signal()
        m.d.sync += magnitude.eq(abs(self.product) >> self.fmt.product_drop)
        m.d.sync += negative.eq(self.product < 0)

        exponent = width
        for step in (16, 4):
            shifted, reduced = _left(magnitude, exponent, step)
            magnitude, exponent, sign = Signal(width), Signal(6), Signal()
            m.d.sync += [magnitude.eq(shifted), exponent.eq(reduced), sign.eq(negative)]
            negative = sign

        shifted, reduced = _left(magnitude, exponent, 1)
        m.d.sync += [
            self.code.mantissa.eq(shifted[-self.fmt.mantissa :]),
            self.code.exponent.eq(Mux(magnitude[-4:].any(), reduced, 0)),
            self.code.negative.eq(negative),
        ]
        return m


def _left(value: Signal, exponent: Signal | int, step: int) -> tuple[Signal, Signal]:
    """Shift left by the most multiples of ``step``, up to three, that lose no set bit."""
    shifted, reduced = value, exponent
    for count in (1, 2, 3):
        amount = step * count
        if amount < len(value):
            empty = ~value[-amount:].any()
            shifted = Mux(empty, value << amount, shifted)
            reduced = Mux(empty, exponent - amount, reduced)
    return shifted[: len(value)], reduced
