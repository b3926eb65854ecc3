# SPDX-License-Identifier: Apache-2.0
"""Messages as beats of a link, and back."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.link.message import message_layout
from tritforge.hw.params import BYTE, CoreParams


def beats_a_message(params: CoreParams) -> int:
    """Beats of the link that a message takes."""
    return -(-int(message_layout(params).size) // (BYTE * params.link_bytes))


class ToLink(wiring.Component):
    """Sends each message as beats of ``params.link_bytes``, the lowest first, TLAST with the last of them.

    Latency: none. Throughput: a beat a cycle.

    Attributes
    ----------
    messages : In. link : Out.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        super().__init__(
            {
                "messages": In(stream.Signature(message_layout(params))),
                "link": Out(AxiStream(BYTE * params.link_bytes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats, width = beats_a_message(self._params), BYTE * self._params.link_bytes
        messages, link = self.messages, self.link
        bits = messages.payload.as_value()
        padded = Cat(bits, Signal(beats * width - len(bits), name="padding")) if beats * width > len(bits) else bits
        m.d.comb += link.tvalid.eq(messages.valid)
        if beats == 1:
            m.d.comb += [link.tdata.eq(padded), link.tlast.eq(1), messages.ready.eq(link.tready)]
            return m
        beat = Signal(range(beats))
        last = Signal()
        m.d.comb += [
            link.tdata.eq(padded.word_select(beat, width)),
            link.tlast.eq(last),
            messages.ready.eq(link.tready & last),
        ]
        with m.If(link.tvalid & link.tready):
            m.d.sync += [beat.eq(plus_one(beat)), last.eq(beat == beats - 2)]
            with m.If(last):
                m.d.sync += beat.eq(0)
        return m


class FromLink(wiring.Component):
    """Puts messages together from beats; what TLAST ends early or late is no message and dropped.

    Latency: none from a message's last beat. Throughput: a beat a cycle.

    Attributes
    ----------
    link : In. messages : Out.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        super().__init__(
            {
                "link": In(AxiStream(BYTE * params.link_bytes)),
                "messages": Out(stream.Signature(message_layout(params))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats, width = beats_a_message(self._params), BYTE * self._params.link_bytes
        messages, link = self.messages, self.link
        payload = messages.payload.as_value()
        if beats == 1:
            m.d.comb += [
                payload.eq(cut(link.tdata, payload)),
                messages.valid.eq(link.tvalid),
                link.tready.eq(messages.ready),
            ]
            return m
        before = Signal((beats - 1) * width, reset_less=True)
        count = Signal(range(beats + 1))
        whole = Signal()
        m.d.comb += [
            whole.eq(count == beats - 1),
            payload.eq(cut(Cat(before, link.tdata), payload)),
            messages.valid.eq(link.tvalid & link.tlast & whole),
            link.tready.eq(messages.ready | ~(link.tlast & whole)),
        ]
        with m.If(link.tvalid & link.tready):
            m.d.sync += before.eq(Cat(before, link.tdata)[width:])
            with m.If(link.tlast):
                m.d.sync += count.eq(0)
            with m.Elif(count != beats):
                m.d.sync += count.eq(plus_one(count))
        return m
