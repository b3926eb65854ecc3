# SPDX-License-Identifier: Apache-2.0
"""Quantiser: code floats to the int8 activations of the ternary array."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.wiring import In, Out

from golden.numerics import CODE_MAX
from hw.floats import EXPONENT_BITS, code_float
from hw.params import CoreParams


class Quantiser(wiring.Component):
    """Codes of ``core.columns`` elements a cycle, as ``golden.numerics.codes`` defines them.

    ``q = (m * reciprocal + 2**(s - 1)) >> s`` with ``s = code_shift + e_max - e``, then the sign: rounding
    is half away from zero. Only the nine product bits from ``code_shift - 1`` up can reach the code, so they
    alone are shifted. An element greater than the one that ``e_max`` and ``reciprocal`` belong to (stale
    padding) gets some code from -127 to 127.

    Throughput: one vector a cycle, no back-pressure. Resources: one ``mantissa`` x ``mantissa`` bit
    multiplier a column, registered before and after.

    Parameters
    ----------
    core : geometry and formats.

    Attributes
    ----------
    latency : cycles from ``i_valid`` to ``o_valid``.
    i_valid, vector, reciprocal, e_max : In, all in one cycle: a code float a column, the reciprocal of the
        largest element's significand (``golden.numerics.code_reciprocal``) and its exponent.
    o_valid, codes : Out, signed 8 bit a column.
    """

    latency = 4

    def __init__(self, core: CoreParams) -> None:
        self.core = core
        fmt = core.formats
        super().__init__(
            {
                "i_valid": In(1),
                "vector": In(ArrayLayout(code_float(fmt), core.columns)),
                "reciprocal": In(fmt.mantissa),
                "e_max": In(EXPONENT_BITS),
                "o_valid": Out(1),
                "codes": Out(ArrayLayout(signed(8), core.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid = Signal(self.latency)
        m.d.sync += valid.eq(valid << 1 | self.i_valid)
        m.d.comb += self.o_valid.eq(valid[-1])
        reciprocal = Signal(self.core.formats.mantissa, reset_less=True)
        m.d.sync += reciprocal.eq(self.reciprocal)
        for element, code in zip(self.vector, self.codes, strict=True):
            self._lane(m, element, reciprocal, code)
        return m

    def _lane(self, m: Module, element: View, reciprocal: Signal, code: Signal) -> None:
        fmt = self.core.formats
        mantissa = Signal(fmt.mantissa, reset_less=True)
        distance = [Signal(EXPONENT_BITS, name=f"distance_{i}", reset_less=True) for i in range(2)]
        negative = Signal(3, reset_less=True)
        doubled = Signal(2 * fmt.mantissa - fmt.code_shift + 1, reset_less=True)
        shifted = Signal(CODE_MAX.bit_length() + 1, reset_less=True)
        magnitude = Signal(CODE_MAX.bit_length())
        m.d.sync += [
            mantissa.eq(element.mantissa),
            distance[0].eq(self.e_max - element.exponent),
            distance[1].eq(distance[0]),
            negative.eq(negative << 1 | element.negative),
            doubled.eq((mantissa * reciprocal)[fmt.code_shift - 1 :]),
            shifted.eq(Mux(distance[1] > len(doubled), 0, doubled >> distance[1][:4])),
            code.eq(Mux(negative[2], -magnitude, magnitude)),
        ]
        m.d.comb += magnitude.eq((shifted + 1) >> 1)
