# SPDX-License-Identifier: Apache-2.0
"""The reciprocal square root of a sum of squares."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import Formats
from hw.divider import Divider

TOTAL_BITS = 64
_COARSE, _FINE = 16, 4


class ReciprocalRoot(wiring.Component):
    """1/sqrt(total) ~ root * 2**-(2*mantissa - 1) * 2**-exponent: ``numerics.reciprocal_root``.

    ``done`` is high ``latency`` = mantissa + 2 cycles after ``start``; the result is there in that cycle and then
    stays until the next start, which may come in the same cycle. Two cycles shift the total left by multiples of
    four bits, ``mantissa`` // 2 + 1 take its square root, two bits each; the rest is a division, which begins in the
    last of these. A start before ``done`` abandons a computation.

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
        self.latency = fmt.mantissa + 2
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
        # One bit more than the result has: after shifts by four, the highest may be 0.
        steps = bits // 2 + 1
        digits = 2 * steps
        # The total's bits below those of the result and of the shift still to come never matter.
        value = Signal(2 * digits + 3 * _FINE)
        coarse, skipped_coarse = _left(self.total, _COARSE)
        fine, skipped_fine = _left(value, _FINE)
        skipped = Signal(4)
        # One-hot: the fine shift, then each step of the root.
        step = Signal(1 + steps)
        m.d.sync += [step.eq(Mux(self.start, 1, step << 1)), value.eq(value << 4)]
        with m.If(step[0]):
            m.d.sync += [value.eq(fine), skipped[:2].eq(skipped_fine)]
        with m.If(self.start):
            m.d.sync += [value.eq(coarse[-len(value) :]), skipped[2:].eq(skipped_coarse)]

        remainder, square_root = Signal(digits - 1), Signal(digits - 2)
        reduced, found = remainder, square_root
        for digit in range(2):
            pair = value[len(value) - 2 * digit - 2 : len(value) - 2 * digit]
            trial = Cat(pair, reduced)
            difference = Signal(len(trial) + 1, name=f"difference_{digit}")
            m.d.comb += difference.eq(trial - Cat(Const(1, 2), found))
            reduced, found = Mux(difference[-1], trial, difference)[: len(reduced) + 1], Cat(~difference[-1], found)
        with m.If(step[0]):
            m.d.sync += [remainder.eq(0), square_root.eq(0)]
        with m.Elif(step[1:].any()):
            m.d.sync += [remainder.eq(reduced), square_root.eq(found)]

        # One less than 2**(2*bits - 1) only matters to the smallest square root, whose quotient it clamps. A total
        # of 0 gives the same: divided by 0, every quotient bit is 1.
        numerator = Const((1 << (2 * bits - 1)) - 1, 2 * bits - 1)
        m.submodules.divider = divider = Divider(len(numerator), bits, bits)
        exponent = Signal(range(1 - bits, TOTAL_BITS // 2 - bits + 1))
        dividing, small = Signal(), ~found[-1]
        m.d.comb += [
            divider.start.eq(step[-1]),
            divider.numerator.eq(numerator),
            divider.denominator.eq(Mux(small, found[digits - 1 - bits :], found[digits - bits :])),
            self.root.eq(divider.quotient),
            self.exponent.eq(exponent),
            # A division that a start abandoned still runs to its end.
            self.done.eq(divider.done & dividing),
        ]
        with m.If(self.start):
            m.d.sync += dividing.eq(0)
        with m.Elif(step[-1]):
            m.d.sync += dividing.eq(1)
        with m.If(step[-1]):
            m.d.sync += exponent.eq(TOTAL_BITS // 2 - bits - Cat(small, skipped))
        return m


def _left(value: Value, step: int) -> tuple[Value, Value]:
    """Shift left by the most multiples of ``step``, up to three, that lose no set bit; and the multiple."""
    empty = [~value[-step * count :].any() for count in (1, 2, 3)]
    shifted = value
    for count in (1, 2, 3):
        shifted = Mux(empty[count - 1], (value << step * count)[: len(value)], shifted)
    return shifted, empty[0] + empty[1] + empty[2]
