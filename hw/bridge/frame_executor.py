# SPDX-License-Identifier: Apache-2.0
"""Does what frames ask for, once."""

from itertools import pairwise

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.bridge.frame_receiver import HEAD, FrameReceiver
from tritforge.hw.bridge.frame_sender import Answer
from tritforge.hw.bridge.frames import MOST_WORDS, Operation
from tritforge.hw.bridge.word_bus import WORD_ADDRESS_BITS, WordBus
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import minus_one, plus_one


class FrameExecutor(wiring.Component):
    """Takes a frame, decides by its sequence whether it is executed, does so word by word, and answers it.

    Accesses go on until one fails. A word that is read is held until the sender has taken it, and then the next one
    is read: a few cycles and those of the access between the bytes of two words.

    Attributes
    ----------
    frame : In, a stream of `HEAD`. address : Out, word : In, of the words of the frame taken last: as
        `FrameReceiver` gives them.
    bus : Out.
    answer : Out.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "frame": In(stream.Signature(HEAD)),
                "address": Out(range(MOST_WORDS)),
                "word": In(32),
                "bus": Out(WordBus()),
                "answer": Out(Answer()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, answer, taken = self.bus, self.answer, self.frame.payload
        fetches = [f"FETCH_{cycle}" for cycle in range(FrameReceiver.read_latency)]
        states = OneHot(m, ("IDLE", "COMPARE", "DECIDE", *fetches, "ACCESS", "GIVE", "NEXT", "ANSWER"))
        at = states.at

        operation = Signal.like(taken.operation)
        left = Signal(range(MOST_WORDS))
        address = Signal(WORD_ADDRESS_BITS)
        m.d.comb += self.frame.ready.eq(at["IDLE"])
        with m.If(at["IDLE"]):
            m.d.sync += [
                operation.eq(taken.operation),
                answer.sequence.eq(taken.sequence),
                left.eq(taken.count),
                address.eq(taken.address),
            ]
        with m.If(at["NEXT"]):
            m.d.sync += [left.eq(minus_one(left)), address.eq(plus_one(address))]
        writes, reads, connects = (operation == one for one in (Operation.WRITE, Operation.READ, Operation.CONNECT))

        # how far the sequence is ahead of what is expected, where frames have been executed
        expected = Signal(8)
        connected, again_is_known = flags("connected", "again_is_known")
        ahead = (answer.sequence - expected)[:8]
        next_one, again = flags("next_one", "again")
        m.d.sync += [next_one.eq((ahead == 0) & connected), again.eq(ahead.all() & again_is_known)]
        executes = (writes & next_one) | (reads & (next_one | again))
        with m.If(at["DECIDE"]):
            m.d.sync += answer.refused.eq(~(connects | next_one | again))
            with m.If(connects):
                m.d.sync += [expected.eq(answer.sequence), connected.eq(1), again_is_known.eq(0)]
            with m.Elif(next_one):
                m.d.sync += [expected.eq(plus_one(expected)), again_is_known.eq(1)]
            with m.If(connects | next_one):
                m.d.sync += answer.failed_before.eq(answer.failed & ~connects)
            with m.If(connects | executes):
                m.d.sync += answer.failed.eq(0)

        # words behind the last access: 0 unless it failed
        not_tried = Signal(range(MOST_WORDS))
        last = Signal()
        m.d.sync += last.eq(left == 0)
        with m.If(bus.done):
            m.d.sync += [answer.word.eq(bus.answer), answer.failed.eq(bus.error), not_tried.eq(left)]
        m.d.comb += [
            self.address.eq(left),
            bus.valid.eq(at["ACCESS"]),
            bus.write.eq(writes),
            bus.address.eq(address),
            bus.data.eq(self.word),
            answer.valid.eq(at["ANSWER"] | at["GIVE"]),
            answer.operation.eq(operation),
            answer.count.eq(left),
            answer.number.eq(Mux(answer.refused, expected, not_tried)),
            answer.word_valid.eq(at["GIVE"]),
            answer.last.eq(last),
        ]

        states.go("IDLE", "COMPARE", self.frame.valid)
        states.go("COMPARE", "DECIDE")
        states.go("DECIDE", fetches[0], executes)
        states.go("DECIDE", "ANSWER", ~executes)
        for source, target in pairwise(fetches):
            states.go(source, target)
        # of a read alone the words behind the failed one are still to be sent
        states.go(fetches[-1], "ACCESS", ~answer.failed)
        states.go(fetches[-1], "GIVE", answer.failed)
        states.go("ACCESS", "GIVE", bus.done & reads)
        states.go("ACCESS", "ANSWER", bus.done & writes & (last | bus.error))
        states.go("ACCESS", "NEXT", bus.done & writes & ~(last | bus.error))
        states.go("GIVE", "ANSWER", answer.word_taken & last)
        states.go("GIVE", "NEXT", answer.word_taken & ~last)
        states.go("NEXT", fetches[0])
        states.go("ANSWER", "IDLE", answer.taken)
        states.build()
        return m
