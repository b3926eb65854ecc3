# SPDX-License-Identifier: Apache-2.0
"""Sequential unsigned division."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

DIGITS = 2
"""Quotient bits a cycle: so many subtractions are chained."""


class Divider(wiring.Component):
    """quotient = numerator // denominator by restoring division, two quotient bits a cycle.

    ``done`` is high ``latency`` = ceil(quotient_bits / 2) cycles after ``start``; the quotient is there in that cycle
    and then stays until the next start, which may come in the same cycle. A start before that abandons a division.

    Parameters
    ----------
    numerator_bits, denominator_bits, quotient_bits : widths; at most ``denominator_bits`` of the numerator
        lie above the lowest ``quotient_bits``.

    Attributes
    ----------
    start : In, pulse; takes the operands.
    numerator : In, unsigned, below denominator << quotient_bits.
    denominator : In, unsigned; 0 makes every quotient bit 1.
    busy : Out, a division is under way, up to and with the cycle of ``done``.
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
        self.latency = -(-quotient_bits // DIGITS)
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
        # Whole steps: above the quotient's bits there may be one more, which is 0.
        bits = self.latency * DIGITS
        remainder, denominator = Signal.like(self.denominator), Signal.like(self.denominator)
        quotient = Signal(bits, name="partial_quotient")
        steps = Signal(range(self.latency + 1))
        reduced, found = remainder, []
        for digit in range(DIGITS):
            trial = Cat(quotient[-1 - digit], reduced)
            difference = Signal(len(trial) + 1, name=f"difference_{digit}")
            m.d.comb += difference.eq(trial - denominator)
            found.insert(0, ~difference[-1])
            reduced = Mux(found[0], difference, trial)[: len(remainder)]
        successor = Cat(*found, quotient[:-DIGITS])
        m.d.comb += [
            self.busy.eq(steps != 0),
            self.done.eq(steps == 1),
            # Not one cycle later from the register: the division is part of every dependency.
            self.quotient.eq(Mux(self.busy, successor, quotient)),
        ]
        with m.If(self.start):
            m.d.sync += [
                remainder.eq(self.numerator[bits:]),
                quotient.eq(self.numerator[:bits]),
                denominator.eq(self.denominator),
                steps.eq(self.latency),
            ]
        with m.Elif(self.busy):
            m.d.sync += [remainder.eq(reduced), quotient.eq(successor), steps.eq(steps - 1)]
        return m
