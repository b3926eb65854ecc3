# SPDX-License-Identifier: Apache-2.0
"""From an accumulator to a wide value: the output scale of a ternary product."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.formats import SCALE_LEFT
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut
from tritforge.hw.params import CoreParams

SHIFT_BITS = 12
"""Width of the signed shift of an output scale."""
_PRODUCT = 4
"""Cycles until the product is there."""
_DIRECTION = data.StructLayout({"over": 1, "under": 1})


class Rescale(wiring.Component):
    """y = acc * mantissa >> shift, rounded half up and saturated: ``numerics.apply_scale``.

    Free running, one result a cycle, ``latency`` 8 cycles; mantissa and shift belong to the accumulator they
    come with. A shift below -8 (``numerics.SCALE_LEFT``) saturates anything but 0.

    Parameters
    ----------
    params : gives the accumulator and the wide widths.

    Attributes
    ----------
    acc : In, signed ``params.acc_bits``.
    mantissa : In, unsigned.
    shift : In, signed 12.
    y : Out, signed wide, at most +-wide_max.
    saturated : Out, y was clamped.
    """

    latency = _PRODUCT + 4

    def __init__(self, params: CoreParams) -> None:
        self.params = params
        self._multiplier = Multiplier(signed(params.acc_bits), unsigned(params.formats.mantissa))
        super().__init__(
            {
                "acc": In(signed(params.acc_bits)),
                "mantissa": In(params.formats.mantissa),
                "shift": In(signed(SHIFT_BITS)),
                "y": Out(signed(params.formats.wide_bits)),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wide = self.params.formats.wide_bits
        m.submodules.multiplier = multiplier = self._multiplier
        m.d.comb += [multiplier.a.eq(self.acc), multiplier.b.eq(self.mantissa)]
        product = delay(m, multiplier.product, _PRODUCT - multiplier.latency, "product", reset_less=True)
        eights, ones_of_shift, forced = self._amount(m)

        # The bits below the product hold what shifts to the left, and one for the rounding.
        extended = Cat(Const(0, SCALE_LEFT + 1), product).as_signed()
        coarse, fine = (Signal(signed(len(extended)), name=name, reset_less=True) for name in ("coarse", "fine"))
        m.d.sync += [coarse.eq(eights.right(extended, 8)), fine.eq(ones_of_shift.right(coarse, 1))]
        forced = delay(m, forced, 2, "forced_on", reset_less=True)

        # A value that rounds beyond the limit either shows in its high bits before, or makes -2**(wide - 1): rounded
        # up from a positive number, or exactly so.
        rounded = Signal(signed(wide), reset_less=True)
        over, under, may_be_lowest, positive = (
            Signal(name=n, reset_less=True) for n in ("over", "under", "may_be_lowest", "positive")
        )
        ones = Signal(-(-wide // 16), reset_less=True)
        sign = fine[-1]
        value = fine if len(fine) > wide else Cat(fine, sign.replicate(wide + 1 - len(fine)))
        high = Cat(value[wide:-1], sign)
        m.d.sync += [
            rounded.eq(cut(value[1 : wide + 1] + value[0], rounded)),
            positive.eq(~sign & ~forced.under),
            over.eq(forced.over | (~forced.under & ~sign & high.any())),
            under.eq(forced.under | (sign & ~high.all())),
            may_be_lowest.eq(high.all()),
            ones.eq(Cat(value[at : min(at + 16, wide)].any() for at in range(0, wide, 16))),
        ]
        limit = self.params.formats.wide_max
        above, lowest = over | (positive & rounded[-1]), may_be_lowest & ~ones.any()
        y = Signal.like(self.y, reset_less=True)
        saturated = Signal(reset_less=True)
        # limited, the least number differs from itself in its lowest bit only
        m.d.sync += [
            y.eq(Mux(above, limit, Mux(under, -limit, rounded))),
            y[0].eq(above | under | lowest | rounded[0]),
            saturated.eq(above | under | lowest),
        ]
        m.d.comb += [self.y.eq(y), self.saturated.eq(saturated)]
        return m

    def _amount(self, m: Module) -> tuple["_Shift", "_Shift", data.View]:
        """With the product: eights of the bits to shift right from SCALE_LEFT on, a cycle later the ones of them, and
        what is saturated whatever they are."""
        # its sign, and of each four bits whether one is set
        sign = Signal(reset_less=True)
        nonzero = Signal(-(-len(self.acc) // 4), reset_less=True)
        shift = Signal.like(self.shift, reset_less=True)
        right = Signal(signed(SHIFT_BITS + 1), reset_less=True)
        positive = Signal(reset_less=True)
        negative = Signal(reset_less=True)
        amount = Signal(6, reset_less=True)
        forced = Signal(_DIRECTION, reset_less=True)
        m.d.sync += [
            sign.eq(self.acc[-1]),
            nonzero.eq(Cat(self.acc[at : at + 4].any() for at in range(0, len(self.acc), 4))),
            shift.eq(self.shift),
            right.eq(shift + SCALE_LEFT),
            positive.eq(~sign & nonzero.any()),
            negative.eq(sign),
            amount.eq(right[:6] | right[6:-1].any().replicate(6)),
            forced.over.eq(right[-1] & positive),
            forced.under.eq(right[-1] & negative),
        ]
        ones = delay(m, amount[:3], 1, "amount", reset_less=True)
        shifts = (_Shift(m, name, bits) for name, bits in (("eights", amount[3:]), ("ones", ones)))
        return *shifts, delay(m, forced, 1, "forced", reset_less=True)


class _Shift:
    """One of eight in two levels of logic: a shift amount, one-hot, a cycle after its three bits."""

    def __init__(self, m: Module, name: str, amount: Value) -> None:
        # the upper half's is inverted, or synthesis would make one of two that drive half of the bits each
        self._low, self._high = (Signal(8, name=f"{name}_{half}", reset_less=True) for half in ("low", "high"))
        m.d.sync += [self._low.eq(1 << amount), self._high.eq(~(1 << amount))]

    def right(self, value: Value, step: int) -> Value:
        """A signed value shifted right by so many steps."""
        bits = len(value) // 2
        choices = (
            cut(value >> step * number, value).as_unsigned()
            & Cat(low.replicate(bits), ~high.replicate(len(value) - bits))
            for number, (low, high) in enumerate(zip(self._low, self._high, strict=True))
        )
        return reduce(or_, choices).as_signed()
