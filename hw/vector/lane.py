# SPDX-License-Identifier: Apache-2.0
"""The unit of one of the rows that the vector path takes at once: its accumulator to the gain stage."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.rescale import Rescale
from tritforge.hw.lib.width import cut
from tritforge.hw.params import CoreParams
from tritforge.hw.vector.activation import Activation
from tritforge.hw.vector.recurrence import Recurrence


class VectorLane(wiring.Component):
    """Rescale, function and combine of one row; VectorPath has the stages and says which row is where.

    Free running. Control and operands are taken at the stage that their attribute names, counted from the issue.

    Parameters
    ----------
    params : accumulator width and formats.

    Attributes
    ----------
    y_stage : of y. x_stage : of the new state, and of what the function is of. function_stage : of its value.
    product_latency, sum_latency : cycles from a combine's operands to ``wide``.
    acc_stage : of the accumulator. acc, mantissa, shift : In, then, as in Rescale.
    h, use_h, silu : In, stage ``x_stage``: the function is silu (or sigmoid(-x)) of h (or y).
    up, candidate : In, stage ``y_stage``: the product's operands are y and ``candidate``, at this stage; otherwise
        y and the function's value, at stage ``function_stage``.
    residual : In, stage ``y_stage``, added to y.
    add : In, three cycles before ``wide``: it is the sum. keep : In, with it: it is what was carried with
        ``carry_function``, stage ``function_stage``: the function's value, otherwise y. Without either: the product.
    saturated : Out, stage ``y_stage``, y was clamped.
    function : Out, stage ``function_stage``.
    wide : Out, saturated. overflow : Out, the sum or product was clamped to it. carried : Out, with ``wide``.
    """

    acc_stage = 1
    y_stage = acc_stage + Rescale.latency
    x_stage = max(y_stage, Recurrence.latency + 1)
    product_latency = 8
    sum_latency = 3

    def __init__(self, params: CoreParams) -> None:
        self._fmt = fmt = params.formats
        wide = signed(fmt.wide_bits)
        self._rescale = Rescale(params)
        self._activation = Activation(fmt)
        self._multiplier = Multiplier(wide, wide)
        assert self._multiplier.latency == self.product_latency - 3
        self.function_stage = self.x_stage + self._activation.latency
        controls = ("use_h", "silu", "up", "add", "keep", "carry_function")
        super().__init__(
            {
                **{name: self._rescale.signature.members[name] for name in ("acc", "mantissa", "shift")},
                **dict.fromkeys(("h", "candidate", "residual"), In(wide)),
                **dict.fromkeys(controls, In(1)),
                "saturated": Out(1),
                "function": Out(wide),
                "wide": Out(wide),
                "carried": Out(wide),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, limit = self._fmt.wide_bits, self._fmt.wide_max
        m.submodules.rescale = rescale = self._rescale
        m.submodules.activation = activation = self._activation
        m.submodules.multiplier = multiplier = self._multiplier
        y = rescale.y
        y_at_x = delay(m, y, self.x_stage - self.y_stage, "y_at_x", reset_less=True)
        y_at_function = delay(m, y_at_x, activation.latency, "y_at_function", reset_less=True)
        # blocks of multipliers are far away: operands are chosen a cycle before
        left, right = (Signal(signed(bits), name=name, reset_less=True) for name in ("left", "right"))
        m.d.sync += [left.eq(Mux(self.up, y, y_at_function)), right.eq(Mux(self.up, self.candidate, activation.y))]
        m.d.comb += [
            rescale.acc.eq(self.acc),
            rescale.mantissa.eq(self.mantissa),
            rescale.shift.eq(self.shift),
            self.saturated.eq(rescale.saturated),
            activation.x.eq(Mux(self.use_h, self.h, y_at_x)),
            activation.silu.eq(self.silu),
            self.function.eq(activation.y),
            multiplier.a.eq(left),
            multiplier.b.eq(right),
        ]

        # the sum, or what is carried; nothing where the product is wanted
        carried = Mux(self.carry_function, activation.y, y_at_function)
        carried = delay(m, carried, self.product_latency - 2, "carried", reset_less=True)
        groups = len(_groups(y[:-1]))
        total = Signal(signed(bits + 1), reset_less=True)
        ones_sum = Signal(groups, reset_less=True)
        lowest_sum = Signal(reset_less=True)
        sum_or_carried = Signal(signed(bits), reset_less=True)
        sum_overflow = Signal(reset_less=True)
        add, keep = (delay(m, value, 1, name) for name, value in (("add", self.add), ("keep", self.keep)))
        over, under = ~total[-1] & total[-2], total[-1] & ~total[-2]
        limited = Mux(over, limit, Mux(under, -limit, total[:bits].as_signed()))
        m.d.sync += [
            total.eq(self.residual + y),
            sum_or_carried.eq(Mux(add, limited, Mux(keep, carried, 0))),
            sum_overflow.eq(add & (over | under)),
            lowest_sum.eq(add & total[-1] & total[-2]),
            ones_sum.eq(_groups(total[: bits - 1])),
        ]

        # The product, or nothing. Beyond the limit are numbers with high bits unlike their sign, those that rounding
        # makes so, and the least number: limited, that differs from itself in its lowest bit only.
        no_product = delay(m, self.add | self.keep, 1, "no_product")
        scaled, half = multiplier.product >> self._fmt.frac, multiplier.product[self._fmt.frac - 1]
        exact = Signal(signed(bits), reset_less=True)
        ones = Signal(groups, reset_less=True)
        high_bits_differ, positive, negative = (
            Signal(name=name, reset_less=True) for name in ("high_bits_differ", "positive", "negative")
        )
        m.d.sync += [
            # that it is too large is found out beside it
            exact.eq(cut(Mux(no_product, 0, scaled[:bits] + half), exact)),
            high_bits_differ.eq(~no_product & _high_bits_differ(scaled, bits)),
            positive.eq(~no_product & ~scaled[-1]),
            negative.eq(~no_product & scaled[-1]),
            ones.eq(_groups(scaled[: bits - 1] ^ half.replicate(bits - 1))),
        ]
        product_overflow = high_bits_differ | (positive & exact[-1])
        lowest = (negative & exact[-1] & ~ones.any()) | (lowest_sum & ~ones_sum.any())
        carried = delay(m, carried, 2, "carried_on", reset_less=True)
        wide = Signal(signed(bits), reset_less=True)
        overflow = Signal(reset_less=True)
        m.d.sync += [
            wide.eq(sum_or_carried | Mux(product_overflow, Mux(positive, limit, -limit), exact)),
            wide[0].eq(sum_or_carried[0] | product_overflow | lowest | exact[0]),
            overflow.eq(sum_overflow | product_overflow | lowest),
        ]
        m.d.comb += [self.wide.eq(wide), self.carried.eq(carried), self.overflow.eq(overflow)]
        return m


def _groups(value: Value) -> Value:
    """Of each four bits, whether one is set."""
    return Cat(value[at : at + 4].any() for at in range(0, len(value), 4))


def _high_bits_differ(value: Value, bits: int) -> Value:
    """The signed value does not fit so many bits."""
    high = value[bits - 1 : -1]
    return (high ^ value[-1].replicate(len(high))).any()
