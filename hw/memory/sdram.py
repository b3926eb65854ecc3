# SPDX-License-Identifier: Apache-2.0
"""Controller of an SDR SDRAM."""

import math

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import plus_one
from tritforge.hw.memory.bursts import CAPTURES, Bursts, any_of
from tritforge.hw.memory.chip import POSTPONED, SdramChip
from tritforge.hw.memory.pins import SdramPins
from tritforge.hw.memory.port import MemoryPort

REFRESHES = POSTPONED
"""Refreshes in a row: all banks are closed and a row opened again once for so many."""
ALL_BANKS = 10
"""Bit of the address that says so."""


class SdramController(wiring.Component):
    """Reads and writes words that are a burst each, and keeps the memory alive.

    While a burst runs two more wait in `Bursts` until the data pins are free, and behind them the row of the next one
    is opened. Words in sequence fill a row and go on in the next bank, so that they never wait for a
    row::

        taken  LOOK  CHOOSE  [PRECHARGE  rp]  [ACTIVATE  rcd]  handed over  (waits)  READ  data

    A write keeps its word until it has been sent, and no request is taken meanwhile. Eight refreshes come together,
    every eight tREFI: less is lost to closed rows. The power-up waits for some of these periods, and then its eight
    refreshes are as all others.

    An address is {row, bank, column}, the column lowest, so that memory is contiguous.

    Throughput, in sequence and with a word of 8 transfers: a word in 8 cycles, but for
    ``rp + 8 * rfc + max(rcd, 3)`` cycles in every ``8 * refi``. A write takes 11 cycles. Words of fewer transfers
    take 3 cycles at least.

    Parameters
    ----------
    chip : the memory.
    mhz : the clock.
    word_bits : 1, 2, 4 or 8 times the data pins.
    cas_latency : in clocks.

    Attributes
    ----------
    address_bits : of a word.
    latency : cycles from a request taken to its answer: where its row is open, nothing else waits and ``capture`` is
        0.
    port : In. pins : Out; every output is a register, and ``dq_i`` goes into one.
    capture : In, cycles by which data are taken later than with the next edge of the clock after the chip's edge that
        gives them out; changes only while nothing is read.
    initialised : Out, the chip takes requests; those that come before wait.

    Raises
    ------
    TritforgeError
        If the chip does not run so, or the word is no burst.
    """

    def __init__(self, chip: SdramChip, mhz: float, word_bits: int, cas_latency: int) -> None:
        clocks = chip.clocks(mhz, cas_latency)
        transfers, rest = divmod(word_bits, chip.dq_bits)
        if rest or transfers not in (1, 2, 4, 8):
            raise TritforgeError(
                f"A word must be 1, 2, 4 or 8 transfers of {chip.dq_bits} bits, not {word_bits} bits."
            )
        if clocks.wr > 5 or clocks.row - clocks.rcd > 4 + max(2, transfers):
            raise TritforgeError(f"{chip.name} is too slow in closing a row at {mhz:g} MHz; choose a slower clock.")
        self._chip, self._clocks, self._transfers = chip, clocks, transfers
        self._bursts = Bursts(chip, clocks, transfers)
        self.latency = 2 + Bursts.least + self._bursts.latency
        self.address_bits = chip.row_bits + chip.bank_bits + chip.column_bits - (transfers - 1).bit_length()
        super().__init__(
            {
                "port": In(MemoryPort(self.address_bits, word_bits)),
                "pins": Out(SdramPins(chip)),
                "capture": In(range(CAPTURES)),
                "initialised": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chip, clocks, port, pins = self._chip, self._clocks, self.port, self.pins
        m.submodules.bursts = bursts = self._bursts
        states = OneHot(
            m,
            (
                *("POWER", "CLOSE", "REFRESH", "MODE"),
                *("IDLE", "LOOK", "CHOOSE", "PRECHARGE", "ACTIVATE", "HAND", "SEND"),
            ),
        )
        at = states.at

        # the request whose row is being opened; its row is the mode register's value at first
        column = Signal.like(bursts.column, name="column", reset_less=True)
        bank = Signal(chip.bank_bits)
        row = Signal(chip.row_bits, init=clocks.cas_latency << 4 | (self._transfers - 1).bit_length())
        write = Signal(reset_less=True)
        word = Signal(len(port.request.p.data), reset_less=True)
        m.d.comb += port.request.ready.eq(at["IDLE"])
        with m.If(at["IDLE"]):
            m.d.sync += [
                Cat(column, bank, row).eq(port.request.p.address),
                write.eq(port.request.p.write),
                word.eq(port.request.p.data),
            ]

        opened, hit = self._look_up(m, at, bank, row)
        # of the last three bursts: two may wait and one run, and others have ended long since
        recent = [Signal(chip.bank_bits, name=f"recent_{number}") for number in range(3)]
        same = Signal()
        with m.If(bursts.hand):
            m.d.sync += [register.eq(value) for register, value in zip(recent, [bank, *recent[:-1]], strict=True)]
        m.d.sync += same.eq(any_of([bank == register for register in recent]))

        close, refresh, mode, precharge, activate, waited = flags(
            "close", "refresh", "mode", "precharge", "activate", "waited"
        )
        m.d.comb += [
            close.eq(at["CLOSE"] & waited & ~bursts.busy),
            refresh.eq(at["REFRESH"] & waited),
            mode.eq(at["MODE"] & waited),
            precharge.eq(at["PRECHARGE"] & waited & ~bursts.command & ~(same & bursts.busy)),
            activate.eq(at["ACTIVATE"] & waited & ~bursts.command),
            # where a row is open, nothing is waited for
            bursts.hand.eq(((at["HAND"] & waited) | (at["CHOOSE"] & opened & hit)) & bursts.free),
        ]
        # a burst comes at least two cycles after it is handed over, and the next ACTIVATE at least four; any command
        # comes at least two after the mode register's, which is tMRD
        row_wait = max(clocks.rcd - Bursts.least, clocks.rrd - 4, 1)
        self._wait(
            m,
            waited,
            [
                (close | precharge, clocks.rp),
                (activate, row_wait),
                (refresh, clocks.rfc),
            ],
        )
        due, powered = self._periods(m, close)
        number = Signal(range(REFRESHES))
        last = refresh & (number == REFRESHES - 1)
        with m.If(refresh):
            m.d.sync += number.eq(plus_one(number))
        with m.If(mode):
            m.d.sync += self.initialised.eq(1)

        states.go("POWER", "CLOSE", powered)
        states.go("CLOSE", "REFRESH", close)
        states.go("REFRESH", "MODE", last & ~self.initialised)
        states.go("REFRESH", "IDLE", last & self.initialised)
        states.go("MODE", "IDLE", mode)
        states.go("IDLE", "LOOK", port.request.valid)
        states.go("IDLE", "CLOSE", due & ~port.request.valid)
        states.go("LOOK", "CHOOSE")
        states.go("CHOOSE", "HAND", opened & hit & ~bursts.free)
        states.go("CHOOSE", "PRECHARGE", opened & ~hit)
        states.go("CHOOSE", "ACTIVATE", ~opened)
        states.go("PRECHARGE", "ACTIVATE", precharge)
        states.go("ACTIVATE", "HAND", activate)
        for state in ("CHOOSE", "HAND"):
            states.go(state, "SEND", bursts.hand & write)
            states.go(state, "CLOSE", bursts.hand & ~write & due)
            states.go(state, "IDLE", bursts.hand & ~write & ~due)
        states.go("SEND", "CLOSE", bursts.sent & due)
        states.go("SEND", "IDLE", bursts.sent & ~due)
        states.build()

        # the column, around the bit that would have the row closed
        low = Cat(Const(0, (self._transfers - 1).bit_length()), bursts.at_column)
        burst_address = Cat(low[:ALL_BANKS], Const(0, 1), low[ALL_BANKS:])
        address = Mux(bursts.command, burst_address, row)
        everything = ~bursts.command & (at["CLOSE"] | (at["ACTIVATE"] & row[ALL_BANKS]))
        m.d.sync += [
            pins.cke.eq(1),
            pins.cs_n.eq(0),
            pins.ras_n.eq(~(close | refresh | mode | precharge | activate)),
            pins.cas_n.eq(~(bursts.command | refresh | mode)),
            pins.we_n.eq(~((bursts.command & bursts.writing) | close | precharge | mode)),
            pins.ba.eq(Mux(bursts.command, bursts.at_bank, bank)),
            pins.a.eq(Cat(address[:ALL_BANKS], everything, address[ALL_BANKS + 1 : chip.row_bits])),
            pins.dqm.eq((~self.initialised).replicate(len(pins.dqm))),
        ]
        m.d.comb += [
            bursts.write.eq(write),
            bursts.bank.eq(bank),
            bursts.column.eq(column),
            bursts.data.eq(word),
            bursts.capture.eq(self.capture),
            bursts.dq_i.eq(pins.dq_i),
            pins.dq_o.eq(bursts.dq_o),
            pins.dq_oe.eq(bursts.dq_oe),
            port.answer_valid.eq(bursts.answer_valid),
            port.answer.eq(bursts.answer),
        ]
        return m

    def _look_up(self, m: Module, at: dict[str, Signal], bank: Value, row: Value) -> tuple[Signal, Signal]:
        """Whether the bank of the request has an open row, and whether it is the one that the last row was; as of the
        cycle before."""
        opened, hit = flags("opened", "hit")
        m.submodules.rows = rows = Memory(shape=self._chip.row_bits, depth=1 << self._chip.bank_bits, init=[])
        writer, reader = rows.write_port(), rows.read_port(domain="comb")
        m.d.comb += [
            writer.addr.eq(bank),
            writer.data.eq(row),
            writer.en.eq(at["ACTIVATE"]),
            reader.addr.eq(bank),
        ]
        banks = [Signal(name=f"open_{number}") for number in range(1 << self._chip.bank_bits)]
        chosen = [(bank == number) & is_open for number, is_open in enumerate(banks)]
        m.d.sync += [hit.eq(reader.data == row), opened.eq(any_of(chosen))]
        for number, is_open in enumerate(banks):
            # set before the command is given: nobody asks until then
            own = bank == number
            m.d.sync += is_open.eq((at["ACTIVATE"] & own) | (is_open & ~at["CLOSE"] & ~(at["PRECHARGE"] & own)))
        return opened, hit

    @staticmethod
    def _wait(m: Module, waited: Signal, events: list[tuple[Value, int]]) -> None:
        """``waited`` falls behind an event and is high again so many cycles after it."""
        steps = Signal(max(cycles for _, cycles in events) - 1)
        running = Signal(init=0)
        falls = any_of([event for event, cycles in events if cycles > 1])
        m.d.sync += running.eq((running | falls) & ~steps[0])
        m.d.comb += waited.eq(~running)
        for step, register in enumerate(steps):
            above = steps[step + 1] if step + 1 < len(steps) else Const(0, 1)
            m.d.sync += register.eq(above | any_of([event for event, cycles in events if cycles - 2 == step]))

    def _periods(self, m: Module, close: Value) -> tuple[Signal, Value]:
        """Whether refreshes are due, and whether the power-up is over."""
        period = REFRESHES * self._clocks.refi
        # down to -1, whose sign begins anew
        count = Signal((period - 2).bit_length() + 1, init=period - 2)
        due = Signal()
        powers = Signal(math.ceil(self._clocks.power_up / period))
        m.d.sync += [count.eq((count - 1)[: len(count)]), due.eq(count[-1] | (due & ~close))]
        with m.If(count[-1]):
            m.d.sync += [count.eq(period - 2), powers.eq(Cat(Const(1, 1), powers[:-1]))]
        return due, powers[-1]
