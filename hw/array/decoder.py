# SPDX-License-Identifier: Apache-2.0
"""Decoder of a trit code."""

from amaranth import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from tritforge.hw.params import BYTE
from tritforge.hw.trits import Code

TRIT = StructLayout({"plus": 1, "minus": 1})
"""A trit as a conditional adder takes it: plus - minus, so zero is 00 or 11."""


class TritDecoder(wiring.Component):
    """One byte to its trits.

    Combinational logic. A byte outside the code gives some trits.

    Parameters
    ----------
    code : what the byte is in.

    Attributes
    ----------
    byte : In, the byte.
    trits : Out, a `TRIT` each.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        super().__init__({"byte": In(BYTE), "trits": Out(ArrayLayout(TRIT, code.trits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()

        def wire(bit: Value) -> Value:
            named = Signal()
            m.d.comb += named.eq(bit)
            return named

        for trit, (plus, minus) in zip(self.trits, self._code.circuit(self.byte, wire), strict=True):
            m.d.comb += [trit.plus.eq(plus), trit.minus.eq(minus)]
        return m
