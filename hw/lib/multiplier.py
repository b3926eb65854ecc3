# SPDX-License-Identifier: Apache-2.0
"""Pipelined multiplication by hand-made products of 18 x 18 bits, for DSP blocks with their own registers.

Synthesis tools differ in how they cut up wide multiplications and in which registers they move into the blocks.
Here every block multiplies two plain registers into a third, and only additions follow, behind a fourth: blocks have
fixed places, and what adds is far from some of them.
"""

from amaranth.hdl import Cat, Module, Shape, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.pipeline import register
from tritforge.hw.lib.width import cut

LIMB = 17
"""Bits of a limb where an operand is signed: unsigned numbers of 17 bits fit the signed 18 of a block."""
UNSIGNED_LIMB = 18


class Multiplier(wiring.Component):
    """product = a * b, exact. Free running, one result a cycle, no reset.

    Operands are cut into at most two limbs: registers for the operands, for the products of limbs and, with two or
    four of those, once more for the products and for each of the one or two levels of additions.

    Parameters
    ----------
    a, b : shapes; up to 35 bits signed, 34 unsigned, 36 where both are unsigned.

    Attributes
    ----------
    latency : cycles from operands to product: 2, 4 or 5.
    a, b : In. product : Out, signed if an operand is.

    Raises
    ------
    ValueError
        If an operand is too wide.
    """

    def __init__(self, a: ShapeLike, b: ShapeLike) -> None:
        a, b = Shape.cast(a), Shape.cast(b)
        self._signed = a.signed or b.signed
        limbs = [len(self._cut(Signal(shape))) for shape in (a, b)]
        if max(limbs) > 2:
            raise ValueError(f"A multiplication of {a.width} x {b.width} bits needs more than two limbs a side.")
        self.latency = sum(limbs) + (limbs != [1, 1])
        shape = (signed if self._signed else unsigned)(a.width + b.width)
        super().__init__({"a": In(a), "b": In(b), "product": Out(shape)})

    def _cut(self, value: Signal) -> list[Value]:
        """The operand's limbs, lowest first."""
        shape, limb = value.shape(), LIMB if self._signed else UNSIGNED_LIMB
        whole = limb + 1 if shape.signed else limb
        if shape.width <= whole:
            return [value]
        high = value[limb:]
        rest = high.as_signed() if shape.signed else high
        return [value[:limb], *([rest] if len(rest) <= whole else [rest, rest])]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        limb = LIMB if self._signed else UNSIGNED_LIMB
        a, b = (Signal(port.shape(), name=f"{port.name}_d1", reset_less=True) for port in (self.a, self.b))
        m.d.sync += [a.eq(self.a), b.eq(self.b)]
        partial = [
            [register(m, x * y, f"partial_{i}_{j}") for j, y in enumerate(self._cut(b))]
            for i, x in enumerate(self._cut(a))
        ]
        flat = [p for row in partial for p in row]
        if len(flat) == 1:
            m.d.comb += self.product.eq(flat[0])
            return m
        flat = [register(m, part, f"{part.name}_d1") for part in flat]
        if len(flat) == 2:
            low, high = flat
            m.d.comb += self.product.eq(register(m, cut(_sum(low, high, limb), self.product), "sum"))
        else:
            # the lowest product fills the bits below the highest one
            outer = Cat(flat[0], flat[3])
            outer = outer.as_signed() if self._signed else outer
            outer = register(m, outer[: len(self.product)], "outer")
            outer = outer.as_signed() if self._signed else outer
            inner = register(m, flat[1] + flat[2], "inner")
            m.d.comb += self.product.eq(register(m, cut(_sum(outer, inner, limb), self.product), "sum"))
        return m


class Squarer(wiring.Component):
    """square = value * value, exact, by three products. Free running, one result a cycle, no reset, ``latency`` 4.

    Parameters
    ----------
    width : of the value, signed, 19 to 35 bits.

    Attributes
    ----------
    value : In, signed. square : Out, unsigned, twice as wide.
    """

    latency = 4

    def __init__(self, width: int) -> None:
        super().__init__({"value": In(signed(width)), "square": Out(unsigned(2 * width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        value = Signal(self.value.shape(), reset_less=True)
        m.d.sync += value.eq(self.value)
        low, high = value[:LIMB], value[LIMB:].as_signed()
        parts = {"low_square": low * low, "high_square": (high * high)[:-1], "mixed": low * high}
        blocks = (register(m, part, name) for name, part in parts.items())
        low_square, high_square, mixed = (register(m, part, f"{part.name}_d1") for part in blocks)
        total = _sum(Cat(low_square, high_square), mixed, LIMB + 1)[: len(self.square)]
        m.d.comb += self.square.eq(register(m, total, "sum"))
        return m


def _sum(low: Value, high: Value, shift: int) -> Value:
    """low + (high << shift), without an adder below the shift."""
    total = (low >> shift) + high
    return Cat(low[:shift], total).as_signed() if total.shape().signed else Cat(low[:shift], total)
