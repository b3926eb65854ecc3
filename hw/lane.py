# SPDX-License-Identifier: Apache-2.0
"""One lane of the vector path: a row from its accumulator to the gain stage."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.activation import Activation
from hw.ops import delay
from hw.params import CoreParams
from hw.recurrence import Recurrence
from hw.rescale import Rescale


class VectorLane(wiring.Component):
    """Rescale, function and combine of one row; VectorPath has the stages and says which row is where.

    Free running. Control and operands are taken at the stage that their attribute names, counted from ``acc``.

    Parameters
    ----------
    core : accumulator width and formats.

    Attributes
    ----------
    rescaled : stage of y, and of the new state beside it.
    functioned : stage of the function's value.
    product, sum : cycles from a combine's operands to ``wide``.
    acc, mantissa, shift : In, stage 0, as in Rescale.
    h, use_h, silu : In, stage ``rescaled``: the function is silu (or sigmoid(-x)) of h (or y).
    up, candidate : In, stage ``rescaled``: the product's operands are y and ``candidate``, at this stage; otherwise
        y and the function's value, at stage ``functioned``.
    residual : In, stage ``rescaled``, added to y.
    add : In, one cycle before ``wide``: it is the sum. keep : In, one cycle before ``wide``: it is what was carried
        with ``carry_function``, stage ``functioned``: the function's value, otherwise y. Without either: the product.
    saturated : Out, stage ``rescaled``, y was clamped.
    function : Out, stage ``functioned``.
    wide : Out, saturated. overflow : Out, the sum or product was clamped to it. carried : Out, with ``wide``.
    """

    rescaled = max(Rescale.latency, Recurrence.latency + 1)
    functioned = rescaled + Activation.latency
    product = 4
    sum = 2

    def __init__(self, core: CoreParams) -> None:
        self._fmt = fmt = core.formats
        self._rescale = Rescale(core)
        self._activation = Activation(fmt)
        wide = signed(fmt.wide_bits)
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
        fmt = self._fmt
        m.submodules.rescale = rescale = self._rescale
        m.submodules.activation = activation = self._activation
        wait = self.rescaled - rescale.latency
        y = delay(m, rescale.y, wait, "y")
        later_y = delay(m, y, activation.latency, "later_y")
        m.d.comb += [
            rescale.acc.eq(self.acc),
            rescale.mantissa.eq(self.mantissa),
            rescale.shift.eq(self.shift),
            self.saturated.eq(delay(m, rescale.saturated, wait, "saturated")),
            activation.x.eq(Mux(self.use_h, self.h, y)),
            activation.silu.eq(self.silu),
            self.function.eq(activation.y),
        ]

        wide = signed(fmt.wide_bits)
        a, b, product = Signal(wide), Signal(wide), Signal(signed(2 * fmt.wide_bits))
        total = Signal(signed(fmt.wide_bits + 1))
        m.d.sync += [
            a.eq(Mux(self.up, y, later_y)),
            b.eq(Mux(self.up, self.candidate, activation.y)),
            product.eq(a * b),
            total.eq(self.residual + y),
        ]
        product = delay(m, product, 1, "product")
        scaled = (product + (1 << (fmt.frac - 1))) >> fmt.frac
        carried = Mux(self.carry_function, activation.y, later_y)
        carried = delay(m, carried, self.product - 1, "carried")

        exact, high, low = Signal(scaled.shape()), Signal(), Signal()
        limit = fmt.wide_max
        m.d.comb += [
            exact.eq(Mux(self.add, total, scaled)),
            high.eq(~self.keep & (exact > limit)),
            low.eq(~self.keep & (exact < -limit)),
        ]
        m.d.sync += [self.wide.eq(exact), self.carried.eq(carried), self.overflow.eq(high | low)]
        with m.If(self.keep):
            m.d.sync += self.wide.eq(carried)
        with m.Elif(high):
            m.d.sync += self.wide.eq(limit)
        with m.Elif(low):
            m.d.sync += self.wide.eq(-limit)
        return m
