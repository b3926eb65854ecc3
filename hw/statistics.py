# SPDX-License-Identifier: Apache-2.0
"""Running statistics of the vectors that a group produces: sums of squares and largest magnitudes."""

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.floats import code_float
from hw.ops import context_bits, delay
from hw.params import CoreParams
from hw.scales import TENSORS, maximum

TOTAL_BITS = 64
SQUARE_BITS = 52
_LEVELS = 2
"""Levels of a reduction over the lanes between two registers."""


class Statistics(wiring.Component):
    """Sum of squares with its bias, and the largest |v| for each of up to three matrices, of every context.

    The total of 8192 pairs of 25 bit magnitudes and a bias below 2**62 fits 64 bits. Throughput: one row group a
    cycle on either side.

    Parameters
    ----------
    core : lanes, contexts and widths.

    Attributes
    ----------
    latency : cycles from a square to its ``total``.
    maximum_latency : cycles from a value to its ``maxima``.
    begin, bias : In, every total becomes ``bias`` and every maximum 0; squares and values under way count for
        what begins.
    square_valid, square_context : In, mask of lanes that add round(product >> shift)^2 to the context's total; the
        shift is ``square_shift``, or ``epsilon_shift`` with ``second``.
    products : In, for each lane, signed wide + 18.
    value_valid, value_context, which : In, mask of lanes that are compared with the context's maximum ``which``.
    values : In, code floats.
    total, maxima : Out, of each context.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        fmt, lanes = core.formats, core.vector_rows
        tree = -(-(lanes - 1).bit_length() // _LEVELS)
        self.latency = 4 + tree
        self.maximum_latency = 1 + tree
        super().__init__(
            {
                "begin": In(1),
                "bias": In(unsigned(TOTAL_BITS)),
                "square_valid": In(lanes),
                "square_context": In(context_bits(core)),
                "second": In(1),
                "products": In(data.ArrayLayout(signed(fmt.wide_bits + 18), lanes)),
                "value_valid": In(lanes),
                "value_context": In(context_bits(core)),
                "which": In(2),
                "values": In(data.ArrayLayout(code_float(fmt), lanes)),
                "total": Out(data.ArrayLayout(unsigned(TOTAL_BITS), core.batch)),
                "maxima": Out(data.ArrayLayout(data.ArrayLayout(maximum(fmt), TENSORS), core.batch)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._totals(m)
        self._maxima(m)
        return m

    def _totals(self, m: Module) -> None:
        fmt = self._core.formats
        squares = []
        for lane, product in enumerate(self.products):
            operand = Signal(signed(26), name=f"operand_{lane}")
            square = Signal(unsigned(SQUARE_BITS), name=f"square_{lane}")
            shifted = [(product + (1 << (shift - 1))) >> shift for shift in (fmt.square_shift, fmt.epsilon_shift)]
            # a lane without a square adds zero, so nothing behind it needs to know
            m.d.sync += operand.eq(Mux(self.square_valid[lane], Mux(self.second, *reversed(shifted)), 0))
            m.d.sync += square.eq((operand * operand)[:SQUARE_BITS])
            squares.append(delay(m, square, 1, f"square_{lane}"))
        total = _reduce(m, squares, lambda a, b: a + b, "sum")
        context = delay(m, self.square_context, self.latency - 1, "square_context")
        for index in range(self._core.batch):
            with m.If(self.begin):
                m.d.sync += self.total[index].eq(self.bias)
            with m.Elif(_chosen(context, index, self._core)):
                m.d.sync += self.total[index].eq(self.total[index] + total)

    def _maxima(self, m: Module) -> None:
        magnitudes = []
        for lane, value in enumerate(self.values):
            magnitude = Signal(len(value.mantissa) + len(value.exponent), name=f"magnitude_{lane}")
            m.d.comb += magnitude.eq(Mux(self.value_valid[lane], Cat(value.mantissa, value.exponent), 0))
            magnitudes.append(magnitude)
        largest = _reduce(m, magnitudes, lambda a, b: Mux(a > b, a, b), "largest")
        context = delay(m, self.value_context, self.maximum_latency - 1, "value_context")
        which = delay(m, self.which, self.maximum_latency - 1, "which")
        for index in range(self._core.batch):
            for matrix in range(TENSORS):
                stored = self.maxima[index][matrix].as_value()
                with m.If(self.begin):
                    m.d.sync += stored.eq(0)
                with m.Elif(_chosen(context, index, self._core) & (which == matrix) & (largest > stored)):
                    m.d.sync += stored.eq(largest)


def _chosen(context: Value, index: int, core: CoreParams) -> Value | int:
    """Whether ``context`` is ``index``; the only context always is."""
    return context == index if core.batch > 1 else 1


def _reduce(m: Module, values: list[Value], combine: Callable[[Value, Value], Value], name: str) -> Value:
    """Combine a power of two of values in pairs, with a register behind every ``_LEVELS`` levels and the last."""
    level = 0
    while len(values) > 1:
        level += 1
        domain = m.d.sync if level % _LEVELS == 0 or len(values) == 2 else m.d.comb
        combined = []
        for pair, (a, b) in enumerate(zip(values[::2], values[1::2], strict=True)):
            result = combine(a, b)
            combined.append(Signal(result.shape(), name=f"{name}_{level}_{pair}"))
            domain += combined[-1].eq(result)
        values = combined
    return values[0]
