# SPDX-License-Identifier: Apache-2.0
"""How much finer the steps of a vector's codes are than those of eight bits."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.activations import THRESHOLD_BITS, THRESHOLD_FRAC
from tritforge.golden.model.tables import LOG_FRAC, LOGARITHMS
from tritforge.hw.lib.floats import EXPONENT_BITS, maximum
from tritforge.hw.lib.pipeline import delay, register
from tritforge.hw.lib.width import cut
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.chords import Quotient
from tritforge.hw.scales.root import LEFT, TOTAL_BITS, left

LENGTH_BITS = 16


class Widening(wiring.Component):
    """``golden.model.outlier_codes.widening`` of a core with ``extra_bits``. Free running, one result a cycle.

    Parameters
    ----------
    params : formats and bits of a code.

    Attributes
    ----------
    latency : cycles from ``power`` and ``largest`` to ``level``: those of the quotient beside it.
    power : In, sum of squares. largest : In, exponent 0 if the vector is zero.
    length, threshold : In, elements of the vectors, and sixteenths of a root mean square; constant from the first
        ``power`` to the last ``level``.
    level : Out, exponent of ``largest`` plus ``extra_bits`` less s: never negative.
    """

    latency = Quotient.latency

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        super().__init__(
            {
                "power": In(TOTAL_BITS),
                "largest": In(maximum(params.formats)),
                "length": In(LENGTH_BITS),
                "threshold": In(THRESHOLD_BITS),
                "level": Out(EXPONENT_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt, extra = self._params.formats, self._params.extra_bits
        # 2 * (log largest - log threshold) + log length - log power, and what rounds its half up
        fixed = ((fmt.product_drop - 1 - fmt.power_shift + THRESHOLD_FRAC) << LOG_FRAC + 1) + (2 << LOG_FRAC) - 1
        length = _logarithm(m, self.length, "length")
        threshold = _logarithm(m, Cat(self.threshold, Const(0, LENGTH_BITS - THRESHOLD_BITS)), "threshold")
        offset = register(m, length - (threshold << 1) + fixed, "offset")
        largest = register(m, self.largest.as_value(), "largest")
        largest = register(m, Cat(_table(largest[: fmt.mantissa]), largest[fmt.mantissa :]), "log_largest")
        largest = register(m, (delay(m, largest, LEFT + 1, "largest", reset_less=True) << 1) + offset, "sum")
        power = _logarithm(m, register(m, self.power, "power"), "power")
        square = register(m, largest - power, "square")
        square = delay(m, square, self.latency - LEFT - 6, "square", reset_less=True) >> LOG_FRAC + 1

        off = register(m, self.threshold == 0, "off")
        exponent = delay(m, self.largest.exponent, self.latency - 1, "exponent", reset_less=True)
        rest = Signal(range(extra + 1))
        m.d.comb += rest.eq(cut(Mux(off | square[-1], extra, Mux(square >= extra, 0, extra - square)), rest))
        m.d.comb += self.level.eq(register(m, (exponent + rest)[:EXPONENT_BITS], "level"))
        return m


def _logarithm(m: Module, value: Value, name: str) -> Value:
    """``golden.model.outlier_codes.logarithm`` of 16 bits three cycles later, of 64 `LEFT` more; of 0 as of 1."""
    skipped: list[Value] = []
    if len(value) > 16:
        value, coarse = left(m, value, 16, name)
        value, skipped = value[-16 - LOG_FRAC :], [delay(m, coarse, 2, f"{name}_coarse", reset_less=True)]
    value, fours = _shift(value, 4)
    value = register(m, value[-min(len(value), 4 + LOG_FRAC) :], f"{name}_fours")
    fours = delay(m, fours, 2, f"{name}_four", reset_less=True)
    value, ones = _shift(value, 1)
    value, ones = register(m, value[-1 - LOG_FRAC :], f"{name}_ones"), register(m, ones, f"{name}_one")
    return register(m, Cat(_table(value), ~Cat(ones, fours, *skipped)), f"log_{name}")


def _shift(value: Value, step: int) -> tuple[Value, Value]:
    """Shifted left by the most multiples of ``step``, up to three, that lose no set bit; and the multiple."""
    one, two, three = (~value[-step * count :].any() for count in (1, 2, 3))
    multiple = Mux(three, 3, Mux(two, 2, one))[:2]
    return (value << Cat(Const(0, step.bit_length() - 1), multiple))[: len(value)], multiple


def _table(normalised: Value) -> Value:
    """Fraction of the logarithm of a number whose highest bit counts as set."""
    return Array(Const(entry, LOG_FRAC) for entry in LOGARITHMS)[normalised[-1 - LOG_FRAC : -1]]
