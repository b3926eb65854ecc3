# SPDX-License-Identifier: Apache-2.0
"""sigmoid and silu of a wide value from one table of chords."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.formats import SIGMA_FRAC, SIGMA_RANGE, SIGMA_SEGMENTS, SLOPE_EXTRA, Formats
from tritforge.golden.model.tables import sigma_table
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut

_CHORD_READ = 5
"""Cycles until an element's chord is there: one's complement, magnitude, table, the table's register, a plain one."""
_CHORD = data.StructLayout({"base": SIGMA_FRAC, "slope": SIGMA_FRAC})


class Activation(wiring.Component):
    """sigmoid(-x) or silu(x), chosen per element: ``numerics.sigmoid_negative`` and ``numerics.silu``.

    Free running, one result a cycle. A block RAM of 512 x 36 and two multipliers: 18 x (frac - 5) and
    18 x (frac + 4) bits, unsigned.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    latency : cycles from x to y; 15 with the default formats.
    x : In, signed wide, ``frac`` fraction bits.
    silu : In, 0: y = sigmoid(-x) with 18 fraction bits, 0 to 2**18; 1: y = silu(x), ``frac`` fraction bits.
    y : Out, signed wide.
    """

    def __init__(self, fmt: Formats) -> None:
        self.fmt = fmt
        step = fmt.frac - (SIGMA_SEGMENTS // SIGMA_RANGE).bit_length() + 1
        self._step, self._top = step, step + (SIGMA_SEGMENTS - 1).bit_length()
        self._slope = Multiplier(unsigned(SIGMA_FRAC), unsigned(step))
        self._scale = Multiplier(unsigned(SIGMA_FRAC), unsigned(self._top))
        self.latency = _CHORD_READ + self._slope.latency + 2 + self._scale.latency + 2
        super().__init__({"x": In(signed(fmt.wide_bits)), "silu": In(1), "y": Out(signed(fmt.wide_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = memory.Memory(
            shape=_CHORD, depth=SIGMA_SEGMENTS, init=[{"base": b, "slope": s} for b, s in sigma_table()]
        )
        m.submodules.slope, m.submodules.scale = slope, scale = self._slope, self._scale
        read = table.read_port()
        step, top, wide = self._step, self._top, self.fmt.wide_bits
        dropped = _CHORD_READ + slope.latency + 1
        last = dropped + 1 + scale.latency

        # Stage k holds the element k cycles after its input; stage 1 its one's complement if it is negative.
        element = data.StructLayout({"magnitude": wide, "negative": 1, "silu": 1})
        stages = {k: Signal(element, name=f"stage_{k}", reset_less=True) for k in range(1, last + 2)}
        m.d.sync += [stages[later].eq(stages[earlier]) for earlier, later in pairwise(stages)]
        m.d.sync += [
            stages[1].magnitude.eq(self.x.as_unsigned() ^ self.x[-1].replicate(wide)),
            stages[1].negative.eq(self.x[-1]),
            stages[1].silu.eq(self.silu),
            # the one's complement is less than half of the range
            stages[2].magnitude.eq(cut(stages[1].magnitude + stages[1].negative, stages[2].magnitude)),
        ]
        held = Signal(_CHORD, name="held", reset_less=True)
        m.d.sync += held.eq(read.data)
        # table, multiplier and adder may be far from each other
        chord = delay(m, held, 1, "chord", reset_less=True)
        moved = delay(m, slope.product, 1, "moved", reset_less=True)
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(stages[2].magnitude[step:top]),
            slope.a.eq(chord.slope),
            slope.b.eq(stages[_CHORD_READ].magnitude[:step]),
        ]

        base = delay(m, chord.base, slope.latency + 1, "base", reset_less=True)
        outside = Signal(reset_less=True)
        sigma = Signal(SIGMA_FRAC, reset_less=True)
        m.d.sync += [
            outside.eq(stages[dropped - 1].magnitude[top:].any()),
            sigma.eq(Mux(outside, 0, _minus_rounded(base, moved, step + SLOPE_EXTRA))),
        ]
        m.d.comb += [scale.a.eq(sigma), scale.b.eq(stages[dropped + 1].magnitude[:top])]

        sigmoid = Signal(SIGMA_FRAC + 1, reset_less=True)
        positive = Signal(wide, reset_less=True)
        before = stages[last - 1]
        m.d.sync += [
            # sigma is at most a half
            sigmoid.eq(cut(Mux(stages[dropped + 1].negative, (1 << SIGMA_FRAC) - sigma, sigma), sigmoid)),
            positive.eq(Mux(before.negative, 0, before.magnitude)),
        ]
        sigmoid = delay(m, sigmoid, scale.latency, "sigmoid", reset_less=True)
        silu = Signal.like(self.y, name="silu_held", reset_less=True)
        y = Signal.like(self.y, reset_less=True)
        m.d.sync += [
            silu.eq(_minus_rounded(positive, scale.product, SIGMA_FRAC).as_signed()),
            y.eq(Mux(stages[last + 1].silu, silu, sigmoid)),
        ]
        m.d.comb += self.y.eq(y)
        return m


def _minus_rounded(base: Value, value: Value, shift: int) -> Value:
    """base - (value >> shift, rounded half up) in one subtraction: the last dropped bit is a borrow."""
    return (Cat(Const(0, 1), base) - value[shift - 1 :])[1 : 1 + len(base)]
