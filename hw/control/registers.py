# SPDX-License-Identifier: Apache-2.0
"""The register file behind AXI4-Lite."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.golden.model.activations import THRESHOLD_BITS
from tritforge.hw.control.axi_lite import AxiLite, AxiLiteSlave
from tritforge.hw.control.events import Events
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import Access, Counter, Register, constants, counters_of, register, registers_of
from tritforge.hw.vector.recurrence import StateWindow

LATE = 6
"""Cycles from a change of ``busy`` until the state memory has changed hands for sure."""
STATE_LATENCY = 7
"""Cycles from the state's ``address`` to its ``read_data``."""

_PARTS = ("signs", "negative", "low", "high", "above", "below")
LINK = data.StructLayout({field.name.lower(): field.width for field in register("LINK").fields})
"""What a core with a link knows of its ring."""
_TOGETHER = 2
"""Words that are joined before a register."""

_Values = dict[str, Value | int]


@dataclass(frozen=True)
class _Access:
    """The access on the bus, selected two cycles before; ``read`` and ``write`` are pulses a cycle behind one that
    succeeds, when ``bus.write_data`` and what is selected are still there."""

    entries: tuple[Register, ...]
    bus: AxiLiteSlave
    select: dict[str, Value]
    read: Signal
    write: Signal

    def any(self, condition: Callable[[Register], bool]) -> Value:
        """It is to a register that meets the condition."""
        return Cat(self.select[entry.name] for entry in self.entries if condition(entry)).any()


class Registers(wiring.Component):
    """AXI4-Lite slave with the registers of `hw.register_map`.

    Every access is answered: SLVERR, without effect, if it is to an unknown address, a write of less than a
    whole word or to a read-only register, or to the state when it cannot be had. Timing: see `AxiLiteSlave`; what is
    read is of two cycles before the access (what is counted: three; ERRORS: four), and whether the state can be had
    of three. A write shows its effect two cycles after the access.

    Parameters
    ----------
    params : gives the constants and the depth of the state, ``batch * slot_values`` words.

    Attributes
    ----------
    csr : In, the bus.
    events : In, what is shown and counted.
    abort_token, clear : Out, pulses from CONTROL; ``clear`` also clears the counters here.
    outlier_threshold : Out, field THRESHOLD of OUTLIERS, with ``params.extra_bits`` only.
    link, hello : In and Out, with ``params.linked`` only: register LINK; pulse from CONTROL.
    state : Out, the state memory; ``read_data`` is valid `STATE_LATENCY` cycles after its address. The host has it
        when the core is idle; it writes never when the core has been busy for more than `LATE` cycles or idle for
        less.
    """

    def __init__(self, params: CoreParams) -> None:
        self.params = params
        self.depth = params.batch * params.slot_values
        super().__init__(
            {
                "csr": In(AxiLite()),
                "events": In(Events(params)),
                "abort_token": Out(1),
                "clear": Out(1),
                **({"outlier_threshold": Out(THRESHOLD_BITS)} if params.extra_bits else {}),
                "state": Out(StateWindow(params)),
                **({"link": In(LINK), "hello": Out(1)} if params.linked else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # the next word of the state is there when it is sampled
        m.submodules.bus = bus = AxiLiteSlave(settle=STATE_LATENCY - 1)
        connect(m, flipped(self.csr), bus.axi)

        # one-hot; behind the first register of the words' disjunction, the second
        entries = registers_of(self.params)
        selected = Signal(len(entries))
        m.d.sync += selected.eq(Cat(bus.index == entry.offset // 4 for entry in entries))
        select = {entry.name: selected[position] for position, entry in enumerate(entries)}
        access = _Access(entries, bus, select, Signal(name="read"), Signal(name="write"))

        state, state_error = self._state(m, access)
        torn = register("STATUS").field("TORN")
        status = self.events.busy | self.events.torn << torn.low
        fixed = constants(self.params)
        values = state | {"STATUS": status} | self._commands(m, access) | self._counters(m, access)
        words = [Mux(select[name], value, 0) for name, value in values.items()]
        # beside the state's word, whose highest bits are all the same
        words.insert(1, reduce(or_, (Mux(select[name], value, 0) for name, value in fixed.items())))
        parts = [Signal(32, name=f"words_{at}", reset_less=True) for at in range(0, len(words), _TOGETHER)]
        for at, part in enumerate(parts):
            m.d.sync += part.eq(cut(reduce(or_, words[at * _TOGETHER : (at + 1) * _TOGETHER]), part))

        readable, writable, writing = flags("readable", "writable", "writing")
        groups = [selected[at : at + 8] for at in range(0, len(selected), 8)]
        m.d.sync += [
            writing.eq(bus.writing),
            readable.eq(Cat(delay(m, group.any(), 1, "readable_part") for group in groups).any()),
            writable.eq(bus.whole & access.any(lambda entry: entry.access is not Access.READ_ONLY)),
            bus.error.eq(Mux(writing, ~writable, ~readable) | state_error),
            bus.read_data.eq(reduce(or_, parts)),
            access.read.eq(bus.access & ~writing & ~bus.error),
            access.write.eq(bus.access & writing & ~bus.error),
        ]
        return m

    def _commands(self, m: Module, access: _Access) -> _Values:
        control, errors = register("CONTROL"), register("ERRORS")
        sticky = Signal(16)
        data = access.bus.write_data
        commands = {"ABORT": self.abort_token, "CLEAR": self.clear}
        if self.params.linked:
            commands["HELLO"] = self.hello
        for name, port in commands.items():
            m.d.sync += port.eq(access.write & access.select[control.name] & data[control.field(name).low])
        cleared = Signal.like(sticky)
        m.d.sync += [
            cleared.eq(Mux(access.write & access.select[errors.name], data[: len(cleared)], 0)),
            sticky.eq(sticky & ~cleared | delay(m, self.events.error_set, 2, "error_set")),
        ]
        values: _Values = {errors.name: sticky}
        if self.params.linked:
            values["LINK"] = self.link.as_value()
        if self.params.extra_bits:
            values["OUTLIERS"] = self.outlier_threshold
            with m.If(access.write & access.select["OUTLIERS"]):
                m.d.sync += self.outlier_threshold.eq(data[:THRESHOLD_BITS])
        return values

    def _counters(self, m: Module, access: _Access) -> _Values:
        values: _Values = {}
        # also the counters' reset
        wiped = Signal(init=1)
        m.d.sync += wiped.eq(self.clear)
        for counter in counters_of(self.params):
            count = self._long_counter if counter.long else self._short_counter
            values |= count(m, access, counter, wiped)
        return values

    def _long_counter(self, m: Module, access: _Access, counter: Counter, wiped: Value) -> _Values:
        """64 bits, which are never reached; the upper half follows the lower one by a cycle."""
        name, (lower, upper) = counter.name.lower(), counter.registers
        low, above, carry = _halves(name, 32)
        high = Signal(32, name=f"{name}_high")
        m.d.sync += [
            Cat(low, carry).eq(low + delay(m, getattr(self.events, counter.event), 1, counter.event)),
            above.eq(cut(above + carry, above)),
        ]
        with m.If(wiped):
            m.d.sync += [low.eq(0), carry.eq(0), above.eq(0)]
        # a cycle after the lower half is sampled
        collected = delay(m, access.bus.collect & access.select[lower.name], 1, f"{name}_collected")
        with m.If(collected):
            m.d.sync += high.eq(above)
        return {lower.name: low, upper.name: high}

    def _short_counter(self, m: Module, access: _Access, counter: Counter, wiped: Value) -> _Values:
        """32 bits, which are full from then on."""
        name = counter.name.lower()
        low, above, carry = _halves(name, 16)
        full = Signal(name=f"{name}_full", reset_less=True)
        shown = Signal(32, reset_less=True)
        total = above + carry
        m.d.sync += [
            Cat(low, carry).eq(low + delay(m, getattr(self.events, counter.event), 1, counter.event)),
            above.eq(total[:16]),
            full.eq(full | total[16]),
            shown.eq(Cat(delay(m, low, 1, f"{name}_low", reset_less=True), above) | full.replicate(32)),
        ]
        with m.If(wiped):
            m.d.sync += [low.eq(0), carry.eq(0), above.eq(0), full.eq(0)]
        return {counter.name: shown}

    def _state(self, m: Module, access: _Access) -> tuple[_Values, Value]:
        """The window into the state; the second result says that the access to it is impossible."""
        bits = self.params.formats.wide_bits
        address = Signal(range(self.depth + 1))
        answers = LATE + STATE_LATENCY + 1
        idle = Signal(answers, init=(1 << answers) - 1)
        bus, new = access.bus, access.bus.write_data
        data, move = access.select["STATE_DATA"], access.select["STATE_ADDRESS"]
        m.d.sync += idle.eq(Cat(~self.events.busy, idle[:-1]))
        long_idle, reachable, past_end, bad = flags("long_idle", "reachable", "past_end", "bad")
        width, middle = len(address), bits // 2
        fits, address_fits = flags("fits", "address_fits")
        signs, negative, low, high, above, below = (Signal(name=f"number_{part}") for part in _PARTS)
        m.d.sync += [
            signs.eq(new[bits - 1 :].all() | ~new[bits - 1 :].any()),
            negative.eq(new[bits - 1]),
            low.eq(new[:middle].any()),
            high.eq(new[middle : bits - 1].any()),
            above.eq(new[width:].any()),
            below.eq(new[:width] < self.depth),
            # the most negative number is none
            fits.eq(signs & (~negative | low | high)),
            address_fits.eq(~above & below),
        ]
        m.d.sync += [
            long_idle.eq(idle.all()),
            reachable.eq(long_idle & idle[0] & ~self.events.busy),
            past_end.eq(address == self.depth),
            bad.eq(data & (~reachable | past_end | bus.writing & ~fits) | move & bus.writing & ~address_fits),
        ]
        m.d.comb += [
            # beyond the last one nothing is written
            self.state.address.eq(cut(address, self.state.address)),
            self.state.write.eq(access.write & data),
            self.state.write_data.eq(new[:bits].as_signed()),
            self.state.host.eq(delay(m, ~self.events.busy, LATE - 1, "not_busy")),
        ]
        with m.If(access.write & move):
            m.d.sync += address.eq(new[:width])
        with m.Elif((access.read | access.write) & data):
            # beyond the last one nothing is accessed
            m.d.sync += address.eq(plus_one(address))
        return {"STATE_DATA": self.state.read_data, "STATE_ADDRESS": address}, bad


def _halves(name: str, bits: int) -> tuple[Signal, Signal, Signal]:
    """Lower and upper half of a counter and the carry between them."""
    return tuple(
        Signal(width, name=f"{name}_{part}", reset_less=True)
        for part, width in (("count", bits), ("above", bits), ("carry", 1))
    )
