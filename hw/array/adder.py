# SPDX-License-Identifier: Apache-2.0
"""Conditional adder of the ternary array: an activation added, subtracted or left out."""

from amaranth import Module, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.width import cut


class ConditionalAdder(wiring.Component):
    """``total = a + (plus - minus) * b`` when ``carry`` is ``minus``; combinational.

    A bit of the addend is ``plus`` where that of b is one and ``minus`` where it is zero: b, its complement, or
    all zeros or ones. So a sum bit depends on four inputs and the carry, which is one look-up table of a carry
    chain. Synthesis tools do not always find that by themselves; this is a unit of its own so that a technology
    map can (`rtl_gen/synthesis/ecp5_adder.v` knows it by its name). All operands are as wide as the sum for the same
    reason.

    Parameters
    ----------
    width : bits of the sum, which must hold it, at most 32.

    Attributes
    ----------
    a, b : In, signed ``width``.
    plus, minus : In, the trit, ``plus - minus``.
    carry : In, one more to add: ``minus`` makes a complement of b its opposite.
    total : Out, signed ``width``.
    """

    def __init__(self, width: int) -> None:
        if not 2 <= width <= 32:
            raise ValueError(f"A conditional adder has 2 to 32 bits, not {width}.")
        super().__init__(
            {
                "a": In(signed(width)),
                "b": In(signed(width)),
                "plus": In(1),
                "minus": In(1),
                "carry": In(1),
                "total": Out(signed(width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # whoever uses it makes it wide enough for its sums
        total = self.a + conditional(self.b, self.plus, self.minus) + self.carry
        m.d.comb += self.total.eq(cut(total, self.total))
        return m


def conditional(value: Value, plus: Value, minus: Value) -> Value:
    """(plus - minus) * value less ``minus``, of the same width: one 3-input table a bit."""
    bits, width = value.as_unsigned(), len(value)
    return ((bits & plus.replicate(width)) | (~bits & minus.replicate(width))).as_signed()
