# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the bridge: frames at the pin by the usual model of a serial line, accesses at the bus."""

import random
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer
from cocotbext.uart import UartSink, UartSource

from tritforge.hw.bridge.frames import FAILED, REFUSED, Kind, Operation, from_board, to_board
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.bridge import BoardModel
from tritforge.sim.cocotb_run import test_parameters

BIT_NS = 40
BYTE_NS = 10 * BIT_NS
CYCLE_NS = 10
WORDS = 64
"""Of what is at the bus; beyond it is nothing."""
Access = tuple[bool, int, int | None]
"""Write, byte address, word written."""


class Memory:
    """Words, and what was done to them."""

    def __init__(self) -> None:
        self.words, self.log = [0] * WORDS, list[Access]()

    def read(self, address: int) -> int | None:
        self.log.append((False, address, None))
        return self.words[address // 4] if address // 4 < WORDS else None

    def write(self, address: int, word: int) -> bool:
        self.log.append((True, address, word))
        if address // 4 < WORDS:
            self.words[address // 4] = word
        return address // 4 < WORDS


class Bench:
    """A bridge, and a model of what it does."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.memory, self._expected = Memory(), Memory()
        self.model = BoardModel(self._expected.read, self._expected.write)
        self.source, self.sink = UartSource(dut.rx, baud=1e9 / BIT_NS), UartSink(dut.tx, baud=1e9 / BIT_NS)
        self.slow = 0
        self.due = b""

    async def begin(self) -> None:
        """Reset, and the silence behind it."""
        dut = self.dut
        dut.rx.value = 1
        dut.bus__done.value = 0
        dut.tokens__valid.value = 0
        await begin(dut)
        cocotb.start_soon(self._bus())
        await self.gap()
        assert (await self.frame(self.write(0, 1)))[1] & REFUSED, "before the first connect"
        await self.frame(to_board(Operation.CONNECT, 250, 0, 1))
        assert (await self.frame(self.read(0, 1, -1)))[1] & REFUSED, "executed before the last connect"

    async def _bus(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.bus__valid)
            for _ in range(self.slow or random.randint(1, 6)):
                await FallingEdge(dut.clk)
                dut.bus__answer.value, dut.bus__error.value = random.getrandbits(32), random.getrandbits(1)
            address, word = 4 * int(dut.bus__address.value), int(dut.bus__data.value)
            if int(dut.bus__write.value):
                right = self.memory.write(address, word)
            else:
                answer = self.memory.read(address)
                right = answer is not None
                dut.bus__answer.value = answer or 0
            dut.bus__error.value = int(not right)
            dut.bus__done.value = 1
            await FallingEdge(dut.clk)
            dut.bus__done.value = 0
            assert not int(dut.bus__valid.value)

    async def send(self, data: bytes) -> None:
        """Bytes, close behind one another."""
        self.due += self.model.receive(data)
        self.source.write_nowait(data)
        await self.source.wait()

    async def gap(self) -> None:
        """Silence."""
        self.model.silence()
        await Timer(test_parameters()["gap"] * CYCLE_NS + BYTE_NS, "ns")

    async def answered(self) -> None:
        """All that is due has come, and no more does."""
        waited = 0
        while self.sink.count() < len(self.due):
            await Timer(BYTE_NS, "ns")
            waited += 1
            assert waited < 1000, f"{self.sink.count()} of {len(self.due)} bytes"
        await Timer(3 * BYTE_NS, "ns")
        found = bytes(self.sink.read_nowait())
        assert found == self.due, f"{found.hex()}, not {self.due.hex()}"
        assert self.memory.log == self._expected.log
        self.due = b""

    async def frame(self, data: bytes) -> bytes:
        """A frame, and its answer."""
        await self.send(data)
        due = self.due
        await self.answered()
        return due

    def write(self, address: int, words: int, ahead: int = 0) -> bytes:
        """A frame with the sequence so far ahead of the one expected."""
        sequence = (self.model.expected + ahead) % 256
        return to_board(Operation.WRITE, sequence, address, words, random.randbytes(4 * words))

    def read(self, address: int, words: int, ahead: int = 0) -> bytes:
        """The same."""
        return to_board(Operation.READ, (self.model.expected + ahead) % 256, address, words)


@cocotb.test()
async def operations(dut: Any) -> None:
    """Each operation answered, over the end of the sequence; repeated, refused, failed; two frames at once."""
    bench = Bench(dut)
    await bench.begin()
    for _ in range(4):
        await bench.frame(bench.write(4 * random.randrange(32), random.randint(1, 32)))
        read = bench.read(4 * random.randrange(32), random.randint(1, 32))
        await bench.frame(read)
        # what is read may have changed
        bench.memory.words[:] = bench._expected.words[:] = [random.getrandbits(32) for _ in range(WORDS)]
        await bench.frame(read)
        write = bench.write(4 * random.randrange(32), 3)
        first = await bench.frame(write)
        accesses = len(bench.memory.log)
        assert await bench.frame(write) == first and len(bench.memory.log) == accesses
        for ahead in (1, 128, -2):
            assert (await bench.frame(bench.write(0, 1, ahead)))[1] & REFUSED
        assert len(bench.memory.log) == accesses
        # two at once, and one close behind
        await bench.send(bench.read(0, 5) + bench.write(64, 4, 1))
        await bench.answered()
        failed = bench.write(4 * WORDS - 8, 4)
        assert (await bench.frame(failed))[1:4] == bytes([Kind.WRITTEN | FAILED, failed[2], 1])
        accesses = len(bench.memory.log)
        await bench.frame(failed)
        assert len(bench.memory.log) == accesses
        await bench.frame(bench.read(4 * WORDS - 4, 3))
        await bench.frame(bench.read(0, 1))
    assert bench.model.expected < 250


@cocotb.test()
async def third(dut: Any) -> None:
    """One frame waits while another is executed; a third is lost as a whole, and what follows it closely."""
    bench = Bench(dut)
    await bench.begin()
    bench.slow = 200
    # expects what it is told, while the model has executed them
    await bench.send(bench.write(0, 8))
    await bench.send(bench.write(32, 2))
    lost = bench.write(64, 1)
    bench.source.write_nowait(lost + lost)
    await bench.source.wait()
    await bench.answered()
    await bench.gap()
    await bench.frame(lost)
    assert bench.memory.log[-1][1] == 64
    # the one before is taken while it comes: its rest looks like frames from each of 16 bytes on
    bench.slow = 2000
    for place in range(16):
        await bench.send(bench.write(0, 1))
        await bench.send(bench.write(32, 2))
        inner = bench.write(64, 1)
        assert len(inner) == 16
        await Timer(1 + place * BYTE_NS, "ns")
        bench.source.write_nowait(to_board(Operation.WRITE, bench.model.expected, 0, 40, 10 * inner))
        await bench.source.wait()
        await bench.answered()
        await bench.gap()
        await bench.frame(inner)


@cocotb.test()
async def pulled(dut: Any) -> None:
    """A cable that is pulled in a frame, or a host that dies, leaves nothing behind."""
    bench = Bench(dut)
    await bench.begin()
    for at in (1, 2, 5, 9, 20, 27):
        frame = bench.write(0, 4)
        await bench.send(frame[:at])
        dut.rx.value = 0
        await Timer(random.choice([3, 30, 300]) * BYTE_NS, "ns")
        dut.rx.value = 1
        await bench.gap()
        await bench.answered()
        await bench.frame(bench.read(0, 2))
        # a host that begins before the gap is over gets no answer, and later on one
        await bench.send(frame[:at])
        await Timer(test_parameters()["gap"] * CYCLE_NS // 4, "ns")
        await bench.send(to_board(Operation.CONNECT, 7, 0, 1))
        await bench.gap()
        await bench.answered()
        await bench.frame(to_board(Operation.CONNECT, 8, 0, 1))
        await bench.frame(frame[:2] + bench.write(0, 4)[2:])


async def _push(dut: Any, number: int) -> bytes:
    """Offer a token; its frame."""
    token, cycles, status = random.getrandbits(16), random.getrandbits(32), random.getrandbits(8)
    await FallingEdge(dut.clk)
    dut.tokens__payload.value = number | token << 16 | cycles << 32 | status << 64
    dut.tokens__valid.value = 1

    async def taken() -> None:
        await RisingEdge(dut.tokens__ready)
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        dut.tokens__valid.value = 0

    cocotb.start_soon(taken())
    words = (number | token << 16).to_bytes(4, "little") + cycles.to_bytes(4, "little")
    return from_board(Kind.TOKEN, status, 1, words)


@cocotb.test()
async def tokens(dut: Any) -> None:
    """They are sent between answers, before one that waits, 16 bytes each, and are taken with the last one."""
    bench = Bench(dut)
    await bench.begin()
    for number in range(0, 12, 3):
        bench.due += await _push(dut, number)
        assert len(bench.due) == 16
        await bench.answered()
        assert not int(dut.tokens__valid.value)
        # offered while an answer is sent and another one waits
        await bench.send(bench.read(0, 10))
        first = bench.due
        await bench.send(bench.write(0, 1))
        second = bench.due[len(first) :]
        bench.due = first + await _push(dut, number + 1) + second
        await bench.answered()
        # it is sent while a frame comes
        token = await _push(dut, number + 2)
        await bench.send(bench.read(0, 1))
        bench.due = token + bench.due
        await bench.answered()
