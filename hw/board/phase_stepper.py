# SPDX-License-Identifier: Apache-2.0
"""Shifts the memory's clock step by step."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.width import minus_one, plus_one

PULSE = 16
"""Cycles of half a pulse: more than four of the oscillator's, as the PLL wants."""


class PhaseStepper(wiring.Component):
    """Steps a PLL's output until as many steps were made as are wanted, modulo 256; always forward.

    Attributes
    ----------
    wanted : In, steps. step : Out, a pulse a step, low behind it for as long.
    """

    def __init__(self) -> None:
        super().__init__({"wanted": In(8), "step": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        made = Signal(8)
        wait = Signal(range(2 * PULSE))
        behind = Signal()
        m.d.sync += [behind.eq(made != self.wanted), self.step.eq(wait >= PULSE)]
        with m.If(wait != 0):
            m.d.sync += wait.eq(minus_one(wait))
        with m.Elif(behind):
            m.d.sync += [wait.eq(2 * PULSE - 1), made.eq(plus_one(made)), behind.eq(0)]
        return m
