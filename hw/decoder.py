# SPDX-License-Identifier: Apache-2.0
"""Decoder of the nested trit code (`hw/trits.py`)."""

from amaranth import Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.data import StructLayout, View
from amaranth.lib.wiring import In, Out

from hw.trits import BOTH_ZERO, ESCAPE

PAIR_CONTROL = StructLayout({"first": 1, "second": 1, "both": 1, "negative": 1})
"""What a pair multiplexer is told about the operands a, b (see `hw.element.select`).

====  =====  ======  ===================
both  first  second  value
====  =====  ======  ===================
0     0      0       0
0     1      0       a
0     0      1       b
1     0      0       a + b
1     1      1       a - b
====  =====  ======  ===================

The value is to be negated if ``negative``; of a zero, that bit means nothing.
"""

BYTE_CONTROL = StructLayout(
    {"x": PAIR_CONTROL, "y": PAIR_CONTROL, "single": StructLayout({"nonzero": 1, "negative": 1})}
)
"""x for trits t0 and t1, single for t2, y for t3 and t4."""


class TritDecoder(wiring.Component):
    """One byte of the nested code to the controls of two pair multiplexers and the single.

    Combinational logic, seventeen 4-input tables. A byte outside the code gives the controls of some
    trits.

    Attributes
    ----------
    code : In, the byte of five trits.
    control : Out, `BYTE_CONTROL`.
    """

    def __init__(self) -> None:
        super().__init__({"code": In(8), "control": Out(BYTE_CONTROL)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        y, q, p = self.code[0:3], self.code[3:5], self.code[5:8]
        escape = q == ESCAPE
        both_zero = escape & (p == BOTH_ZERO)
        y_zero = escape & p[2]
        x_zero = both_zero | (escape & ~p[2])
        single = Mux(escape, Mux(p == BOTH_ZERO, y[:2], p[:2]), q)
        m.d.comb += [
            self.control.single.nonzero.eq(single.any()),
            self.control.single.negative.eq(single[1]),
            _control_pair(self.control.x, Mux(y_zero, y, p), x_zero),
            _control_pair(self.control.y, y, y_zero),
        ]
        return m


def _control_pair(control: View, pair: Value, zero: Value):
    """Assign the controls of a coded pair {s0, s1, n}."""
    both, differ, negative = pair[0], pair[1] ^ pair[2], pair[2]
    selected = Cat(both == differ, differ, both) & (~zero).replicate(3)
    return control.eq(Cat(selected, negative))
