# SPDX-License-Identifier: Apache-2.0
"""A serial line of 8 data bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import minus_one

LEAST_CYCLES = 4
"""Of a bit."""
TOLERANCE = 0.02
"""Of the rate: both ends together may be off by half a bit in ten, and a sample by a cycle."""


def cycles_a_bit(clock_hz: int, baud: int) -> int:
    """The divider that comes nearest to a rate.

    Raises
    ------
    TritforgeError
        If a bit has too few cycles, or the rate would be off by more than `TOLERANCE`.
    """
    if baud < 1 or clock_hz < LEAST_CYCLES * baud:
        raise TritforgeError(
            f"A clock of {clock_hz} Hz serves 1 to {clock_hz // LEAST_CYCLES} baud, not {baud}: choose another rate."
        )
    cycles = round(clock_hz / baud)
    error = clock_hz / (cycles * baud) - 1
    if abs(error) > TOLERANCE:
        raise TritforgeError(
            f"{baud} baud are {clock_hz / baud:.2f} cycles of {clock_hz} Hz, so that the rate would be off by "
            f"{error:+.1%}: choose {clock_hz // cycles}."
        )
    return cycles


class ByteArrival(wiring.Signature):
    """Bytes that come by themselves and cannot be held back.

    Attributes
    ----------
    valid : Out, there is one. byte : Out.
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "byte": Out(8)})


class UartReceiver(wiring.Component):
    """Takes bytes from a line.

    A falling edge begins a byte; each bit is sampled in its middle. A start bit that is over by then was none. A byte
    without a stop bit is dropped, and the next one begins at the earliest when the line was high again: one that is
    held low is silent.

    Parameters
    ----------
    cycles : of a bit, at least `LEAST_CYCLES`.

    Attributes
    ----------
    rx : In, the line, of any clock.
    bytes : Out, registers; valid for a cycle, half a stop bit and three or four cycles after the last data bit.
    """

    def __init__(self, cycles: int) -> None:
        self._cycles = _checked(cycles)
        super().__init__({"rx": In(1, init=1), "bytes": Out(ByteArrival())})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # one register that may be metastable, one that settles it
        first = Signal(init=1)
        rx = Signal(init=1)
        m.d.sync += [first.eq(self.rx), rx.eq(first)]

        states = OneHot(m, ("IDLE", "BEGIN", "BITS", "BREAK"))
        # down to -1; a sample is taken when it has gone half the way
        timer = Signal(range(-1, self._cycles - 1), init=self._cycles - 2)
        sample = Signal()
        m.d.sync += [
            timer.eq(Mux(timer[-1], timer.init, minus_one(timer).as_signed())),
            sample.eq(timer == self._cycles - self._cycles // 2),
        ]
        with m.If(states.at["IDLE"]):
            m.d.sync += [timer.eq(timer.init), sample.eq(0)]
        # a one moves down in front of the bits
        bits = Signal(9)
        whole = sample & bits[0]
        with m.If(states.at["BEGIN"]):
            m.d.sync += bits.eq(1 << 8)
        with m.Elif(sample):
            m.d.sync += bits.eq(Cat(bits[1:], rx))

        states.go("IDLE", "BEGIN", ~rx)
        states.go("BEGIN", "BITS", sample & ~rx)
        states.go("BEGIN", "IDLE", sample & rx)
        states.go("BITS", "IDLE", whole & rx)
        states.go("BITS", "BREAK", whole & ~rx)
        states.go("BREAK", "IDLE", rx)
        states.build()
        m.d.sync += self.bytes.valid.eq(states.at["BITS"] & whole & rx)
        m.d.comb += self.bytes.byte.eq(bits[:8])
        return m


class UartTransmitter(wiring.Component):
    """Gives bytes to a line.

    Throughput: a byte in ten bits and one cycle.

    Parameters
    ----------
    cycles : of a bit, at least `LEAST_CYCLES`.

    Attributes
    ----------
    bytes : In, a stream; its ready is a register.
    tx : Out, the line, a register.
    """

    def __init__(self, cycles: int) -> None:
        self._cycles = _checked(cycles)
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(-1, self._cycles - 1), init=self._cycles - 2)
        # the last one is the stop bit, and what an idle line is
        bits = Signal(10, init=1)
        busy = Signal()
        m.d.comb += self.bytes.ready.eq(~busy)
        m.d.sync += [timer.eq(Mux(timer[-1], timer.init, minus_one(timer).as_signed())), self.tx.eq(bits[0])]
        with m.If(~busy):
            m.d.sync += timer.eq(timer.init)
            with m.If(self.bytes.valid):
                m.d.sync += [bits.eq(Cat(Const(0, 1), self.bytes.payload, Const(1, 1))), busy.eq(1)]
        with m.Elif(timer[-1]):
            with m.If(bits[1:].any()):
                m.d.sync += bits.eq(bits[1:])
            with m.Else():
                m.d.sync += busy.eq(0)
        return m


def _checked(cycles: int) -> int:
    if cycles < LEAST_CYCLES:
        raise TritforgeError(f"A bit of a serial line takes {LEAST_CYCLES} cycles or more, not {cycles}.")
    return cycles
