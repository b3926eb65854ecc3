# SPDX-License-Identifier: Apache-2.0
"""Processing element of the ternary array: decodes the trits of one output row and adds up a beat."""

from collections.abc import Sequence

from amaranth import Module, Value, ValueCastable, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from tritforge.hw.array.adder import ConditionalAdder, conditional
from tritforge.hw.array.decoder import TritDecoder
from tritforge.hw.lib.pipeline import delay, register
from tritforge.hw.params import BYTE, CoreParams

CHAIN_TRITS = 10
"""Trits of the longest chain; elements of more columns add two chains up."""


def chain_trits(params: CoreParams) -> int:
    """Trits of each chain."""
    return params.columns if params.columns <= CHAIN_TRITS else params.columns // 2


def stage(params: CoreParams, column: int) -> int:
    """Stage of its chain that takes a column of a beat."""
    return column % chain_trits(params)


def sum_bits(params: CoreParams, trits: int) -> int:
    """Width of a sum of that many activations or their opposites, even if one short."""
    return (params.code_max * trits).bit_length() + 1


def element_latency(params: CoreParams) -> int:
    """`Element.latency`: decode, the stages of a chain, the sum of two."""
    return 2 + stage(params, params.columns - 1) + params.columns // chain_trits(params) - 1


class Element(wiring.Component):
    """Sum of trit x activation for one row and the columns of a beat.

    A chain of conditional adders, each the width of the sum so far. The first trit has no adder: its complement, if
    it is negative, is one short of the opposite, and what is short goes along as ``carry`` for the accumulator to
    add. All registers run freely; the stages are decode, those of a chain, and the sum of two chains.

    Parameters
    ----------
    params : geometry.

    Attributes
    ----------
    latency : cycles from ``data`` to ``value``.
    data : In, ``element_bytes`` bytes of the row; byte k holds the trits of columns nk to nk + n - 1 of n a byte.
    operands : In, -params.code_max to params.code_max, column c ``1 + stage(core, c)`` cycles after ``data``.
    value : Out, signed ``sum_bits(core, params.columns)``: the sum less ``carry``.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self.latency = element_latency(params)
        super().__init__(
            {
                "data": In(BYTE * params.element_bytes),
                "operands": In(ArrayLayout(signed(params.act_bits), params.columns)),
                "value": Out(signed(sum_bits(params, params.columns))),
                "carry": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        trits = [trit for k in range(self._params.element_bytes) for trit in self._trits(m, k)]
        columns = list(zip(trits, self.operands, strict=True))
        length = chain_trits(self._params)
        value, carry = self._chain(m, "chain_0", columns[:length])
        if columns[length:]:
            other, more = self._chain(m, "chain_1", columns[length:])
            total = (value + other + more)[: len(self.value)].as_signed()
            value, carry = register(m, total, "sum"), register(m, carry, "carry")
        m.d.comb += [self.value.eq(value), self.carry.eq(carry)]
        return m

    def _trits(self, m: Module, k: int) -> list[ValueCastable]:
        """The trits of a byte, each in its stage; the byte waits for the first, which saves registers."""
        code = self._params.trit_code
        m.submodules[f"decoder_{k}"] = decoder = TritDecoder(code)
        stages = [stage(self._params, code.trits * k + number) for number in range(code.trits)]
        m.d.comb += decoder.byte.eq(delay(m, self.data.word_select(k, BYTE), stages[0], f"byte_{k}", reset_less=True))
        return [
            delay(m, trit, 1 + later - stages[0], f"trit_{code.trits * k + number}", reset_less=True)
            for number, (later, trit) in enumerate(zip(stages, decoder.trits, strict=True))
        ]

    def _chain(self, m: Module, name: str, columns: Sequence[tuple[ValueCastable, Value]]) -> tuple[Value, Value]:
        """The sum of a chain and what it is short."""
        trit, operand = columns[0]
        total, carry = conditional(operand, trit.plus, trit.minus), trit.minus
        for number, (trit, operand) in enumerate(columns[1:], 1):
            total, carry = register(m, total, name), register(m, carry, f"{name}_carry")
            m.submodules[f"{name}_adder_{number}"] = adder = ConditionalAdder(sum_bits(self._params, number + 1))
            m.d.comb += [
                adder.a.eq(total),
                adder.b.eq(operand),
                adder.plus.eq(trit.plus),
                adder.minus.eq(trit.minus),
                adder.carry.eq(trit.minus),
            ]
            total = adder.total
        return register(m, total, name), register(m, carry, f"{name}_carry")
