# SPDX-License-Identifier: Apache-2.0
"""The reciprocal square root of a sum of squares."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import Formats
from hw.divider import Divider

TOTAL_BITS = 64
_SHIFTS = (32, 16, 8, 4, 2)


class ReciprocalRoot(wiring.Component):
    """1/sqrt(total) ~ root * 2**-(2*mantissa - 1) * 2**-exponent: ``numerics.reciprocal_root``.

    ``done`` is high ``latency`` = 2*mantissa + 7 cycles after ``start``; the result then stays until the next
    start. Five cycles shift the total left by an even amount, ``mantissa`` cycles take its square root bit by
    bit, the rest is a division. A start during a computation abandons it.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    start : In, pulse; takes ``total``.
    total : In, unsigned 64; 0 is taken as 1.
    done : Out, pulse.
    root : Out, normalised significand.
    exponent : Out, signed 8.
    """

    def __init__(self, fmt: Formats) -> None:
        self.fmt = fmt
        self.latency = 2 * fmt.mantissa + len(_SHIFTS) + 2
        super().__init__(
            {
                "start": In(1),
                "total": In(TOTAL_BITS),
                "done": Out(1),
                "root": Out(fmt.mantissa),
                "exponent": Out(signed(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = self.fmt.mantissa
        value = Signal(TOTAL_BITS)
        remainder, square_root = Signal(bits + 1), Signal(bits)
        zero_pairs = Signal(len(_SHIFTS))
        exponent = Signal(range(1 - bits, TOTAL_BITS // 2 - bits + 1))
        dividing = Signal()
        # One-hot: a bit for each shift, for each bit of the root and for the start of the division.
        step = Signal(len(_SHIFTS) + bits + 1)
        m.d.sync += step.eq(Mux(self.start, 1, step << 1))

        trial = Cat(value[-2:], remainder)
        difference = Signal(len(trial) + 1)
        fits = ~difference[-1]
        m.d.comb += difference.eq(trial - Cat(Const(1, 2), square_root))
        m.d.sync += exponent.eq(TOTAL_BITS // 2 - bits - zero_pairs)
        with m.If(self.start):
            m.d.sync += [
                value.eq(self.total),
                remainder.eq(0),
                square_root.eq(0),
                dividing.eq(0),
            ]
        with m.Elif(step[len(_SHIFTS) : -1].any()):
            m.d.sync += [
                value.eq(value << 2),
                remainder.eq(Mux(fits, difference, trial)[: len(remainder)]),
                square_root.eq(Cat(fits, square_root[:-1])),
            ]
        for index, shift in enumerate(_SHIFTS):
            with m.If(~self.start & step[index]):
                empty = ~value[-shift:].any()
                m.d.sync += zero_pairs[-1 - index].eq(empty)
                with m.If(empty):
                    m.d.sync += value.eq(value << shift)

        # One less than 2**(2*bits - 1) only matters to the smallest square root, whose quotient it clamps. A total
        # of 0 gives the same: divided by 0, every quotient bit is 1.
        numerator = Const((1 << (2 * bits - 1)) - 1, 2 * bits - 1)
        m.submodules.divider = divider = Divider(len(numerator), bits, bits)
        m.d.comb += [
            divider.start.eq(step[-1]),
            divider.numerator.eq(numerator),
            divider.denominator.eq(square_root),
            self.root.eq(divider.quotient),
            self.exponent.eq(exponent),
            # A division that a start abandoned still runs to its end.
            self.done.eq(divider.done & dividing),
        ]
        with m.If(~self.start & step[-1]):
            m.d.sync += dividing.eq(1)
        return m
