# SPDX-License-Identifier: Apache-2.0
"""From answers and tokens to the bytes of frames."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.bridge.crc32 import Crc32
from tritforge.hw.bridge.frames import START_FROM_BOARD, TOKEN_WORDS, Kind, Operation
from tritforge.hw.bridge.token import TOKEN
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot


class Answer(wiring.Signature):
    """An answer to a frame, seen from who gives it.

    Attributes
    ----------
    valid : Out, there is one; between frames alone it matters. taken : In, pulse: it has been sent.
    operation, refused, failed_before, sequence : Out, stay as they are until then.
    failed, number : Out, what of them is sent behind the words is what they are then.
    count : Out, words - 1, at the first word.
    word_valid, word, last : Out, a word of data and whether it is the last one; stay until it is taken.
    word_taken : In, pulse.
    """

    def __init__(self) -> None:
        flag, byte = Out(1), Out(8)
        names = ("valid", "refused", "failed", "failed_before", "word_valid", "last")
        super().__init__(
            dict.fromkeys(names, flag)
            | {"operation": Out(2), "sequence": byte, "number": byte, "count": byte, "word": Out(32)}
            | {"taken": In(1), "word_taken": In(1)}
        )


class FrameSender(wiring.Component):
    """Sends frames as `hw.bridge.frames` has them: answers, and tokens between them, which come first.

    A byte is chosen, goes bit by bit through the CRC, which brings it round again, and is offered.

    Throughput: a byte in 11 cycles.

    Attributes
    ----------
    answer : In.
    tokens : In, a stream of `TOKEN`; ready comes with the last byte of its frame.
    bytes : Out, a stream; valid is a register.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "answer": In(Answer()),
                "tokens": In(stream.Signature(TOKEN)),
                "bytes": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        answer, token = self.answer, self.tokens.payload
        names = ("START", "KIND", "SEQUENCE", "NUMBER", "WORD", "TOKEN_0", "TOKEN_1", "KIND_AGAIN", "LEFT", "CRC")
        states = OneHot(m, ("IDLE", *names))
        at = states.at
        of_token, has_words = flags("of_token", "has_words")
        with m.If(at["IDLE"]):
            m.d.sync += [
                of_token.eq(self.tokens.valid),
                has_words.eq((answer.operation == Operation.READ) & ~answer.refused),
            ]

        # choose, take what was chosen, shift eight times, offer
        byte = Signal(8)
        phase = Signal(8)
        choose, chose, shift, taken = flags("choose", "chose", "shift", "taken")
        waits = Signal(init=1)
        m.d.comb += [
            self.bytes.payload.eq(byte),
            choose.eq(waits & ~at["IDLE"] & ~(at["WORD"] & ~answer.word_valid)),
            taken.eq(self.bytes.valid & self.bytes.ready),
        ]
        m.d.sync += [chose.eq(choose), phase.eq(Cat(chose, phase[:-1]))]
        with m.If(choose):
            m.d.sync += waits.eq(0)
        with m.If(chose):
            m.d.sync += shift.eq(1)
        with m.If(phase[-1]):
            m.d.sync += [shift.eq(0), self.bytes.valid.eq(1)]
        with m.If(taken):
            m.d.sync += [self.bytes.valid.eq(0), waits.eq(1)]

        m.submodules.check = crc = Crc32()
        m.d.comb += [
            crc.clear.eq(at["START"]),
            crc.shift.eq(shift),
            crc.bit.eq(byte[0]),
            crc.drain.eq(at["CRC"]),
        ]
        # the byte of a word
        place = Signal(2)
        several = at["WORD"] | at["TOKEN_0"] | at["TOKEN_1"] | at["CRC"]
        ends = taken & (place == 3)
        with m.If(taken & several):
            m.d.sync += place.eq((place + 1)[:2])

        kind = Mux(of_token, Kind.TOKEN, Cat(answer.operation, answer.refused, answer.failed, answer.failed_before))
        content = token.as_value()
        number = Mux(of_token, TOKEN_WORDS - 1, Mux(has_words, answer.count, answer.number))
        sources: dict[str, Value] = {
            "START": Const(START_FROM_BOARD, 8),
            "KIND": kind,
            "SEQUENCE": Mux(of_token, token.status, answer.sequence),
            "NUMBER": number,
            "WORD": answer.word.word_select(place, 8),
            "TOKEN_0": content[:32].word_select(place, 8),
            "TOKEN_1": content[32:64].word_select(place, 8),
            "KIND_AGAIN": kind,
            "LEFT": answer.number,
            "CRC": crc.byte,
        }
        chosen = Signal(8)
        m.d.sync += chosen.eq(reduce(or_, (source & at[name].replicate(8) for name, source in sources.items())))
        with m.If(chose):
            m.d.sync += byte.eq(chosen)
        with m.Elif(shift):
            m.d.sync += byte.eq(byte.rotate_right(1))

        states.go("IDLE", "START", self.tokens.valid | answer.valid)
        states.go("START", "KIND", taken)
        states.go("KIND", "SEQUENCE", taken)
        states.go("SEQUENCE", "NUMBER", taken)
        states.go("NUMBER", "TOKEN_0", taken & of_token)
        states.go("NUMBER", "WORD", taken & ~of_token & has_words)
        states.go("NUMBER", "CRC", taken & ~of_token & ~has_words)
        states.go("WORD", "KIND_AGAIN", ends & answer.last)
        states.go("TOKEN_0", "TOKEN_1", ends)
        states.go("TOKEN_1", "CRC", ends)
        states.go("KIND_AGAIN", "LEFT", taken)
        states.go("LEFT", "CRC", taken)
        states.go("CRC", "IDLE", ends)
        states.build()
        done = at["CRC"] & ends
        m.d.comb += [
            answer.word_taken.eq(at["WORD"] & ends),
            answer.taken.eq(done & ~of_token),
            self.tokens.ready.eq(done & of_token),
        ]
        return m
