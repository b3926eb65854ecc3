# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the machine's registers: accesses of the bus against their table, and a player that asks."""

import random
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from tritforge.hw.board.machine_map import (
    BY_NAME,
    LEAST_CAPTURE,
    MACHINE,
    MACHINE_ID,
    MACHINE_VERSION,
    REGISTERS,
    SETTINGS,
    SETTINGS_OFFSET,
    Setting,
    setting_offset,
)
from tritforge.hw.register_map import Access
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.word_bus import BusMaster
from tritforge.sim.cocotb_run import test_parameters

MEMORY = range(SETTINGS_OFFSET // 4, SETTINGS_OFFSET // 4 + SETTINGS)
"""Words of the settings, among the machine's registers."""


class Bench:
    """Registers, with counters at their pulses.

    Attributes
    ----------
    started, stopped : cycles with a pulse.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.started = self.stopped = 0
        self.master = BusMaster(dut, self.cycle)
        for name in ("setting", "ready", "playing", "done", "cycles", "address", "last_word"):
            getattr(dut, name).value = 0

    def cycle(self) -> None:
        """A cycle."""
        self.started += int(self.dut.start.value)
        self.stopped += int(self.dut.stop.value)

    async def read(self, name: str) -> int | None:
        """A register by name."""
        return await self.master.read((MACHINE + BY_NAME[name].offset) // 4)

    async def write(self, name: str, value: int) -> bool:
        """The same."""
        return await self.master.write((MACHINE + BY_NAME[name].offset) // 4, value)

    async def command(self, value: int) -> tuple[int, int]:
        """Cycles of start and stop that it gives; a read gives none."""
        before = self.started, self.stopped
        assert await self.write("COMMAND", value)
        assert await self.master.read((MACHINE + BY_NAME["COMMAND"].offset) // 4, 3) == 0
        await self.master.pause(3)
        return self.started - before[0], self.stopped - before[1]

    async def filled(self) -> list[int]:
        """The settings, which no reset clears, when each has been written."""
        words = [random.getrandbits(32) for _ in MEMORY]
        for index, word in enumerate(words):
            assert await self.master.write(MACHINE // 4 + MEMORY[index], word)
        return words

    async def settings(self) -> list[int | None]:
        """All of them, as the host reads them."""
        return [await self.master.read(MACHINE // 4 + word) for word in MEMORY]

    async def asked(self, index: int) -> int:
        """What a player gets that asks for a setting in one cycle, and for another in the next."""
        self.dut.setting.value = index
        await FallingEdge(self.dut.clk)
        found = int(self.dut.setting_data.value)
        self.dut.setting.value = random.randrange(SETTINGS)
        return found


async def begun(dut: Any) -> Bench:
    """Registers after their reset."""
    bench = Bench(dut)
    await begin(dut)
    return bench


@cocotb.test()
async def identity(dut: Any) -> None:
    """What the machine is; none of it can be written."""
    bench, parameters = await begun(dut), test_parameters()
    shape = {
        "VERSION": MACHINE_VERSION,
        "BEAT_BYTES_LOG2": parameters["beat_bytes"].bit_length() - 1,
        "BEATS_LOG2": parameters["address_bits"],
        "STARTED_BY_HOST": int(parameters["started_by_host"]),
    }
    expected = {
        "ID": MACHINE_ID,
        "SHAPE": sum(value << BY_NAME["SHAPE"].field(name).low for name, value in shape.items()),
        "CLOCK": parameters["clock_hz"] // 1000,
        "COMMAND": 0,
        "CAPTURE": LEAST_CAPTURE,
    }
    for _ in range(2):
        for name, value in expected.items():
            assert await bench.read(name) == value, name
        for register in REGISTERS:
            if register.access is Access.READ_ONLY:
                assert not await bench.write(register.name, random.getrandbits(32)), register.name


@cocotb.test()
async def shows(dut: Any) -> None:
    """Each register shows its inputs, and no other's."""
    bench = await begun(dut)
    for _ in range(30):
        inputs = {
            name: random.choice([0, 1, (1 << len(getattr(dut, name))) - 1, random.getrandbits(32)])
            % (1 << len(getattr(dut, name)))
            for name in ("ready", "playing", "done", "cycles", "address", "last_word")
        }
        for name, value in inputs.items():
            getattr(dut, name).value = value
        await bench.master.pause(2)
        for name, fields in {
            "STATUS": {"READY": inputs["ready"], "PLAYING": inputs["playing"]},
            "RESULT": {"ADDRESS": inputs["address"], "LAST_WORD": inputs["last_word"]},
        }.items():
            assert await bench.read(name) == sum(
                value << BY_NAME[name].field(field).low for field, value in fields.items()
            )
        assert await bench.read("DONE") == inputs["done"]
        assert await bench.read("CYCLES") == inputs["cycles"]


@cocotb.test()
async def commands(dut: Any) -> None:
    """A bit of the command is a pulse of one cycle, of its own; START is none while something is played."""
    bench = await begun(dut)
    for playing in (0, 1, 0):
        dut.playing.value = playing
        for value in (0, 1, 2, 3, 0xFFFFFFFC, 0xFFFFFFFF):
            assert await bench.command(value) == (value & 1 and not playing, value >> 1 & 1)
    for register in REGISTERS:
        if register.name != "COMMAND":
            before = bench.started, bench.stopped
            await bench.write(register.name, 3)
            assert (bench.started, bench.stopped) == before, register.name


@cocotb.test()
async def capture(dut: Any) -> None:
    """Its fields are kept and given away; other bits do not exist."""
    bench = await begun(dut)
    fields = [BY_NAME["CAPTURE"].field(name) for name in ("CYCLES", "PHASE")]
    assert (int(dut.capture.value), int(dut.phase.value)) == (LEAST_CAPTURE, 0)
    for value in (0xFFFFFFFF, 0, *(random.getrandbits(32) for _ in range(20))):
        assert await bench.write("CAPTURE", value)
        kept = [value >> field.low & (1 << field.width) - 1 for field in fields]
        assert [int(dut.capture.value), int(dut.phase.value)] == kept
        assert await bench.read("CAPTURE") == sum(part << field.low for part, field in zip(kept, fields, strict=True))
        # what is written elsewhere is not written here
        await bench.write("COMMAND", random.getrandbits(32))
        assert await bench.master.write((MACHINE + setting_offset(Setting.COUNT)) // 4, random.getrandbits(32))
        assert [int(dut.capture.value), int(dut.phase.value)] == kept


@cocotb.test()
async def settings(dut: Any) -> None:
    """A memory for the host while nothing is played, and for the player alone while something is."""
    bench = await begun(dut)
    words = await bench.filled()
    for _ in range(6):
        for _ in range(10):
            index, word = random.randrange(SETTINGS), random.getrandbits(32)
            assert await bench.master.write(MACHINE // 4 + MEMORY[index], word)
            words[index] = word
            index = random.randrange(SETTINGS)
            assert await bench.master.read(MACHINE // 4 + MEMORY[index]) == words[index]
        dut.playing.value = 1
        await bench.master.pause(2)
        for index in random.sample(range(SETTINGS), SETTINGS):
            assert await bench.asked(index) == words[index]
        # the host reads zeros and writes nothing, and the player does not feel it
        index = random.randrange(SETTINGS)
        assert not await bench.master.write(MACHINE // 4 + MEMORY[index], random.getrandbits(32))
        dut.setting.value = random.randrange(SETTINGS)
        assert await bench.master.read(MACHINE // 4 + MEMORY[index]) == 0
        assert [await bench.asked(index) for index in range(SETTINGS)] == words
        dut.playing.value = 0
        await bench.master.pause(2)


@cocotb.test()
async def ends_at_any_moment(dut: Any) -> None:
    """Around the edges of playing a write is carried out or is an error, and a read gives the word or zero."""
    bench = await begun(dut)
    words = await bench.filled()

    async def toggle() -> None:
        while True:
            await FallingEdge(dut.clk)
            dut.playing.value = random.getrandbits(1)
            dut.setting.value = random.randrange(SETTINGS)

    toggling = cocotb.start_soon(toggle())
    outcomes = set()
    for _ in range(150):
        index, word = random.randrange(SETTINGS), random.getrandbits(32)
        wrote = await bench.master.write(MACHINE // 4 + MEMORY[index], word)
        words[index] = word if wrote else words[index]
        index = random.randrange(SETTINGS)
        found = await bench.master.read(MACHINE // 4 + MEMORY[index])
        assert found in (0, words[index])
        outcomes.add((wrote, found == 0))
    toggling.cancel()
    assert len(outcomes) == 4
    dut.playing.value = 0
    await bench.master.pause(2)
    assert await bench.settings() == words


@cocotb.test()
async def unknown(dut: Any) -> None:
    """Whatever is not in the table is an error and does nothing, also where some bits of its address are known."""
    bench = await begun(dut)
    words = await bench.filled()
    known = {register.offset // 4 for register in REGISTERS} | set(MEMORY)
    below = [offset for offset in range(max(MEMORY) + 1) if offset not in known]
    far = [offset | 1 << bit for offset in known for bit in range(max(MEMORY).bit_length(), 28)]
    command = BY_NAME["COMMAND"].offset // 4
    for offset in (*below, *random.sample(far, 60), *(command | 1 << bit for bit in range(5, 28))):
        assert await bench.master.read(MACHINE // 4 + offset) is None, hex(offset)
        assert not await bench.master.write(MACHINE // 4 + offset, 0xFFFFFFFF), hex(offset)
    assert (bench.started, bench.stopped) == (0, 0)
    assert await bench.read("CAPTURE") == LEAST_CAPTURE
    assert await bench.settings() == words
