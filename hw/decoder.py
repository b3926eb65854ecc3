# SPDX-License-Identifier: Apache-2.0
"""Decoder of the nested trit code (`hw/trits.py`)."""

from amaranth import Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, StructLayout, View
from amaranth.lib.wiring import In, Out

from hw.params import TRITS_PER_BYTE
from hw.trits import BOTH_ZERO, ESCAPE

TRIT = StructLayout({"plus": 1, "minus": 1})
"""A trit as a conditional adder takes it: plus - minus, so zero is 00 or 11."""


class TritDecoder(wiring.Component):
    """One byte of the nested code to its five trits.

    Combinational logic. A byte outside the code gives some trits.

    Attributes
    ----------
    code : In, the byte.
    trits : Out, five `TRIT`.
    """

    def __init__(self) -> None:
        super().__init__({"code": In(8), "trits": Out(ArrayLayout(TRIT, TRITS_PER_BYTE))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        y, q, p = self.code[0:3], self.code[3:5], self.code[5:8]
        escape = q == ESCAPE
        both_zero = escape & (p == BOTH_ZERO)
        y_zero = escape & p[2]
        x_zero = both_zero | (escape & ~p[2])
        single = Mux(escape, Mux(p == BOTH_ZERO, y[:2], p[:2]), q)
        m.d.comb += [
            self.trits[2].eq(single),
            *_pair(self.trits[0], self.trits[1], Mux(y_zero, y, p), x_zero),
            *_pair(self.trits[3], self.trits[4], y, y_zero),
        ]
        return m


def _pair(first: View, second: View, pair: Value, zero: Value) -> list:
    """Assign the trits of a coded pair {s0, s1, n}; the sign of a zero means nothing."""
    both, differ = pair[0], pair[1] ^ pair[2]
    return [
        assign
        for trit, sign, alone in ((first, pair[2], ~differ), (second, pair[1], differ))
        for assign in (trit.minus.eq(sign), trit.plus.eq(sign ^ ((both | alone) & ~zero)))
    ]
