# SPDX-License-Identifier: Apache-2.0
"""What the tests of the register file share: the register file with a bus master, a state memory and pauses."""

import logging
import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from tritforge.hw.control.registers import LATE, STATE_LATENCY
from tritforge.hw.register_map import counters_of, register
from tritforge.sim.benches.common import under_test

MASK = 0xFFFFFFFF
_LOW_BITS = {True: 32, False: 16}
"""Of a long counter and of a short one: bits of the half that the event is added to."""


def event_port(dut: Any, name: str) -> Any:
    """A port that tells of an event."""
    return getattr(dut, f"events__{name}")


def pauses(chance: float) -> Iterator[bool]:
    """Pause with this chance in each cycle."""
    while True:
        yield random.random() < chance


class Bench:
    """The register file with a bus master, a model of the state memory and random pauses.

    long, short : events by the names of their counters.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.params = under_test()
        self.depth = self.params.batch * self.params.slot_values
        wide_max = self.params.formats.wide_max
        self.memory = [random.randint(-wide_max, wide_max) for _ in range(self.depth)]
        self.long, self.short = (
            {counter.name: counter.event for counter in counters_of(self.params) if counter.long is long}
            for long in (True, False)
        )
        self.pulses = dict.fromkeys(("abort_token", "clear", *(["hello"] if self.params.linked else [])), 0)
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "csr_"), dut.clk, dut.rst)

    async def begin(self) -> None:
        """Reset, then run the memory and pause every channel at random, each as often as it likes."""
        dut = self.dut
        Clock(dut.clk, 10, "ns").start()
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        for name in ("torn", "error_set", *self.long.values(), *self.short.values()):
            event_port(dut, name).value = 0
        dut.rst.value = 1
        await self.cycles(3)
        dut.rst.value = 0
        cocotb.start_soon(self._run_memory())
        self.pause([0, 0.2, 0.5, 0.8])

    def pause(self, chances: list[float]) -> None:
        """Pause each channel with one of the chances."""
        read, write = self.master.read_if, self.master.write_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(pauses(random.choice(chances)))

    async def cycles(self, count: int) -> None:
        """Wait; like the bus master, inputs change right after a rising edge."""
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    def start_counter(self, name: str, value: int) -> None:
        """Let it go on from a value, while nothing is added to it."""
        bits = _LOW_BITS[name in self.long]
        getattr(self.dut, f"{name.lower()}_count").value = value & (1 << bits) - 1
        getattr(self.dut, f"{name.lower()}_above").value = value >> bits

    async def _run_memory(self) -> None:
        """The memory of the state, of no use while the core has it. Counts pulses, too."""
        dut, bits = self.dut, self.params.formats.wide_bits
        under_way: deque[int | None] = deque([None] * STATE_LATENCY)
        busy = deque([0] * LATE, maxlen=LATE)
        while True:
            await FallingEdge(dut.clk)
            at = under_way.popleft()
            answer = random.getrandbits(bits) if at is None else self.memory[at] % (1 << bits)
            dut.state__read_data.value = answer
            busy.append(int(dut.events__busy.value))
            address, taken = int(dut.state__address.value), busy[0]
            under_way.append(None if taken or address >= self.depth else address)
            if int(dut.state__write.value):
                assert not taken
                self.memory[address] = dut.state__write_data.value.to_signed()
            for name in self.pulses:
                self.pulses[name] += int(getattr(dut, name).value)

    async def read(self, name: str) -> int:
        """Value of a register; the access must succeed."""
        value, response = await self.read_at(register(name).offset)
        assert response is AxiResp.OKAY, name
        return value

    async def read_at(self, address: int) -> tuple[int, AxiResp]:
        """Value and response of an address."""
        answer = await self.master.read(address, 4)
        return int.from_bytes(answer.data, "little"), answer.resp

    async def write(self, name: str, value: int) -> AxiResp:
        """Response to writing a register."""
        return await self.write_at(register(name).offset, (value & MASK).to_bytes(4, "little"))

    async def write_at(self, address: int, data: bytes) -> AxiResp:
        """Response to writing bytes."""
        return (await self.master.write(address, data)).resp
