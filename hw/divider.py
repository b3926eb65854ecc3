# SPDX-License-Identifier: Apache-2.0
"""Sequential unsigned division."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Divider(wiring.Component):
    """quotient = numerator // denominator by restoring division, one quotient bit a cycle.

    ``done`` is high ``latency`` = quotient_bits + 1 cycles after ``start``; the quotient then stays until the
    next start. A start during a division abandons it.

    Parameters
    ----------
    numerator_bits, denominator_bits, quotient_bits : widths; at most ``denominator_bits`` of the numerator
        lie above the lowest ``quotient_bits``.

    Attributes
    ----------
    start : In, pulse; takes the operands.
    numerator : In, unsigned, below denominator << quotient_bits.
    denominator : In, unsigned, not 0.
    busy : Out, a division is under way.
    done : Out, pulse.
    quotient : Out, unsigned.

    Raises
    ------
    ValueError
        If the numerator is too wide for the quotient.
    """

    def __init__(self, numerator_bits: int, denominator_bits: int, quotient_bits: int) -> None:
        if not quotient_bits < numerator_bits <= denominator_bits + quotient_bits:
            raise ValueError(
                f"A numerator of {numerator_bits} bits needs a quotient of fewer bits and at least "
                f"{numerator_bits - denominator_bits} bits, not {quotient_bits}."
            )
        self.latency = quotient_bits + 1
        super().__init__(
            {
                "start": In(1),
                "numerator": In(numerator_bits),
                "denominator": In(denominator_bits),
                "busy": Out(1),
                "done": Out(1),
                "quotient": Out(quotient_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = len(self.quotient)
        remainder, denominator = Signal.like(self.denominator), Signal.like(self.denominator)
        steps = Signal(range(bits + 1))
        trial = Cat(self.quotient[-1], remainder)
        difference = Signal(len(trial) + 1)
        fits = ~difference[-1]
        m.d.comb += [difference.eq(trial - denominator), self.busy.eq(steps != 0)]
        m.d.sync += self.done.eq((steps == 1) & ~self.start)
        with m.If(self.start):
            m.d.sync += [
                remainder.eq(self.numerator[bits:]),
                self.quotient.eq(self.numerator[:bits]),
                denominator.eq(self.denominator),
                steps.eq(bits),
            ]
        with m.Elif(self.busy):
            m.d.sync += [
                remainder.eq(Mux(fits, difference, trial)[: len(remainder)]),
                self.quotient.eq(Cat(fits, self.quotient[:-1])),
                steps.eq(steps - 1),
            ]
        return m
