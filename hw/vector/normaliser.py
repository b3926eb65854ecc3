# SPDX-License-Identifier: Apache-2.0
"""From value x gain to the code float that a quantiser input is stored as."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.formats import GAIN_BITS, Formats
from tritforge.hw.lib.floats import EXPONENT_BITS, code_float
from tritforge.hw.lib.pipeline import delay, register

_COARSE = 16
_FINE_MOST = 15
"""By how much the shifts behind the first may shift."""


class Normaliser(wiring.Component):
    """``numerics.normalise(|product| >> product_drop)`` with the sign of the product.

    Free running, one result a cycle, ``latency`` 5 cycles: one's complement, magnitude, then shifts by multiples of
    16, 4, 1. The first shift goes by the one's complement, so that it needs not wait for the magnitude. No sum is
    longer than half a magnitude.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    product : In, signed ``wide_bits + GAIN_BITS``: any wide value times any gain.
    code : Out, code float; mantissa and exponent 0 for 0.
    """

    latency = 5

    def __init__(self, fmt: Formats) -> None:
        self.fmt = fmt
        super().__init__({"product": In(signed(fmt.wide_bits + GAIN_BITS)), "code": Out(code_float(fmt))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, drop, kept = self.fmt.magnitude_bits, self.fmt.product_drop, self.fmt.mantissa + _FINE_MOST
        sign = self.product[-1]
        negative = delay(m, sign, self.latency - 1, "negative", reset_less=True)

        # one's complement and what makes it the magnitude, in two halves: 1 unless bits below would have
        half = width // 2
        complement = register(m, self.product[drop : drop + width] ^ sign.replicate(width), "complement")
        more, upper_more = (
            register(m, sign & ~self.product[:below].any(), name)
            for name, below in (("more", drop), ("upper_more", drop + half))
        )
        lower = (complement[:half] + more)[:half]
        magnitude = register(m, Cat(lower, complement[half:] + upper_more), "magnitude")

        # whether the highest 16 or 32 bits are all like the sign, four by four before
        heights = [top for top in (_COARSE, 2 * _COARSE) if top < width]
        unlike = [
            register(m, (self.product[at - 4 : at] ^ sign.replicate(4)).any(), f"unlike_{at}")
            for at in range(drop + width, drop + width - heights[-1], -4)
        ]
        empty = [register(m, ~Cat(unlike[: top // 4]).any(), f"empty_{top}") for top in heights]

        # The complement's leading zeros may be one more than the magnitude's, hence a bit above: where it is set,
        # no other is.
        shifted, nibbles = _top(magnitude, kept), _nibbles(magnitude)
        for count, is_empty in enumerate(empty, 1):
            moved = (magnitude << _COARSE * count)[: width + 1]
            shifted, nibbles = Mux(is_empty, _top(moved, kept), shifted), Mux(is_empty, _nibbles(moved), nibbles)
        value, nibbles = register(m, shifted, "coarse"), register(m, nibbles, "nibbles")
        skipped = register(m, Cat(empty), "skipped")

        amount = Mux(nibbles[0], 0, Mux(nibbles[1], 1, Mux(nibbles[2], 2, 3)))[:2]
        value = register(m, _top((value << Cat(Const(0, 2), amount))[: len(value)], self.fmt.mantissa + 3), "fine")
        # fours of the exponent from a table, and one less, which the last bits may borrow
        fours, rest = divmod(width + 1, 4)
        bits = len(empty) + 3
        table = [fours - _skipped(len(empty), f"{index:0{bits}b}"[::-1]) for index in range(1 << bits)]
        high, less = (
            register(m, Array(Const((entry - borrow) % 16, 4) for entry in table)[Cat(skipped, nibbles)], name)
            for borrow, name in enumerate(("high", "less"))
        )

        above, one, two, three = (candidates := [value[-1 - index] for index in range(5)])[:4]
        amount = Mux(above | one, 0, Mux(two, 1, Mux(three, 2, 3)))[:2]
        mantissa = (value[:-1] << amount)[3 : 3 + self.fmt.mantissa]
        low = Mux(above, rest, Mux(one, rest - 1 & 3, Mux(two, rest - 2 & 3, Mux(three, rest - 3 & 3, rest))))[:2]
        exponent = Cat(low, Mux(Cat(candidates[: rest + 1]).any(), high, less))
        # no multiplexer, of which synthesis would make a reset
        exponent = (exponent & Cat(candidates).any().replicate(len(exponent)))[:EXPONENT_BITS]
        code = Cat(mantissa[:-1], mantissa[-1] | above, exponent, negative)
        m.d.comb += self.code.as_value().eq(register(m, code, "code_held"))
        return m


def _skipped(coarse: int, bits: str) -> int:
    """Zero nibbles that ``coarse`` flags of four each, then three of the first nibble with a bit set, skip."""
    return 4 * bits[:coarse].count("1") + (bits[coarse:] + "1").index("1")


def _top(value: Value, bits: int) -> Value:
    """The bit above and so many below it, with zeros if there are fewer."""
    missing = max(0, bits + 1 - len(value))
    return Cat(Const(0, missing), value[max(0, len(value) - bits - 1) :])


def _nibbles(value: Value) -> Value:
    """Whether the highest, second and third four bits have one set; the bit above is among the highest."""
    return Cat(value[-5:].any(), value[-9:-5].any(), value[-13:-9].any())
