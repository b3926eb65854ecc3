# SPDX-License-Identifier: Apache-2.0
"""Processing element of the ternary array: decodes the trits of one output row, selects and adds up a beat."""

from collections.abc import Sequence

from amaranth import Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, StructLayout, View
from amaranth.lib.wiring import In, Out

from hw.decoder import BYTE_CONTROL, TritDecoder
from hw.params import CoreParams

PAIR_OPERANDS = StructLayout({"a": signed(9), "b": signed(9), "sum": signed(9), "difference": signed(9)})
"""The operands of a pair multiplexer: two activations, a + b and a - b."""

BYTE_OPERANDS = StructLayout({"x": PAIR_OPERANDS, "y": PAIR_OPERANDS, "single": signed(8)})
"""The operands of the five trits of a byte; ``single`` comes one cycle after the others."""


def select(control: View, operands: View) -> Value:
    """0, a, b, a + b or a - b: two 4-input tables a bit, the first of which makes 0, a, b or all ones."""
    width = len(operands.a)
    a, b, total, difference = (operands[name].as_unsigned() for name in ("a", "b", "sum", "difference"))
    first, second, both = (control[name].replicate(width) for name in ("first", "second", "both"))
    chosen = (a & first) | (b & second) | (first & second)
    pair = (total & ~chosen) | (difference & chosen)
    return ((pair & both) | (chosen & ~both)).as_signed()


def add_signed(a: Value, b: Value, negative: Value) -> Value:
    """a + b, or a - b if negative: with the sign as carry-in; one bit wider than the wider operand."""
    addend = (b.as_unsigned() ^ negative.replicate(len(b))).as_signed()
    total = a + addend + negative
    return total[: max(len(a), len(b)) + 1].as_signed()


def sum_bits(core: CoreParams) -> int:
    """Width of a beat's sum of a row: ten bits for two trits and the single, one more a level of the adder tree."""
    return 10 + core.element_bytes.bit_length()


class Element(wiring.Component):
    """Sum of trit x activation for one row and the ``5 * element_bytes`` columns of a beat.

    Signs are carried relative to one another: y +- single, then x +- that, then the bytes pairwise, and the
    accumulator applies the remaining one. So every adder has one conditional negation, whose carry-in is
    free.

    All registers run freely; the stages are decode, select, single, one for each level of the adder tree.

    Parameters
    ----------
    core : geometry.

    Attributes
    ----------
    latency : cycles from ``data`` to ``value``.
    data : In, ``element_bytes`` bytes of the row; byte k covers ``operands[k]``.
    operands : In, one cycle after ``data``; the singles two cycles after it.
    value : Out, signed ``sum_bits(core)``: the sum, or its opposite if ``negative``.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        self.latency = 3 + core.element_bytes.bit_length()
        super().__init__(
            {
                "data": In(8 * core.element_bytes),
                "operands": In(ArrayLayout(BYTE_OPERANDS, core.element_bytes)),
                "value": Out(signed(sum_bits(core))),
                "negative": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        terms = [term for k in range(self._core.element_bytes) for term in self._byte(m, k)]
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=True)
            terms = [_register(m, add_signed(v, w, s ^ t), s) for (v, s), (w, t) in pairs]
        ((value, negative),) = terms
        m.d.comb += [self.value.eq(value), self.negative.eq(negative)]
        return m

    def _byte(self, m: Module, k: int) -> Sequence[tuple[Value, Value]]:
        """The two terms (value, negative) of one byte: x, and y with the single."""
        m.submodules[f"decoder_{k}"] = decoder = TritDecoder()
        control = Signal(BYTE_CONTROL, reset_less=True)
        m.d.comb += decoder.code.eq(self.data.word_select(k, 8))
        m.d.sync += control.eq(decoder.control)
        operands = self.operands[k]
        x = _register(m, select(control.x, operands.x), control.x.negative)
        y, y_negative = _register(m, select(control.y, operands.y), control.y.negative)
        nonzero, opposed = _register(m, control.single.nonzero, control.single.negative ^ control.y.negative)
        single = (operands.single.as_unsigned() & nonzero.replicate(8)).as_signed()
        return _register(m, *x), _register(m, add_signed(y, single, opposed), y_negative)


def _register(m: Module, value: Value, negative: Value) -> tuple[Signal, Signal]:
    """The term one cycle later."""
    term = Signal(value.shape(), name="term", reset_less=True), Signal(name="negative", reset_less=True)
    m.d.sync += [term[0].eq(value), term[1].eq(negative)]
    return term
