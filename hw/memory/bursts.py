# SPDX-License-Identifier: Apache-2.0
"""Bursts of an SDRAM whose rows are open: when the next may begin, and the data of those that run."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.flags import flags
from tritforge.hw.memory.chip import TURN, SdramChip, SdramClocks

CAPTURES = 4


class Bursts(wiring.Component):
    """Holds two bursts until the data pins are free for them, and then has their commands given.

    A command in cycle t is at the pins in t + 1. Its successor may come ``transfers`` cycles later, or 2, and a write
    behind a read ``cas_latency + transfers + TURN`` later. What has to happen some cycles after a command hangs on a
    shift register in which a bit runs for each burst, one for reads and one for writes.

    Parameters
    ----------
    chip, clocks : what the bursts go to, and its times.
    transfers : of a burst: 1, 2, 4 or 8.

    Attributes
    ----------
    least : cycles from ``hand`` to ``command``, at least: 2.
    latency : cycles from a read's ``command`` to its answer, with ``capture`` 0.
    hand : In, a burst is handed over, only in a cycle with ``free``: its row can be read two cycles later.
    write, bank, column : In, of the burst handed over; the column's number counts bursts.
    free : Out, there is room for a burst.
    command : Out, a register: READ or WRITE is to be given now. writing, at_bank, at_column : Out, registers: of this
        burst, with ``command``.
    busy : Out, a register: one waits, or the bank of the last one must not be precharged yet. It comes two cycles
        after ``hand``, one after a ``hand`` in the cycle before has gone by in any case.
    data : In, to be written, stable from ``hand`` to ``sent``; in the cycle behind ``sent`` it is used last.
    sent : Out.
    dq_o, dq_oe : Out, registers. dq_i : In, goes into a register.
    capture : In, cycles by which data come later from the pins; changes only while nothing is read.
    answer_valid, answer : Out, registers: a burst was read; its first transfer is lowest.
    """

    least = 2

    def __init__(self, chip: SdramChip, clocks: SdramClocks, transfers: int) -> None:
        self._clocks, self._transfers, self._dq = clocks, transfers, chip.dq_bits
        self.latency = clocks.cas_latency + transfers
        columns = chip.column_bits - (transfers - 1).bit_length()
        super().__init__(
            {
                "hand": In(1),
                "write": In(1),
                "bank": In(chip.bank_bits),
                "column": In(columns),
                "free": Out(1),
                "command": Out(1),
                "writing": Out(1),
                "at_bank": Out(chip.bank_bits),
                "at_column": Out(columns),
                "busy": Out(1),
                "data": In(transfers * chip.dq_bits),
                "sent": Out(1),
                "dq_o": Out(chip.dq_bits),
                "dq_oe": Out(1),
                "dq_i": In(chip.dq_bits),
                "capture": In(range(CAPTURES)),
                "answer_valid": Out(1),
                "answer": Out(transfers * chip.dq_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        clocks, transfers = self._clocks, self._transfers
        # from a read or a write to the PRECHARGE of its bank; its row was opened ``rcd`` before at the latest
        read_hold = max(transfers, clocks.row - clocks.rcd)
        write_hold = max(transfers - 1 + clocks.wr, clocks.row - clocks.rcd)
        read = self._runners(m, "read", self.command & ~self.writing, self.latency + CAPTURES)
        write = self._runners(m, "write", self.command & self.writing, max(write_hold, transfers))

        turned, spaced = flags("turned", "spaced")
        full = self._queue(m)
        m.d.sync += [
            self.command.eq(full & ~self.command & spaced & (~self.writing | turned)),
            turned.eq(~any_of(read[: clocks.cas_latency + transfers + TURN - 2])),
            self.busy.eq(self.hand | full | any_of(read[: read_hold - 1]) | any_of(write[: write_hold - 1])),
        ]
        if transfers > 2:
            # low from the cycle behind a command on, until the next one may be decided
            pause = Signal()
            m.d.sync += pause.eq((pause | self.command) & ~(read[transfers - 2] | write[transfers - 2]))
            m.d.comb += spaced.eq(~pause)
        else:
            m.d.comb += spaced.eq(1)
        self._write_data(m, write)
        self._read_data(m, read)
        return m

    def _queue(self, m: Module) -> Signal:
        """Whether a burst waits for its command; the next one may wait behind it."""
        full, behind, moves = flags("full", "behind", "moves")
        m.d.comb += [moves.eq(~full | self.command), self.free.eq(~behind | self.command)]
        m.d.sync += behind.eq(Mux(moves, behind & self.hand, behind | self.hand))
        with m.If(moves):
            m.d.sync += full.eq(behind | self.hand)
        for target, given in (
            (self.writing, self.write),
            (self.at_bank, self.bank),
            (self.at_column, self.column),
        ):
            waiting = Signal.like(given, name=f"{given.name}_behind", reset_less=True)
            with m.If(self.hand):
                m.d.sync += waiting.eq(given)
            with m.If(moves):
                m.d.sync += target.eq(Mux(behind, waiting, given))
        return full

    @staticmethod
    def _runners(m: Module, name: str, begin: Value, cycles: int) -> list[Value]:
        """``begin`` 0, 1 and so on cycles later."""
        runners = Signal(cycles - 1, name=f"{name}_runners")
        m.d.sync += runners.eq(Cat(begin, runners[:-1]))
        return [begin, *runners]

    def _write_data(self, m: Module, write: list[Value]) -> None:
        transfers = self._transfers
        m.d.comb += self.sent.eq(write[max(0, transfers - 2)])
        # one-hot: the transfer that goes into the register of the pins
        turn = Signal(transfers, init=1)
        sends = write[0] | ~turn[0]
        m.d.sync += self.dq_oe.eq(sends)
        with m.If(sends):
            m.d.sync += turn.eq(turn.rotate_left(1))
        parts = (self.data.word_select(k, self._dq) & turn[k].replicate(self._dq) for k in range(transfers))
        m.d.sync += self.dq_o.eq(reduce(or_, parts))

    def _read_data(self, m: Module, read: list[Value]) -> None:
        # the last register is that of the pins
        gathered = Signal(self._transfers * self._dq, reset_less=True)
        m.d.sync += gathered.eq(Cat(gathered, self.dq_i)[self._dq :])
        choice = Mux(
            self.capture[1],
            Mux(self.capture[0], read[self.latency + 2], read[self.latency + 1]),
            Mux(self.capture[0], read[self.latency], read[self.latency - 1]),
        )
        m.d.sync += self.answer_valid.eq(choice)
        m.d.comb += self.answer.eq(gathered)


def any_of(values: list[Value]) -> Value:
    return reduce(or_, values, Const(0, 1))
