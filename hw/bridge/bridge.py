# SPDX-License-Identifier: Apache-2.0
"""The host's way into the board: frames on a serial line become accesses of the bus."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.golden import TritforgeError
from tritforge.hw.bridge.byte_bridge import ByteBridge
from tritforge.hw.bridge.frames import GAP_CYCLES
from tritforge.hw.bridge.token import TOKEN
from tritforge.hw.bridge.uart import UartReceiver, UartTransmitter, cycles_a_bit
from tritforge.hw.bridge.word_bus import WordBus

BYTES_A_GAP = 2
"""At least: a byte begins late at times, and its end is what counts."""


class Bridge(wiring.Component):
    """Executes frames that come whole and in order (`hw.bridge.frames`), answers them, and sends tokens between.

    A write begins when its frame has been checked; what is read is sent as it comes.

    Parameters
    ----------
    clock_hz, baud : clock of the board and rate of the line.
    gap : cycles of silence that end a frame, a power of two.

    Attributes
    ----------
    rx : In, a pin, of any clock. tx : Out, a register.
    bus : Out, the accesses.
    tokens : In, a stream of `TOKEN`; ready comes with the last byte of its frame, which may have waited for the end
        of an answer. A pusher that cannot wait so long drops the newer one: the host finds it in memory.

    Raises
    ------
    TritforgeError
        If the rate cannot be had from the clock, or is too slow for the gap.
    """

    def __init__(self, clock_hz: int, baud: int, gap: int = GAP_CYCLES) -> None:
        self._cycles, self._gap = cycles_a_bit(clock_hz, baud), gap
        if gap < BYTES_A_GAP * 10 * self._cycles:
            raise TritforgeError(
                f"A byte takes {10 * self._cycles} cycles at {baud} baud: the gap that ends a frame must be at least "
                f"{BYTES_A_GAP} times as long, not {gap}."
            )
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "bus": Out(WordBus()),
                "tokens": In(stream.Signature(TOKEN)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self._cycles)
        m.submodules.transmitter = transmitter = UartTransmitter(self._cycles)
        m.submodules.bytes = inner = ByteBridge(self._gap)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        connect(m, receiver.bytes, inner.received)
        connect(m, inner.sent, transmitter.bytes)
        connect(m, inner.bus, flipped(self.bus))
        connect(m, flipped(self.tokens), inner.tokens)
        return m
