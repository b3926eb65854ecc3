# SPDX-License-Identifier: Apache-2.0
"""Quantiser: code floats to the activation codes of the ternary array."""

from amaranth import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.floats import EXPONENT_BITS, code_float
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut
from tritforge.hw.params import CoreParams


class Quantiser(wiring.Component):
    """Codes of ``params.columns`` elements a cycle, as ``golden.model.numerics.codes`` defines them.

    ``q = (m * reciprocal + 2**(s - 1)) >> s`` with ``s = code_shift + e_max - e``, then the sign: rounding
    is half away from zero. Only the nine product bits from ``code_shift - 1`` up can reach the code, so they
    alone are shifted. An element greater than the one that ``e_max`` and ``reciprocal`` belong to (stale
    padding) gets some code from -127 to 127. With k = ``params.extra_bits`` it is k product bits more, and magnitudes
    below ``2**(7 + k)``.

    Throughput: one vector a cycle, no back-pressure. Resources: one ``mantissa`` x ``mantissa`` bit
    multiplier a column, registered before and after.

    Parameters
    ----------
    params : geometry and formats.

    Attributes
    ----------
    latency : cycles from ``i_valid`` to ``o_valid``.
    i_valid, vector, reciprocal, e_max : In, all in one cycle: a code float a column, the reciprocal of the
        largest element's significand (``golden.model.numerics.code_reciprocal``) and its exponent, plus k less s
        (`hw.scales.widening`).
    o_valid, codes : Out, signed ``params.act_bits`` a column.
    """

    latency = 6

    def __init__(self, params: CoreParams) -> None:
        self.params = params
        fmt = params.formats
        super().__init__(
            {
                "i_valid": In(1),
                "vector": In(ArrayLayout(code_float(fmt), params.columns)),
                "reciprocal": In(fmt.mantissa),
                "e_max": In(EXPONENT_BITS),
                "o_valid": Out(1),
                "codes": Out(ArrayLayout(signed(params.act_bits), params.columns)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o_valid.eq(delay(m, self.i_valid, self.latency, "valid"))
        for index, (element, code) in enumerate(zip(self.vector, self.codes, strict=True)):
            self._lane(m, index, element, code)
        return m

    def _lane(self, m: Module, index: int, element: View, code: Signal) -> None:
        fmt = self.params.formats
        mantissa = unsigned(fmt.mantissa)
        m.submodules[f"multiplier_{index}"] = multiplier = Multiplier(mantissa, mantissa)
        assert multiplier.latency == 2
        m.d.comb += [multiplier.a.eq(element.mantissa), multiplier.b.eq(self.reciprocal)]
        doubled = multiplier.product[fmt.code_shift - 1 - self.params.extra_bits :]
        distance = Signal(EXPONENT_BITS, reset_less=True)
        underflow = Signal(reset_less=True)
        amount = Signal(range(len(doubled) + 1), reset_less=True)
        coarse = Signal(len(doubled), reset_less=True)
        fine_amount = Signal(2, reset_less=True)
        bits = self.params.act_bits
        shifted = Signal(bits, reset_less=True)
        negative = delay(m, element.negative, 4, "negative", reset_less=True)
        half = Signal(signed(bits), reset_less=True)
        round_up = Signal(reset_less=True)
        rounded = Signal(signed(bits), reset_less=True)
        underflow_d1 = delay(m, underflow, 1, "underflow", reset_less=True)
        m.d.sync += [
            # the maximum's exponent is the largest; a distance beyond the amount's range is an underflow
            distance.eq(cut(self.e_max - element.exponent, distance)),
            amount.eq(cut(distance, amount)),
            underflow.eq(distance > len(doubled)),
            coarse.eq(doubled >> Cat(Const(0, 2), amount[2:])),
            fine_amount.eq(amount[:2]),
            shifted.eq(cut(Mux(underflow_d1, 0, coarse >> fine_amount), shifted)),
            # -((s + 1) >> 1) is (~s + 1) >> 1, or ~s >> 1 and its last bit; beyond the maximum it might be one more
            half.eq(Cat(shifted[1:] ^ negative.replicate(bits - 1), negative).as_signed()),
            round_up.eq(negative ^ (shifted[0] & ~shifted[1:].all())),
            rounded.eq(cut(half + round_up, rounded)),
        ]
        m.d.comb += code.eq(rounded)
