# SPDX-License-Identifier: Apache-2.0
"""The register file behind AXI4-Lite."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.axi_lite import AXI_LITE, AxiLiteSlave
from hw.params import CoreParams
from hw.register_map import REGISTERS, Access, Register, constants, register

_LONG_COUNTERS = {
    "CYCLES": "busy",
    "BEATS": "beat",
    "REPEATS": "repeat",
    "STARVED": "starved",
    "DRAIN": "drain",
    "DEPENDENCY": "dependency",
    "RESULT": "result",
}
_SHORT_COUNTERS = {"TOKENS": "tokens_done", "SATURATIONS": "saturated"}

_Values = dict[str, Value | int]


@dataclass(frozen=True)
class _Access:
    """The access on the bus; ``read`` and ``write`` are pulses of one that succeeds."""

    bus: AxiLiteSlave
    select: dict[str, Value]
    read: Signal
    write: Signal

    def any(self, condition: Callable[[Register], bool]) -> Value:
        """It is to a register that meets the condition."""
        return Cat(self.select[entry.name] for entry in REGISTERS if condition(entry)).any()


class Registers(wiring.Component):
    """AXI4-Lite slave with the registers of `hw.register_map`.

    Every access is answered: SLVERR, without effect, if it is to an unknown address, a write of less than a
    whole word or to a read-only register, or to the state when it cannot be had. Timing: see `AxiLiteSlave`.

    Parameters
    ----------
    core : gives the constants and the depth of the state, ``batch * max_layers * max_hidden`` words.

    Attributes
    ----------
    aw*, w*, b*, ar*, r* : AXI4-Lite, 32 bit data, 12 bit addresses.
    busy : In, a packet is in flight; also counted (CYCLES).
    torn : In, mask of slots whose state is not that of a token boundary.
    error_set : In, mask of ERRORS bits to set.
    beat, repeat, starved, drain, dependency, result, saturated : In, each cycle high adds 1 to its counter; of the
        first six (`hw.trace.Cycle`) exactly one is high in each busy cycle.
    tokens_done : In, added to TOKENS in every cycle.
    abort_token, clear : Out, pulses from CONTROL; ``clear`` also clears the counters here.
    state_address, state_write, state_write_data : Out, state memory; the write is a strobe, never while busy.
    state_read_data : In, valid two cycles after its address, three after the end of ``busy``.
    """

    def __init__(self, core: CoreParams) -> None:
        self.core = core
        self.depth = core.batch * core.max_layers * core.max_hidden
        wide = signed(core.formats.wide_bits)
        super().__init__(
            {
                **AXI_LITE,
                "busy": In(1),
                "torn": In(core.batch),
                "error_set": In(16),
                **{event: In(1) for event in _LONG_COUNTERS.values() if event != "busy"},
                "tokens_done": In(4),
                "saturated": In(1),
                "abort_token": Out(1),
                "clear": Out(1),
                "state_address": Out(range(self.depth)),
                "state_write": Out(1),
                "state_write_data": Out(wide),
                "state_read_data": In(wide),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bus = bus = AxiLiteSlave()
        for name, member in AXI_LITE.items():
            inner, outer = getattr(bus, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)

        # One-hot, decoded a cycle before the access.
        selected = Signal(len(REGISTERS))
        m.d.sync += selected.eq(Cat(bus.index == entry.offset // 4 for entry in REGISTERS))
        select = {entry.name: selected[position] for position, entry in enumerate(REGISTERS)}
        access = _Access(bus, select, Signal(name="read"), Signal(name="write"))

        state, state_error = self._state(m, access)
        torn = register("STATUS").field("TORN")
        status = self.busy | self.torn << torn.low
        values: _Values = constants(self.core) | {"CONTROL": 0, "STATUS": status} | state
        values |= self._commands(m, access) | self._counters(m, access)

        writable = bus.whole & access.any(lambda entry: entry.access is not Access.READ_ONLY)
        m.d.comb += [
            bus.error.eq(Mux(bus.writing, ~writable, ~selected.any()) | state_error),
            access.read.eq(bus.access & ~bus.writing & ~bus.error),
            access.write.eq(bus.access & bus.writing & ~bus.error),
        ]
        words = []
        for entry in REGISTERS:
            word = Signal(32, name=f"{entry.name.lower()}_word")
            m.d.comb += word.eq(values[entry.name])
            words.append(word & select[entry.name].replicate(32))
        m.d.comb += bus.read_data.eq(reduce(or_, words))
        return m

    def _commands(self, m: Module, access: _Access) -> _Values:
        control, errors = register("CONTROL"), register("ERRORS")
        sticky = Signal(16)
        data = access.bus.write_data
        for name, port in (("ABORT", self.abort_token), ("CLEAR", self.clear)):
            m.d.sync += port.eq(access.write & access.select[control.name] & data[control.field(name).low])
        cleared = Mux(access.write & access.select[errors.name], data[: len(sticky)], 0)
        m.d.sync += sticky.eq(sticky & ~cleared | self.error_set)
        return {errors.name: sticky}

    def _counters(self, m: Module, access: _Access) -> _Values:
        values: _Values = {}
        for name, event in _LONG_COUNTERS.items():
            count, high = Signal(64, name=f"{name.lower()}_count"), Signal(32, name=f"{name.lower()}_high")
            m.d.sync += count.eq(Mux(self.clear, 0, count + getattr(self, event)))
            with m.If(access.read & access.select[f"{name}_LO"]):
                m.d.sync += high.eq(count[32:])
            values |= {f"{name}_LO": count[:32], f"{name}_HI": high}
        for name, event in _SHORT_COUNTERS.items():
            count, total = Signal(32, name=f"{name.lower()}_count"), Signal(33, name=f"{name.lower()}_total")
            m.d.comb += total.eq(count + getattr(self, event))
            m.d.sync += count.eq(Mux(self.clear, 0, total[:32] | total[32].replicate(32)))
            values[name] = count
        return values

    def _state(self, m: Module, access: _Access) -> tuple[_Values, Value]:
        """The window into the state; the second result says that the access to it is impossible."""
        bits = self.core.formats.wide_bits
        address = Signal(range(self.depth + 1))
        idle = Signal(3)
        bus, new = access.bus, access.bus.write_data
        data, move = access.select["STATE_DATA"], access.select["STATE_ADDRESS"]
        # The memory's answer takes three cycles in which the core leaves the address alone, the first to the host.
        m.d.sync += idle.eq(Cat(~self.busy, idle[:-1]))
        unreachable = self.busy | (address == self.depth) | ~(bus.writing | idle.all())
        in_range = (new[bits - 1 :].all() | ~new[bits - 1 :].any()) & (new[:bits] != 1 << (bits - 1))
        m.d.comb += [
            self.state_address.eq(address),
            self.state_write.eq(access.write & data),
            self.state_write_data.eq(new[:bits].as_signed()),
        ]
        with m.If(access.write & move):
            m.d.sync += address.eq(new)
        with m.Elif((access.read | access.write) & data):
            m.d.sync += address.eq(address + 1)
        values: _Values = {"STATE_ADDRESS": address, "STATE_DATA": self.state_read_data}
        return values, data & (unreachable | bus.writing & ~in_range) | move & bus.writing & (new >= self.depth)
