# SPDX-License-Identifier: Apache-2.0
"""From an accumulator to a wide value: the output scale of a ternary product."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import SCALE_LEFT
from hw.params import CoreParams

SHIFT_BITS = 12
"""Width of the signed shift of an output scale."""
_DIRECTION = data.StructLayout({"over": 1, "under": 1})


class Rescale(wiring.Component):
    """y = acc * mantissa >> shift, rounded half up and saturated: ``numerics.apply_scale``.

    Free running, one result a cycle, ``latency`` 6 cycles; mantissa and shift belong to the accumulator they
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

    latency = 6

    def __init__(self, core: CoreParams) -> None:
        self.core = core
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
        limit = self.core.formats.wide_max
        acc, mantissa, shift = (Signal.like(port) for port in (self.acc, self.mantissa, self.shift))
        product = Signal(signed(len(acc) + len(mantissa)))
        amount, fine_amount = Signal(6), Signal(3)
        # The bits below the product hold what shifts to the left, and one for the rounding.
        extended = Cat(Const(0, SCALE_LEFT + 1), product).as_signed()
        coarse, fine = (Signal(signed(len(extended)), name=name) for name in ("coarse", "fine"))
        rounded = Signal(signed(len(extended)))
        right = shift + SCALE_LEFT
        forced = [Signal(_DIRECTION, name=f"forced_{stage}") for stage in range(2, 6)]
        m.d.sync += [
            acc.eq(self.acc),
            mantissa.eq(self.mantissa),
            shift.eq(self.shift),
            product.eq(acc * mantissa),
            amount.eq(right[:6] | (right[6:-1] != 0).replicate(6)),
            forced[0].over.eq((right < 0) & (acc > 0)),
            forced[0].under.eq((right < 0) & (acc < 0)),
            coarse.eq(extended >> Cat(Const(0, 3), amount[3:])),
            fine_amount.eq(amount[:3]),
            fine.eq(coarse >> fine_amount),
            rounded.eq(fine[1:].as_signed() + fine[0]),
        ]
        m.d.sync += [later.eq(earlier) for earlier, later in pairwise(forced)]
        over, under = forced[-1].over, forced[-1].under
        if len(rounded) >= len(self.y):
            over, under = over | (rounded > limit), under | (rounded < -limit)
        m.d.sync += self.y.eq(Mux(over, limit, Mux(under, -limit, rounded)))
        m.d.sync += self.saturated.eq(over | under)
        return m
