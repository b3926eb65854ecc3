# SPDX-License-Identifier: Apache-2.0
"""From bytes to frames that are whole."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.bridge.crc32 import Crc32
from tritforge.hw.bridge.frames import MOST_WORDS, START_TO_BOARD, Operation
from tritforge.hw.bridge.uart import ByteArrival
from tritforge.hw.bridge.word_bus import WORD_ADDRESS_BITS
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.ram import Ram
from tritforge.hw.lib.width import minus_one, plus_one

LEAST_GAP = 16
"""Cycles; a byte takes some."""
HEAD = data.StructLayout({"operation": 2, "sequence": 8, "count": 8, "address": WORD_ADDRESS_BITS})
"""The beginning of a frame. count : words - 1. address : of a word."""


class FrameReceiver(wiring.Component):
    """Finds frames among bytes, checks them and keeps the words of a write (`hw.bridge.frames` says how they look).

    The bits of a byte go one by one through the CRC into a word: most registers only shift. Words wait in one half of
    a block RAM, the last one at address 0, while those of the frame before are read from the other half. A frame
    that begins while one waits to be taken is lost.

    Parameters
    ----------
    gap : cycles of silence, a power of two.

    Attributes
    ----------
    read_latency : cycles from ``address`` to ``word``.
    bytes : In, at least 11 cycles apart.
    frame : Out, a stream of `HEAD`; whole and right. Taking it turns the halves.
    address : In, of a word of the frame taken last, counted from its end. word : Out.
    """

    read_latency = Ram.latency

    def __init__(self, gap: int) -> None:
        if gap < LEAST_GAP or gap & gap - 1:
            raise TritforgeError(f"The gap that ends a frame is a power of two from {LEAST_GAP} on, not {gap}.")
        self._gap = gap
        super().__init__(
            {
                "bytes": In(ByteArrival()),
                "frame": Out(stream.Signature(HEAD)),
                "address": In(range(MOST_WORDS)),
                "word": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # a bit a cycle: into the byte, the CRC and the word; then a step
        byte = Signal(8)
        phase = Signal(9)
        step, shift = flags("step", "shift")
        word = Signal(32)
        m.d.comb += step.eq(phase[-1])
        m.d.sync += [phase.eq(Cat(self.bytes.valid, phase[:-1])), byte.eq(byte[1:])]
        with m.If(self.bytes.valid):
            m.d.sync += [byte.eq(self.bytes.byte), shift.eq(1)]
        with m.Elif(phase[-2]):
            m.d.sync += shift.eq(0)
        with m.If(shift):
            m.d.sync += word.eq(Cat(word[1:], byte[0]))

        states = OneHot(m, ("LOST", "START", "BEGINNING", "ADDRESS", "WORDS", "CRC", "WHOLE"))
        at = states.at
        # the byte of a word, one-hot; the start is the first of the first one
        place = Signal(4)
        with m.If(step):
            m.d.sync += place.eq(Mux(at["START"], 2, Cat(place[-1], place[:-1])))
        full = Signal()
        m.d.sync += full.eq(phase[-2] & place[-1])

        m.submodules.check = crc = Crc32()
        wrong = Signal()
        m.d.comb += [
            crc.clear.eq(at["START"]),
            crc.shift.eq(shift),
            crc.bit.eq(byte[0]),
            crc.drain.eq(at["CRC"]),
        ]
        with m.If(at["START"]):
            m.d.sync += wrong.eq(0)
        with m.Elif(shift & at["CRC"] & (byte[0] != crc.byte[0])):
            m.d.sync += wrong.eq(1)

        # of the last byte, a cycle before the step
        is_start, known, straight, last = flags("is_start", "known", "straight", "last")
        left = Signal(range(MOST_WORDS))
        received = Cat(word[1:], byte[0])
        m.d.sync += [
            is_start.eq(received[24:] == START_TO_BOARD),
            known.eq(received[8:10].any() & ~received[10:16].any()),
            straight.eq(~received[:2].any()),
            last.eq(left == 0),
        ]
        head = self.frame.payload
        writes = head.operation == Operation.WRITE
        with m.If(full & at["BEGINNING"]):
            m.d.sync += [
                head.operation.eq(word[8:10]),
                head.sequence.eq(word[16:24]),
                head.count.eq(word[24:]),
                left.eq(word[24:]),
            ]
        with m.Elif(full & at["WORDS"]):
            m.d.sync += left.eq(minus_one(left))
        with m.If(full & at["ADDRESS"]):
            m.d.sync += head.address.eq(word[2:])

        m.submodules.payload = payload = Ram(32, 1, 2 * MOST_WORDS)
        half = Signal()
        m.d.comb += [
            payload.write.eq(full & at["WORDS"]),
            payload.write_address.eq(Cat(left, half)),
            payload.write_data[0].eq(word),
            payload.read_address.eq(Cat(self.address, ~half)),
            self.word.eq(payload.read_data[0]),
        ]

        taken = self.frame.valid & self.frame.ready
        spoilt = Signal()
        with m.If(~at["WHOLE"]):
            m.d.sync += spoilt.eq(0)
        with m.Elif(self.bytes.valid):
            m.d.sync += spoilt.eq(1)
        with m.If(taken):
            m.d.sync += half.eq(~half)
        # counts silence; another gap is over after every so many cycles more
        silence = Signal(range(self._gap))
        over = Signal()
        m.d.sync += [silence.eq(plus_one(silence)), over.eq(silence.all() & ~at["WHOLE"])]
        with m.If(self.bytes.valid):
            m.d.sync += silence.eq(0)

        states.go("START", "BEGINNING", step & is_start)
        states.go("START", "LOST", step & ~is_start)
        states.go("BEGINNING", "ADDRESS", full & known)
        states.go("BEGINNING", "LOST", full & ~known)
        states.go("ADDRESS", "WORDS", full & straight & writes)
        states.go("ADDRESS", "CRC", full & straight & ~writes)
        states.go("ADDRESS", "LOST", full & ~straight)
        states.go("WORDS", "CRC", full & last)
        states.go("CRC", "WHOLE", full & ~wrong)
        states.go("CRC", "LOST", full & wrong)
        lost = spoilt | self.bytes.valid
        states.go("WHOLE", "START", taken & ~lost)
        states.go("WHOLE", "LOST", taken & lost)
        states.interrupt("START", over)
        states.build()
        m.d.comb += self.frame.valid.eq(at["WHOLE"])
        return m
