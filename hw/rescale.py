# SPDX-License-Identifier: Apache-2.0
"""From an accumulator to a wide value: the output scale of a ternary product."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import SCALE_LEFT
from hw.multiplier import Multiplier
from hw.ops import delay
from hw.params import CoreParams

SHIFT_BITS = 12
"""Width of the signed shift of an output scale."""
_PRODUCT = 3
"""Cycles until the product is there."""
_DIRECTION = data.StructLayout({"over": 1, "under": 1})


class Rescale(wiring.Component):
    """y = acc * mantissa >> shift, rounded half up and saturated: ``numerics.apply_scale``.

    Free running, one result a cycle, ``latency`` 7 cycles; mantissa and shift belong to the accumulator they
    come with. A shift below -8 (``numerics.SCALE_LEFT``) saturates anything but 0.

    Parameters
    ----------
    core : gives the accumulator and the wide widths.

    Attributes
    ----------
    acc : In, signed ``core.acc_bits``.
    mantissa : In, unsigned.
    shift : In, signed 12.
    y : Out, signed wide, at most +-wide_max.
    saturated : Out, y was clamped.
    """

    latency = _PRODUCT + 4

    def __init__(self, core: CoreParams) -> None:
        self.core = core
        self._multiplier = Multiplier(signed(core.acc_bits), unsigned(core.formats.mantissa))
        super().__init__(
            {
                "acc": In(signed(core.acc_bits)),
                "mantissa": In(core.formats.mantissa),
                "shift": In(signed(SHIFT_BITS)),
                "y": Out(signed(core.formats.wide_bits)),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wide = self.core.formats.wide_bits
        m.submodules.multiplier = multiplier = self._multiplier
        m.d.comb += [multiplier.a.eq(self.acc), multiplier.b.eq(self.mantissa)]
        product = delay(m, multiplier.product, _PRODUCT - multiplier.latency, "product", reset_less=True)
        amount, forced = self._amount(m)

        # The bits below the product hold what shifts to the left, and one for the rounding.
        extended = Cat(Const(0, SCALE_LEFT + 1), product).as_signed()
        coarse, fine = (Signal(signed(len(extended)), name=name, reset_less=True) for name in ("coarse", "fine"))
        fine_amount = Signal(3, reset_less=True)
        m.d.sync += [
            coarse.eq(extended >> Cat(Const(0, 3), amount[3:])),
            fine_amount.eq(amount[:3]),
            fine.eq(coarse >> fine_amount),
        ]
        forced = delay(m, forced, 2, "forced", reset_less=True)

        # A value that rounds beyond the limit either shows in its high bits before, or makes -2**(wide - 1): rounded
        # up from a positive number, or exactly so.
        rounded = Signal(signed(wide), reset_less=True)
        over, under, least, positive = (
            Signal(name=n, reset_less=True) for n in ("over", "under", "least", "positive")
        )
        sign = fine[-1]
        value = fine if len(fine) > wide else Cat(fine, sign.replicate(wide + 1 - len(fine)))
        high = Cat(value[wide:-1], sign)
        m.d.sync += [
            rounded.eq(value[1 : wide + 1] + value[0]),
            positive.eq(~sign & ~forced.under),
            over.eq(forced.over | (~forced.under & ~sign & high.any())),
            under.eq(forced.under | (sign & ~high.all())),
            least.eq(high.all() & ~value[:wide].any()),
        ]
        limit = self.core.formats.wide_max
        above, below = over | (positive & rounded[-1]), under | least
        y, saturated = Signal.like(self.y, reset_less=True), Signal(reset_less=True)
        m.d.sync += [y.eq(Mux(above, limit, Mux(below, -limit, rounded))), saturated.eq(above | below)]
        m.d.comb += [self.y.eq(y), self.saturated.eq(saturated)]
        return m

    def _amount(self, m: Module) -> tuple[Signal, data.View]:
        """With the product: bits to shift right from SCALE_LEFT on, and what is saturated whatever they are."""
        acc = Signal.like(self.acc, reset_less=True)
        shift, right = Signal.like(self.shift, reset_less=True), Signal(signed(SHIFT_BITS + 1), reset_less=True)
        positive, negative = Signal(reset_less=True), Signal(reset_less=True)
        amount, forced = Signal(6, reset_less=True), Signal(_DIRECTION, reset_less=True)
        m.d.sync += [
            acc.eq(self.acc),
            shift.eq(self.shift),
            right.eq(shift + SCALE_LEFT),
            positive.eq(~acc[-1] & acc.any()),
            negative.eq(acc[-1]),
            amount.eq(right[:6] | right[6:-1].any().replicate(6)),
            forced.over.eq(right[-1] & positive),
            forced.under.eq(right[-1] & negative),
        ]
        return amount, forced
