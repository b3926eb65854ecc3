# SPDX-License-Identifier: Apache-2.0
"""Processing element of the ternary array: decodes the trits of one output row and adds up a beat."""

from amaranth import Module, Signal, Value, ValueCastable, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from golden.numerics import CODE_MAX
from hw.adder import ConditionalAdder, conditional
from hw.decoder import TritDecoder
from hw.params import TRITS_PER_BYTE, CoreParams

CHAIN_TRITS = 10
"""Trits of the longest chain; elements of more columns add chains up."""


def stage(column: int) -> int:
    """Stage of its chain that takes a column of a beat: the first takes two, the others one each."""
    return max(column % CHAIN_TRITS - 1, 0)


def sum_bits(trits: int) -> int:
    """Width of a sum of that many activations of -CODE_MAX to CODE_MAX or their opposites, even if one short."""
    return (CODE_MAX * trits).bit_length() + 1


def element_latency(core: CoreParams) -> int:
    """`Element.latency`: decode, the stages of a chain, the levels of the tree over the chains."""
    chains = -(-core.columns // CHAIN_TRITS)
    return 1 + 1 + stage(min(core.columns, CHAIN_TRITS) - 1) + (chains - 1).bit_length()


class Element(wiring.Component):
    """Sum of trit x activation for one row and the ``5 * element_bytes`` columns of a beat.

    A chain of conditional adders, each the width of the sum so far. The first trit has no adder: its complement, if
    it is negative, is one short of the opposite, and what is short goes along as ``carry`` for the accumulator to
    add. All registers run freely; the stages are decode, those of a chain, and one for each level of a tree over
    the chains.

    Parameters
    ----------
    core : geometry.

    Attributes
    ----------
    latency : cycles from ``data`` to ``value``.
    data : In, ``element_bytes`` bytes of the row; byte k holds the trits of columns 5k to 5k + 4.
    operands : In, -CODE_MAX to CODE_MAX, column c ``1 + stage(c)`` cycles after ``data``.
    value : Out, signed ``sum_bits(core.columns)``: the sum less ``carry``.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        self.latency = element_latency(core)
        super().__init__(
            {
                "data": In(8 * core.element_bytes),
                "operands": In(ArrayLayout(signed(8), core.columns)),
                "value": Out(signed(sum_bits(core.columns))),
                "carry": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        trits = [trit for k in range(self._core.element_bytes) for trit in self._trits(m, k)]
        columns = list(zip(trits, self.operands, strict=True))
        starts = range(0, len(columns), CHAIN_TRITS)
        terms = [self._chain(m, f"chain_{i}", columns[start : start + CHAIN_TRITS]) for i, start in enumerate(starts)]
        while len(terms) > 1:
            terms = [
                (_register(m, (v + w + d)[: len(v) + 1].as_signed(), "sum"), _register(m, c, "carry"))
                for (v, c), (w, d) in zip(terms[::2], terms[1::2], strict=True)
            ]
        ((value, carry),) = terms
        m.d.comb += [self.value.eq(value), self.carry.eq(carry)]
        return m

    def _trits(self, m: Module, k: int) -> list[ValueCastable]:
        """The trits of a byte, each in its stage; the byte waits for the first, which saves registers."""
        m.submodules[f"decoder_{k}"] = decoder = TritDecoder()
        columns = range(TRITS_PER_BYTE * k, TRITS_PER_BYTE * (k + 1))
        m.d.comb += decoder.code.eq(_delay(m, self.data.word_select(k, 8), stage(columns[0]), f"byte_{k}"))
        return [
            _delay(m, trit, 1 + stage(column) - stage(columns[0]), f"trit_{column}")
            for column, trit in zip(columns, decoder.trits, strict=True)
        ]

    def _chain(self, m: Module, name: str, columns: list) -> tuple[Value, Value]:
        """The sum of a chain and what it is short."""
        trit, operand = columns[0]
        total, carry = conditional(operand, trit.plus, trit.minus), trit.minus
        for number, (trit, operand) in enumerate(columns[1:], 1):
            if number > 1:
                total, carry = _register(m, total, name), _register(m, carry, f"{name}_carry")
            m.submodules[f"{name}_adder_{number}"] = adder = ConditionalAdder(sum_bits(number + 1))
            m.d.comb += [
                adder.a.eq(total),
                adder.b.eq(operand),
                adder.plus.eq(trit.plus),
                adder.minus.eq(trit.minus),
                adder.carry.eq(trit.minus),
            ]
            total = adder.total
        return _register(m, total, name), _register(m, carry, f"{name}_carry")


def _delay(m: Module, value: ValueCastable, cycles: int, name: str) -> ValueCastable:
    """The value after that many registers."""
    for number in range(cycles):
        value = _register(m, value, f"{name}_{number + 1}")
    return value


def _register(m: Module, value: ValueCastable, name: str) -> ValueCastable:
    """The value one cycle later."""
    register = Signal.like(value, name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register
