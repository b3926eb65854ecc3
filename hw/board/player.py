# SPDX-License-Identifier: Apache-2.0
"""Plays tokens from the memory: packet after packet, each chosen by the result of the one before."""

from itertools import pairwise

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.board.machine_map import BLOCKS_BITS, SETTINGS, STRIDE_BITS, Setting
from tritforge.hw.board.result_writer import ResultEnd
from tritforge.hw.bridge.token import TOKEN
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.memory.reader import BEATS_BITS, run_layout
from tritforge.hw.schedule import Status

FINAL = 1 << 7
"""This bit of a token's status says that nothing follows."""

_COUNT_BITS = 16
_LOOKED_UP = {
    "RESULT": Setting.RESULT_ADDRESS,
    "FIRST": Setting.FIRST_ADDRESS,
    "FIRST_PLACED": Setting.GAINS_ADDRESS,
    "RECORD_PLACED": Setting.GAINS_ADDRESS,
    "BLOCKS": Setting.BLOCKS,
    "HEAD": Setting.HEAD_BEATS,
    "GAINS": Setting.GAINS_BEATS,
    "BODY": Setting.BODY_ADDRESS,
    "BODY_PLACED": Setting.BODY_BEATS,
    "COUNT": Setting.COUNT,
    "END": Setting.END,
    "STRIDE": Setting.RECORDS_STRIDE,
    "RECORDS": Setting.RECORDS_ADDRESS,
}
"""What a state asks the settings for; the answer is there in the state behind it."""


class Player(wiring.Component):
    """Puts packets together from what lies in the memory once, and goes on by itself.

    A packet is a token's record {header and constants, x words of row block after row block}, the gain words of the
    embedding, which follow the x words of each row block, and the body that all packets share. The first packet's
    record is wherever the host has put it: it may have several contexts, send logits and begin from a zero state.
    Behind it comes the record of the token that the core has said: at ``RECORDS_ADDRESS + token * RECORDS_STRIDE``.
    So one packet for the host and a story without it are the same thing, with another COUNT. It ends with an error
    of the core, with COUNT tokens, with the token END, or when told to stop::

        RESULT, FIRST -> HEAD -> X <-> GAINS -> BODY -> plays -> COUNT, END -> over
                          ^   run  run     run     run                |
                          +---- products <- STRIDE, RECORDS <---------+

    Between a result and the next request there are about 20 cycles; between two runs of an embedding two.

    Parameters
    ----------
    address_bits : of the memory's address, which counts beats.

    Attributes
    ----------
    start : In, pulse; without effect while ``playing``. stop : In, pulse.
    playing : Out. done : Out, tokens made since ``start``. cycles : Out, of the token before; ``count`` : Out, of the
    one under way.
    setting : Out, which word of the settings; ``setting_data`` : In, that of the cycle before.
    runs : Out, what the reader is to read.
    result : In. result_start, result_address : Out, to the result writer.
    tokens : Out, one a token; if the one before has not been taken, it is left out: results are in the memory.
    """

    def __init__(self, address_bits: int) -> None:
        self._address_bits = address_bits
        super().__init__(
            {
                "start": In(1),
                "stop": In(1),
                "playing": Out(1),
                "done": Out(_COUNT_BITS),
                "count": Out(32),
                "cycles": Out(32),
                "setting": Out(range(SETTINGS)),
                "setting_data": In(32),
                "runs": Out(stream.Signature(run_layout(address_bits))),
                "result": In(ResultEnd()),
                "result_start": Out(1),
                "result_address": Out(address_bits),
                "tokens": Out(stream.Signature(TOKEN)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        run, data, result = self.runs.payload, self.setting_data, self.result
        address_bits = self._address_bits
        m.submodules.multiplier = multiplier = Multiplier(_COUNT_BITS, STRIDE_BITS)
        products = [f"PRODUCT_{step}" for step in range(multiplier.latency)]
        opening = ("RESULT", "FIRST", "FIRST_PLACED", "BLOCKS", "HEAD", "HEAD_READY", "ISSUE_HEAD")
        embedding = ("X", "X_READY", "ISSUE_X", "GAINS", "GAINS_READY", "ISSUE_GAINS")
        body = ("BODY", "BODY_PLACED", "BODY_READY", "ISSUE_BODY", "PLAYS")
        closing = ("RESULT_CAME", "COUNT", "END", "COUNTED", "COMPARED", "OVER")
        further = ("STRIDE", "RECORDS", *products, "RECORD_PLACED")
        states = OneHot(m, ("IDLE", *opening, *embedding, *body, *closing, *further))
        at, go = states.at, states.go

        over, counted, is_end, stopping, first, last_block = flags(
            "over", "counted", "is_end", "stopping", "first", "last_block"
        )
        token = Signal(_COUNT_BITS, reset_less=True)
        status = Signal.like(result.status, name="status", reset_less=True)
        issued = self.runs.ready
        go("IDLE", "RESULT", self.start)
        for chain in ((*opening, embedding[0]), embedding, body, closing, (*further, "BLOCKS")):
            for source, target in pairwise(chain):
                go(source, target, issued if source.startswith("ISSUE") else 1)
        go("ISSUE_GAINS", "X", issued & ~last_block)
        go("ISSUE_GAINS", "BODY", issued & last_block)
        go("PLAYS", "RESULT_CAME", result.valid)
        go("OVER", "IDLE", over)
        go("OVER", "STRIDE", ~over)
        states.build()

        with m.If(at["X"]):
            m.d.comb += self.setting.eq(Mux(first, Setting.FIRST_BEATS, Setting.RECORD_BEATS))
        for name, setting in _LOOKED_UP.items():
            with m.If(at[name]):
                m.d.comb += self.setting.eq(setting)
        # all that follows is behind the state that asked
        with m.If(at["FIRST"]):
            m.d.sync += self.result_address.eq(data[:address_bits])
        m.d.sync += self.result_start.eq(at["FIRST"])
        with m.If(at["RESULT"]):
            m.d.sync += first.eq(1)
        with m.If(at["STRIDE"]):
            m.d.sync += first.eq(0)

        # the runs: x words and gain words in turn, each going on behind where it was
        other = Signal(address_bits, reset_less=True)
        left = Signal(BLOCKS_BITS, reset_less=True)
        behind = Signal(address_bits)
        # what is beyond the memory is the host's fault
        m.d.comb += behind.eq(cut(run.address + run.beats, behind))
        with m.If(at["FIRST_PLACED"] | at["BODY_PLACED"]):
            m.d.sync += run.address.eq(data[:address_bits])
        with m.If(at["BLOCKS"]):
            m.d.sync += other.eq(data[:address_bits])
        with m.If(at["HEAD"]):
            m.d.sync += left.eq(data[:BLOCKS_BITS])
        m.d.sync += last_block.eq(left == 0)
        with m.If(at["ISSUE_HEAD"] & issued):
            m.d.sync += run.address.eq(behind)
        with m.If((at["ISSUE_X"] | at["ISSUE_GAINS"]) & issued):
            m.d.sync += [run.address.eq(other), other.eq(behind)]
        with m.If(at["ISSUE_X"] & issued):
            m.d.sync += left.eq(minus_one(left))
        with m.If(at["HEAD_READY"] | at["X_READY"] | at["GAINS_READY"] | at["BODY_READY"]):
            m.d.sync += [run.beats.eq(data[:BEATS_BITS]), run.last.eq(at["BODY_READY"])]
        m.d.comb += self.runs.valid.eq(at["ISSUE_HEAD"] | at["ISSUE_X"] | at["ISSUE_GAINS"] | at["ISSUE_BODY"])

        # where the token's record is
        stride = Signal(STRIDE_BITS, reset_less=True)
        base = Signal(address_bits, reset_less=True)
        m.d.comb += [multiplier.a.eq(token), multiplier.b.eq(stride)]
        with m.If(at["RECORDS"]):
            m.d.sync += stride.eq(data[:STRIDE_BITS])
        with m.If(at[products[0]]):
            m.d.sync += base.eq(data[:address_bits])
        with m.If(at["RECORD_PLACED"]):
            m.d.sync += run.address.eq(cut(base + multiplier.product, run.address))

        # how it goes on
        with m.If(self.start & at["IDLE"]):
            m.d.sync += [self.done.eq(0), stopping.eq(0)]
        with m.Elif(self.stop):
            m.d.sync += stopping.eq(1)
        with m.If(at["PLAYS"] & result.valid):
            m.d.sync += [token.eq(result.token), status.eq(result.status), self.cycles.eq(self.count)]
        with m.If(at["RESULT_CAME"]):
            m.d.sync += self.done.eq(plus_one(self.done))
        m.d.sync += [
            counted.eq(data[:_COUNT_BITS] == self.done),
            is_end.eq(data[-1] & (data[:_COUNT_BITS] == token)),
        ]
        with m.If(at["COUNTED"]):
            m.d.sync += over.eq(counted | stopping | (status != Status.OK))
        with m.If(at["COMPARED"]):
            m.d.sync += over.eq(over | is_end)
        with m.If(at["RESULT"] | at["STRIDE"]):
            m.d.sync += self.count.eq(0)
        with m.Else():
            m.d.sync += self.count.eq(plus_one(self.count))

        pushed = self.tokens.payload
        with m.If(self.tokens.ready):
            m.d.sync += self.tokens.valid.eq(0)
        with m.If(at["OVER"] & (~self.tokens.valid | self.tokens.ready)):
            m.d.sync += [
                self.tokens.valid.eq(1),
                pushed.number.eq(self.done),
                pushed.token.eq(token),
                pushed.cycles.eq(self.cycles),
                pushed.status.eq(Mux(over, FINAL, 0) | status),
            ]
        m.d.comb += self.playing.eq(~at["IDLE"])
        return m
