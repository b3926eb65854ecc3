# SPDX-License-Identifier: Apache-2.0
"""Integer quotients and square roots of normalised numbers: chords from a table, then one exact correction.

A table says the result or one more than it; which, follows from its product with the operand or with itself. Nothing
iterates: one result a cycle. That the tables do so for every operand is checked when they are made.
"""

from functools import cache

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.pipeline import delay, register
from tritforge.hw.lib.width import cut, minus_one

INDEX_BITS = 9
OFFSET_BITS = 12
"""Most bits of an offset within a segment; more are dropped."""
_SLOPE_BITS = 15
_GUARD = 3
"""Fraction bits of a table's base."""

Table = tuple[tuple[int, int], ...]


def _fit(function: np.ndarray, low: np.ndarray, high: np.ndarray, fraction: int) -> Table:
    """(base, slope) of each segment of a monotone function so that what `Chords` makes of them is low to high.

    All [segments, offsets].
    """
    offsets = np.arange(function.shape[1])
    change = (function[:, -1] - function[:, 0]) / max(1, len(offsets) - 1)
    slope = np.rint(np.abs(change) * 2.0**fraction).astype(np.int64)
    sign = 1 if change.sum() > 0 else -1
    moved = sign * (slope[:, None] * offsets >> fraction - _GUARD)
    least = ((low << _GUARD) - moved).max(1)
    most = ((high + 1 << _GUARD) - 1 - moved).min(1)
    assert (least <= most).all() and (slope < 1 << _SLOPE_BITS).all(), "The chords are too coarse."
    return tuple(zip(((least + most) >> 1).tolist(), slope.tolist(), strict=True))


class Chords(wiring.Component):
    """base[index] +- slope[index] * offset, without its fraction.

    Parameters
    ----------
    table : (base, slope) of each segment; the slope has ``fraction`` bits more than the result, the base `_GUARD`.
    offset_bits, result_bits, fraction : widths.
    falling : the second term is subtracted.

    Attributes
    ----------
    latency : cycles to ``value``.
    index, offset : In. value : Out.
    """

    latency = 7

    def __init__(self, table: Table, offset_bits: int, result_bits: int, fraction: int, *, falling: bool) -> None:
        self._table, self._fraction, self._falling = table, fraction, falling
        super().__init__(
            {"index": In(INDEX_BITS), "offset": In(offset_bits), "value": Out(result_bits)},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chord = data.StructLayout({"base": len(self.value) + _GUARD, "slope": _SLOPE_BITS})
        init = [{"base": base, "slope": slope} for base, slope in self._table]
        m.submodules.table = table = Memory(shape=chord, depth=1 << INDEX_BITS, init=init)
        m.submodules.product = product = Multiplier(unsigned(_SLOPE_BITS), unsigned(len(self.offset)))
        read = table.read_port()
        chord_d1 = Signal(chord, name="chord_d1", reset_less=True)
        m.d.sync += chord_d1.eq(read.data)
        # table, multiplier and sum may be far from each other
        chord_d2 = register(m, chord_d1, "chord_d2")
        moved = delay(m, product.product, 1, "moved", reset_less=True) >> self._fraction - _GUARD
        base = delay(m, chord_d2.base, product.latency + 1, "base", reset_less=True)
        value = Signal(len(self.value), reset_less=True)
        total = base - moved if self._falling else base + moved
        # a chord lies within the range of the values that it stands for
        m.d.sync += value.eq(cut(total[_GUARD:], value))
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(self.index),
            product.a.eq(chord_d2.slope),
            product.b.eq(delay(m, self.offset, 3, "offset", reset_less=True)),
            self.value.eq(value),
        ]
        return m


@cache
def _quotients(bits: int, numerator: int, rounded: bool) -> Table:
    denominators = np.arange(1 << bits - 1, 1 << bits, dtype=np.int64).reshape(1 << INDEX_BITS, -1)
    half = denominators if rounded else 0
    exact = (numerator * (1 + rounded) + half) // (denominators * (1 + rounded))
    return _fit(numerator / denominators, exact, exact + 1, _SLOPE_BITS - 2)


class Quotient(wiring.Component):
    """numerator // denominator, or rounded half up, for a constant numerator. Free running, one a cycle.

    Parameters
    ----------
    bits : of the denominator, which is taken as normalised: its highest bit as set.
    numerator : below 2**(2 * bits - 1).
    rounded : to the nearest.

    Attributes
    ----------
    latency : cycles to ``quotient``, which comes from a multiplexer.
    denominator : In. quotient : Out.
    """

    latency = Chords.latency + 4

    def __init__(self, bits: int, numerator: int, *, rounded: bool) -> None:
        self._numerator, self._rounded = numerator, rounded
        self._offset_bits = bits - 1 - INDEX_BITS
        table = _quotients(bits, numerator, rounded)
        self._chords = Chords(table, self._offset_bits, bits + 1, _SLOPE_BITS - 2, falling=True)
        super().__init__({"denominator": In(bits), "quotient": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, chords = len(self.denominator), self._chords
        m.submodules.chords = chords
        m.submodules.check = check = Multiplier(unsigned(bits + 1), unsigned(bits))
        normalised = Cat(self.denominator[:-1], Const(1, 1))
        before = delay(m, normalised, chords.latency, "denominator", reset_less=True)
        m.d.comb += [
            chords.offset.eq(self.denominator[: self._offset_bits]),
            chords.index.eq(self.denominator[self._offset_bits : -1]),
            check.a.eq(chords.value),
            check.b.eq(before),
        ]
        # numerator (+ a half) - value * denominator is small: its low bits tell its sign
        low, checked = bits + 2, check.latency + 1
        expected, product = (Signal(low, name=name, reset_less=True) for name in ("expected", "product"))
        numerator = Const(self._numerator % (1 << low - self._rounded) << self._rounded, low)
        half = delay(m, before, checked - 1, "denominator_on", reset_less=True) if self._rounded else 0
        m.d.sync += [
            expected.eq(cut(numerator + half, expected)),
            product.eq(cut(check.product << self._rounded, product)),
        ]
        value = delay(m, chords.value[:bits], checked, "value", reset_less=True)
        kept, lowered = (Signal(bits, name=name, reset_less=True) for name in ("kept", "lowered"))
        too_large = Signal(reset_less=True)
        m.d.sync += [kept.eq(value), lowered.eq(minus_one(value)), too_large.eq((expected - product)[low - 1])]
        m.d.comb += self.quotient.eq(Mux(too_large, lowered, kept))
        return m


@cache
def _roots(bits: int) -> Table:
    dropped = max(0, 2 * bits - INDEX_BITS - OFFSET_BITS)
    offset_bits = 2 * bits - INDEX_BITS - dropped
    squares = np.arange(1 << INDEX_BITS + offset_bits, dtype=np.int64).reshape(1 << INDEX_BITS, -1) << dropped
    first, last = (np.sqrt(s.astype(np.float64)) for s in (squares, squares + (1 << dropped) - 1))
    low, high = first.astype(np.int64), last.astype(np.int64)
    # below the normalised numbers, the smallest root
    normalised = 1 << INDEX_BITS - 2
    smallest = 1 << bits - 1
    first[:normalised], low[:normalised], high[:normalised] = smallest, smallest, smallest + 1
    return _fit(first, high, low + 1, OFFSET_BITS + _SLOPE_BITS - 9)


class SquareRoot(wiring.Component):
    """The integer square root of a number of ``2 * bits`` bits with one of the highest two set. One a cycle.

    A number below them is taken as the smallest one.

    Attributes
    ----------
    latency : cycles to ``root``, which comes from a multiplexer.
    square : In. root : Out, normalised.
    """

    latency = Chords.latency + 4

    def __init__(self, bits: int) -> None:
        self._offset_bits = min(OFFSET_BITS, 2 * bits - INDEX_BITS)
        fraction = OFFSET_BITS + _SLOPE_BITS - 9
        self._chords = Chords(_roots(bits), self._offset_bits, bits + 1, fraction, falling=False)
        super().__init__({"square": In(2 * bits), "root": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, chords = len(self.root), self._chords
        m.submodules.chords = chords
        m.submodules.check = check = Multiplier(unsigned(bits + 1), unsigned(bits + 1))
        index = len(self.square) - INDEX_BITS
        m.d.comb += [
            chords.index.eq(self.square[index:]),
            chords.offset.eq(self.square[index - self._offset_bits : index]),
            check.a.eq(chords.value),
            check.b.eq(chords.value),
        ]
        # the square - value * value is small: its low bits tell its sign
        low, checked = bits + 3, check.latency + 1
        square = delay(m, self.square[:low], chords.latency + checked, "square", reset_less=True)
        product = delay(m, check.product[:low], 1, "product", reset_less=True)
        value = delay(m, chords.value[:bits], checked, "value", reset_less=True)
        kept, lowered = (Signal(bits, name=name, reset_less=True) for name in ("kept", "lowered"))
        too_large = Signal(reset_less=True)
        m.d.sync += [
            kept.eq(value),
            lowered.eq(minus_one(value)),
            too_large.eq((square - product)[low - 1]),
        ]
        m.d.comb += self.root.eq(Mux(too_large, lowered, kept))
        return m
