# SPDX-License-Identifier: Apache-2.0
"""From bytes to accesses and back."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.hw.bridge.frame_executor import FrameExecutor
from tritforge.hw.bridge.frame_receiver import FrameReceiver
from tritforge.hw.bridge.frame_sender import FrameSender
from tritforge.hw.bridge.frames import GAP_CYCLES
from tritforge.hw.bridge.token import TOKEN
from tritforge.hw.bridge.uart import ByteArrival
from tritforge.hw.bridge.word_bus import WordBus


class ByteBridge(wiring.Component):
    """The bridge behind its serial line; see `hw.bridge.bridge.Bridge`.

    Parameters
    ----------
    gap : as there.

    Attributes
    ----------
    received : In, at least 11 cycles apart.
    sent : Out, a stream.
    bus, tokens : as there.
    """

    def __init__(self, gap: int = GAP_CYCLES) -> None:
        self._receiver = FrameReceiver(gap)
        super().__init__(
            {
                "received": In(ByteArrival()),
                "sent": Out(stream.Signature(8)),
                "bus": Out(WordBus()),
                "tokens": In(stream.Signature(TOKEN)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = self._receiver
        m.submodules.executor = executor = FrameExecutor()
        m.submodules.sender = sender = FrameSender()
        connect(m, flipped(self.received), receiver.bytes)
        connect(m, receiver.frame, executor.frame)
        m.d.comb += [receiver.address.eq(executor.address), executor.word.eq(receiver.word)]
        connect(m, executor.bus, flipped(self.bus))
        connect(m, executor.answer, sender.answer)
        connect(m, flipped(self.tokens), sender.tokens)
        connect(m, sender.bytes, flipped(self.sent))
        return m
