# SPDX-License-Identifier: Apache-2.0
"""The reciprocal square root of a sum of squares."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.formats import Formats
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut
from tritforge.hw.scales.chords import Quotient, SquareRoot

TOTAL_BITS = 64
LEFT = 4
"""Cycles of `left`."""


class ReciprocalRoot(wiring.Component):
    """1/sqrt(total) ~ root * 2**-(2*mantissa - 1) * 2**-exponent: ``numerics.reciprocal_root``.

    Free running, one result a cycle. The total is shifted left by an even number of bits, in steps of 16, 4 and 2;
    then come its square root and that one's reciprocal.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    latency : cycles to the result.
    total : In, unsigned 64; 0 is taken as 1.
    root : Out, normalised significand.
    exponent : Out, signed 8.
    """

    latency = 11 + SquareRoot.latency + Quotient.latency

    def __init__(self, fmt: Formats) -> None:
        self.fmt = fmt
        super().__init__({"total": In(TOTAL_BITS), "root": Out(fmt.mantissa), "exponent": Out(signed(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = self.fmt.mantissa
        value = delay(m, self.total, 1, "total", reset_less=True)
        value, coarse = left(m, value, 16, "coarse")
        value, fine = left(m, value[TOTAL_BITS - 2 * bits - 15 :], 4, "fine")
        last = ~value[-2:].any()
        square = Signal(2 * bits, reset_less=True)
        m.d.sync += square.eq(Mux(last, value << 2, value)[: len(value)][len(value) - 2 * bits :])

        m.submodules.square_root = square_root = SquareRoot(bits)
        # One less than 2**(2 * bits - 1) only matters to the smallest square root, whose quotient it clamps.
        m.submodules.quotient = quotient = Quotient(bits, (1 << 2 * bits - 1) - 1, rounded=False)
        m.d.comb += [
            square_root.square.eq(square),
            quotient.denominator.eq(delay(m, square_root.root, 1, "divisor", reset_less=True)),
            self.root.eq(quotient.quotient),
        ]
        skipped = Cat(last, fine, delay(m, coarse, LEFT, "skipped", reset_less=True))
        exponent = Signal(range(1 - bits, TOTAL_BITS // 2 - bits + 1), reset_less=True)
        m.d.sync += exponent.eq(cut(TOTAL_BITS // 2 - bits - skipped, exponent))
        later = SquareRoot.latency + 1 + Quotient.latency
        m.d.comb += self.exponent.eq(delay(m, exponent, later, "exponent", reset_less=True))
        return m


def left(m: Module, value: Value, step: int, name: str) -> tuple[Signal, Signal]:
    """Shift left by the most multiples of ``step``, up to three, that lose no set bit; `LEFT` cycles later.

    Also the multiple, with the shifted value.
    """
    empty, multiple = (
        Signal(bits, name=f"{name}_{kind}", reset_less=True) for kind, bits in (("empty", 3), ("by", 2))
    )
    # from the top, whether each step or four bits of it have one set
    part = min(step, 4)
    parts = delay(
        m,
        Cat(value[-part * count :][:part].any() for count in range(1, 3 * step // part + 1)),
        1,
        f"{name}_any",
        reset_less=True,
    )
    m.d.sync += [
        empty.eq(Cat(~parts[: step // part * count].any() for count in (1, 2, 3))),
        multiple.eq(Mux(empty[2], 3, Mux(empty[1], 2, empty[0]))),
    ]
    held = delay(m, value, LEFT - 1, f"{name}_held", reset_less=True)
    shifted = Signal(len(value), name=f"{name}_value", reset_less=True)
    m.d.sync += shifted.eq(cut(held << Cat(Const(0, step.bit_length() - 1), multiple), shifted))
    return shifted, delay(m, multiple, 1, f"{name}_multiple", reset_less=True)
