# SPDX-License-Identifier: Apache-2.0
"""The host's way into the memory: words of the bus in place of whole beats."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.bridge.word_bus import WORD_ADDRESS_BITS, WordBus
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.memory.port import MemoryPort


class MemoryWindow(wiring.Component):
    """Gathers written words to a beat, and takes a read word from its beat.

    A write puts the word at its place; that of a beat's last word writes the beat, so a beat is written by all its
    words in order. Every read of a word reads the whole beat. Neither is quick: what comes through a serial port is
    thousands of times slower than the memory.

    Addresses beyond the memory are errors.

    Parameters
    ----------
    address_bits : of the memory's address, which counts beats.
    bits : of a beat, 32 times a power of two.

    Attributes
    ----------
    bus : In. port : Out.
    """

    def __init__(self, address_bits: int, bits: int) -> None:
        words = bits // 32
        if words < 1 or bits % 32 or words & (words - 1):
            raise TritforgeError(f"A beat has 32 bits times a power of two, not {bits}.")
        if address_bits + words.bit_length() - 1 > WORD_ADDRESS_BITS - 1:
            raise TritforgeError(f"A memory of 2**{address_bits} beats is more than the bus can address.")
        self._words = words
        super().__init__({"bus": In(WordBus()), "port": Out(MemoryPort(address_bits, bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, port, words = self.bus, self.port, self._words
        part_bits = words.bit_length() - 1
        address_bits = len(port.request.payload.address)
        part = Signal(part_bits)
        outside = Signal()
        last = Signal()
        beat = Signal(data.ArrayLayout(32, words), reset_less=True)
        m.d.sync += [
            part.eq(bus.address[:part_bits]),
            outside.eq(bus.address[part_bits + address_bits : WORD_ADDRESS_BITS - 1].any()),
            last.eq(bus.address[:part_bits].all()),
        ]
        states = OneHot(m, ("IDLE", "LOOK", "ASK", "ANSWER", "DONE"))
        at, go = states.at, states.go
        go("IDLE", "LOOK", bus.valid)
        go("LOOK", "ASK", ~outside & (~bus.write | last))
        go("LOOK", "DONE", outside | bus.write & ~last)
        go("ASK", "ANSWER", port.request.ready & ~bus.write)
        go("ASK", "DONE", port.request.ready & bus.write)
        go("ANSWER", "DONE", port.answer_valid)
        go("DONE", "IDLE")
        states.build()
        for index in range(words):
            with m.If(at["LOOK"] & bus.write & (bus.address[:part_bits] == index)):
                m.d.sync += beat[index].eq(bus.data)
        parts = data.View(data.ArrayLayout(32, words), port.answer)
        with m.If(at["ANSWER"]):
            m.d.sync += bus.answer.eq(parts[part] if words > 1 else parts[0])
        m.d.sync += bus.error.eq(outside)
        m.d.comb += [
            port.request.valid.eq(at["ASK"]),
            port.request.payload.address.eq(bus.address[part_bits : part_bits + address_bits]),
            port.request.payload.write.eq(bus.write),
            port.request.payload.data.eq(beat.as_value()),
            bus.done.eq(at["DONE"]),
        ]
        return m
