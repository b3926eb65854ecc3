# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the register file: every register through AXI4-Lite with pauses on all channels."""

import logging
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from golden.numerics import Formats
from hw.params import CoreParams
from hw.register_map import REGISTERS, Access, constants, register
from sim.cocotb_run import test_parameters

COUNTERS = {"CYCLES": "busy", "BEATS": "beat", "STARVED": "starved", "STALLED": "stalled"}
EVENTS = ("beat", "starved", "stalled", "token_done", "saturated")
MASK = 0xFFFFFFFF


def core_params() -> CoreParams:
    """The core under test."""
    given = test_parameters()["core"]
    return CoreParams(**given | {"formats": Formats(**given["formats"])})


def pauses(chance: float) -> Iterator[bool]:
    """Pause with this chance in each cycle."""
    while True:
        yield random.random() < chance


class Bench:
    """The register file with a bus master, a model of the state memory and random pauses."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.core = core_params()
        self.depth = self.core.max_layers * self.core.max_hidden
        wide_max = self.core.formats.wide_max
        self.memory = [random.randint(-wide_max, wide_max) for _ in range(self.depth)]
        self.pulses = {"abort_token": 0, "clear": 0}
        self.master = AxiLiteMaster(AxiLiteBus.from_entity(dut), dut.clk, dut.rst)

    async def begin(self) -> None:
        """Reset, then run the memory and pause every channel at random, each as often as it likes."""
        dut = self.dut
        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        for name in ("busy", "torn", "error_set", *EVENTS):
            getattr(dut, name).value = 0
        dut.rst.value = 1
        await self.cycles(3)
        dut.rst.value = 0
        cocotb.start_soon(self._run_memory())
        read, write = self.master.read_if, self.master.write_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(pauses(random.choice([0, 0.2, 0.5, 0.8])))

    async def cycles(self, count: int) -> None:
        """Wait; like the bus master, inputs change right after a rising edge."""
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    async def _run_memory(self) -> None:
        """Two cycles from address to data; nothing of use while the core is busy. Counts pulses, too."""
        dut, bits = self.dut, self.core.formats.wide_bits
        first = second = None
        while True:
            await FallingEdge(dut.clk)
            answer = random.getrandbits(bits) if second is None else self.memory[second] % (1 << bits)
            dut.state_read_data.value = answer
            busy, address = int(dut.busy.value), int(dut.state_address.value)
            first, second = (None if busy or address >= self.depth else address), first
            if int(dut.state_write.value):
                assert not busy
                self.memory[address] = dut.state_write_data.value.to_signed()
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


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def identity(dut: Any) -> None:
    """Constants, status, and SLVERR wherever there is nothing to be read or written."""
    bench = Bench(dut)
    await bench.begin()
    known = {entry.offset: entry for entry in REGISTERS}
    for name, value in constants(bench.core).items():
        assert await bench.read(name) == value, name
    for busy, torn in ((0, 1), (1, 0), (1, 1), (0, 0)):
        dut.busy.value, dut.torn.value = busy, torn
        await bench.cycles(1)
        assert await bench.read("STATUS") == busy | torn << 1
    for address in range(0, 4096, 4):
        entry = known.get(address)
        if entry is None:
            assert await bench.read_at(address) == (0, AxiResp.SLVERR), hex(address)
        if entry is None or entry.access is Access.READ_ONLY:
            assert await bench.write_at(address, bytes(4)) is AxiResp.SLVERR, hex(address)
    for name, value in constants(bench.core).items():
        assert await bench.read(name) == value, name


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def commands(dut: Any) -> None:
    """One pulse for each 1 written; none for a 0, a partial write or another register."""
    bench = Bench(dut)
    await bench.begin()
    for value, abort, clear in ((1, 1, 0), (2, 0, 1), (3, 1, 1), (0, 0, 0), (0xFFFFFFFC, 0, 0)):
        before = dict(bench.pulses)
        assert await bench.write("CONTROL", value) is AxiResp.OKAY
        await bench.write("ERRORS", 3)
        assert await bench.read("CONTROL") == 0
        await bench.cycles(3)
        after = {name: bench.pulses[name] - before[name] for name in before}
        assert after == {"abort_token": abort, "clear": clear}
    for size in (1, 2, 3):
        before = dict(bench.pulses)
        assert await bench.write_at(register("CONTROL").offset, b"\x03" * size) is AxiResp.SLVERR
        await bench.cycles(3)
        assert bench.pulses == before


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def errors(dut: Any) -> None:
    """Bits stay until 1 is written to them; one that is set in that very cycle stays, too."""
    bench = Bench(dut)
    await bench.begin()
    sticky, seen = 0, []

    async def predict() -> None:
        nonlocal sticky
        while True:
            await FallingEdge(dut.clk)
            if int(dut.arready.value):
                seen.append(sticky)
            if int(dut.awready.value):
                sticky &= ~int(dut.wdata.value)
            sticky |= int(dut.error_set.value)

    async def disturb() -> None:
        while True:
            dut.error_set.value = random.getrandbits(16) & random.getrandbits(16) & random.getrandbits(16)
            await bench.cycles(1)

    tasks = [cocotb.start_soon(predict()), cocotb.start_soon(disturb())]
    for _ in range(100):
        assert await bench.write("ERRORS", random.getrandbits(16)) is AxiResp.OKAY
        assert await bench.read("ERRORS") == seen[-1]
    for task in tasks:
        task.cancel()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counters(dut: Any) -> None:
    """Every counter counts its own event, carries into its upper half, is read whole and can be cleared."""
    bench = Bench(dut)
    await bench.begin()
    names = {**COUNTERS, "TOKENS": "token_done", "SATURATIONS": "saturated"}
    for start in (0, 0xFFFFFF80, 0x3FFFFFF80):
        assert await bench.write("CONTROL", 2) is AxiResp.OKAY
        await bench.cycles(3)
        for name in COUNTERS:
            getattr(dut, f"{name.lower()}_count").value = start
        counts = {name: start if name in COUNTERS else 0 for name in names}
        for _ in range(400):
            for name, event in names.items():
                high = random.random() < 0.1 * len(event)
                getattr(dut, event).value = high
                counts[name] += high
            await bench.cycles(1)
        for event in names.values():
            getattr(dut, event).value = 0
        await bench.cycles(2)
        lows = {name: await bench.read(f"{name}_LO") for name in COUNTERS}
        for name in COUNTERS:
            assert await bench.read(f"{name}_HI") << 32 | lows[name] == counts[name], name
        for name in ("TOKENS", "SATURATIONS"):
            assert await bench.read(name) == counts[name], name


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def running_counter(dut: Any) -> None:
    """The halves of a running counter belong together; a short one stops at its end."""
    bench = Bench(dut)
    await bench.begin()
    dut.cycles_count.value = 0xFFFFFFFF - 40
    dut.tokens_count.value = MASK - 5
    dut.busy.value = dut.token_done.value = 1
    last = 0
    for _ in range(30):
        low, high = await bench.read("CYCLES_LO"), await bench.read("CYCLES_HI")
        assert last < (high << 32 | low) < 0x100000000 + 4000
        last = high << 32 | low
    assert last >> 32 == 1
    assert await bench.read("TOKENS") == MASK


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def state_window(dut: Any) -> None:
    """Random accesses, in runs, against a copy of the memory: increments, limits, and refusal while busy."""
    bench = Bench(dut)
    await bench.begin()
    model, address = list(bench.memory), 0
    wide_max = bench.core.formats.wide_max
    for _ in range(150):
        action = random.random()
        if action < 0.3:
            new = random.choice([0, bench.depth - 1, bench.depth - 2, random.randrange(bench.depth)])
            assert await bench.write("STATE_ADDRESS", new) is AxiResp.OKAY
            address = new
        elif action < 0.35:
            new = random.choice([bench.depth, bench.depth + 1, MASK, 1 << 31])
            assert await bench.write("STATE_ADDRESS", new) is AxiResp.SLVERR
        elif action < 0.45:
            dut.busy.value = 1
            await bench.cycles(1)
            assert await bench.read_at(register("STATE_DATA").offset) == (0, AxiResp.SLVERR)
            assert await bench.write("STATE_DATA", 1) is AxiResp.SLVERR
            dut.busy.value = 0
            await bench.cycles(1)
        for _ in range(random.randrange(4)):
            if random.random() < 0.5:
                value = random.choice([wide_max, -wide_max, 0, -1, random.randint(-wide_max, wide_max)])
                response = await bench.write("STATE_DATA", value)
                if address < bench.depth:
                    model[address] = value
            else:
                got, response = await bench.read_at(register("STATE_DATA").offset)
                assert got == (model[address] & MASK if address < bench.depth else 0)
            assert response is (AxiResp.OKAY if address < bench.depth else AxiResp.SLVERR)
            address = min(address + 1, bench.depth)
        assert await bench.read("STATE_ADDRESS") == address
    assert await bench.write("STATE_ADDRESS", 0) is AxiResp.OKAY
    for beyond in (wide_max + 1, -wide_max - 1, 2 * wide_max, -2 * wide_max):
        if -(1 << 31) <= beyond < 1 << 31:
            assert await bench.write("STATE_DATA", beyond) is AxiResp.SLVERR
    assert await bench.read("STATE_ADDRESS") == 0
    assert bench.memory == model


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def busy_at_any_moment(dut: Any) -> None:
    """A read around the edges of busy gives the word, or SLVERR and the word again at the next read."""
    bench = Bench(dut)
    await bench.begin()

    async def toggle() -> None:
        while True:
            dut.busy.value = random.getrandbits(1)
            await bench.cycles(random.randint(1, 8))

    toggling = cocotb.start_soon(toggle())
    outcomes, address = [], 0
    while address < bench.depth:
        value, response = await bench.read_at(register("STATE_DATA").offset)
        outcomes.append(response)
        if response is AxiResp.OKAY:
            assert value == bench.memory[address] & MASK
            address += 1
    assert set(outcomes) == {AxiResp.OKAY, AxiResp.SLVERR}
    toggling.cancel()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def together(dut: Any) -> None:
    """Many reads and writes under way at once: all are answered, each kind in order, neither starves."""
    bench = Bench(dut)
    await bench.begin()
    bench.master.write_if.b_channel.set_pause_generator(pauses(0.9))
    bench.master.read_if.r_channel.set_pause_generator(pauses(0.9))
    offset = register("STATE_ADDRESS").offset
    addresses = [random.randrange(bench.depth) for _ in range(100)]
    writes = [bench.master.init_write(offset, a.to_bytes(4, "little")) for a in addresses]
    names = ["ID", "VERSION", "STATUS"] * 30
    reads = [bench.master.init_read(register(name).offset, 4) for name in names]
    for event in writes:
        await event.wait()
        assert event.data.resp is AxiResp.OKAY
    expected = constants(bench.core) | {"STATUS": 0}
    for event, name in zip(reads, names, strict=True):
        await event.wait()
        assert int.from_bytes(event.data.data, "little") == expected[name]
    assert await bench.read("STATE_ADDRESS") == addresses[-1]
