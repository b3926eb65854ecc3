# SPDX-License-Identifier: Apache-2.0
"""sigmoid and silu of a wide value from one table of chords."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import SIGMA_FRAC, SIGMA_RANGE, SIGMA_SEGMENTS, SLOPE_EXTRA, Formats, sigma_table

_CHORD = data.StructLayout({"base": SIGMA_FRAC, "slope": SIGMA_FRAC})


class Activation(wiring.Component):
    """sigmoid(-x) or silu(x), chosen per element: ``numerics.sigmoid_negative`` and ``numerics.silu``.

    Free running, one result a cycle, ``latency`` 7 cycles. A block RAM of 512 x 36 and two multipliers:
    18 x (frac - 5) and 18 x (frac + 4) bits, unsigned, registered on both sides.

    Parameters
    ----------
    fmt : widths of the vector path.

    Attributes
    ----------
    x : In, signed wide, ``frac`` fraction bits.
    silu : In, 0: y = sigmoid(-x) with 18 fraction bits, 0 to 2**18; 1: y = silu(x), ``frac`` fraction bits.
    y : Out, signed wide.
    """

    latency = 7

    def __init__(self, fmt: Formats) -> None:
        self.fmt = fmt
        super().__init__({"x": In(signed(fmt.wide_bits)), "silu": In(1), "y": Out(signed(fmt.wide_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = memory.Memory(
            shape=_CHORD, depth=SIGMA_SEGMENTS, init=[{"base": b, "slope": s} for b, s in sigma_table()]
        )
        read = table.read_port()
        step = self.fmt.frac - (SIGMA_SEGMENTS // SIGMA_RANGE).bit_length() + 1
        top = step + len(read.addr)

        # Stage k holds the element k cycles after its input.
        element = data.StructLayout({"magnitude": len(self.x), "negative": 1, "silu": 1})
        stages = {k: Signal(element, name=f"stage_{k}") for k in range(1, self.latency)}
        m.d.sync += [
            stages[1].magnitude.eq(abs(self.x)),
            stages[1].negative.eq(self.x < 0),
            stages[1].silu.eq(self.silu),
        ]
        m.d.sync += [stages[later].eq(stages[earlier]) for earlier, later in pairwise(stages)]
        m.d.comb += read.addr.eq(stages[1].magnitude[step:top])

        chord, chord_base = Signal(_CHORD), Signal(SIGMA_FRAC)
        drop = Signal(SIGMA_FRAC + step)
        sigma, sigma_out = Signal(SIGMA_FRAC), Signal(SIGMA_FRAC)
        product = Signal(SIGMA_FRAC + top)
        m.d.sync += [
            chord.eq(read.data),
            drop.eq(chord.slope * stages[3].magnitude[:step]),
            chord_base.eq(chord.base),
            sigma.eq(Mux(stages[4].magnitude[top:].any(), 0, _minus_rounded(chord_base, drop, step + SLOPE_EXTRA))),
            product.eq(sigma * stages[5].magnitude[:top]),
            sigma_out.eq(sigma),
        ]
        last = stages[6]
        positive = Mux(last.negative, 0, last.magnitude)
        silu = _minus_rounded(positive, product, SIGMA_FRAC)
        sigmoid = Mux(last.negative, (1 << SIGMA_FRAC) - sigma_out, sigma_out)
        m.d.sync += self.y.eq(Mux(last.silu, silu[: len(self.y)].as_signed(), sigmoid))
        return m


def _minus_rounded(base: Signal, value: Signal, shift: int) -> Signal:
    """base - (value >> shift, rounded half up) in one subtraction: constants below base do the rounding."""
    return (Cat(Const((1 << (shift - 1)) - 1, shift), base) - value)[shift : shift + len(base)]
