# SPDX-License-Identifier: Apache-2.0
"""CRC-32 (IEEE), a bit a cycle."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.bridge.frames import CRC_POLYNOMIAL


class Crc32(wiring.Component):
    """The CRC of the bits since ``clear``, lowest bit of each byte first; then it is taken out in the same order.

    Throughput: a bit a cycle.

    Attributes
    ----------
    clear : In, begin anew, whatever else.
    shift : In, take ``bit`` in or, with ``drain``, the lowest bit out.
    bit, drain : In.
    byte : Out, a register, inverted: the CRC's next eight bits; its lowest one is what comes out next.
    """

    def __init__(self) -> None:
        super().__init__({"clear": In(1), "shift": In(1), "bit": In(1), "drain": In(1), "byte": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        crc = Signal(32, init=0xFFFFFFFF)
        feedback = Signal()
        m.d.comb += [feedback.eq((crc[0] ^ self.bit) & ~self.drain), self.byte.eq(~crc[:8])]
        with m.If(self.shift):
            m.d.sync += crc.eq(crc[1:] ^ (Const(CRC_POLYNOMIAL, 32) & feedback.replicate(32)))
        with m.If(self.clear):
            m.d.sync += crc.eq(crc.init)
        return m
