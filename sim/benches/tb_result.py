# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the result unit: whole result packets against NumPy's argmax, and the cycles they take."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, ReadOnly
from numpy.typing import NDArray

from tritforge.golden.model.formats import Formats
from tritforge.hw.control.result import ResultUnit
from tritforge.hw.packet import Result, parse_result, scale_word, split_logits
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Status
from tritforge.sim.benches.tb_units import begin
from tritforge.sim.cocotb_run import test_parameters


def params() -> CoreParams:
    """The core under test."""
    return CoreParams(**test_parameters() | {"formats": Formats()})


@dataclass
class Packet:
    """What one packet brings: accumulators [contexts, vocab], contexts that send, logit scales, how it ends."""

    logits: NDArray[np.int64]
    sends: int
    scales: list[tuple[int, int]]
    status: Status
    sequence: int

    @property
    def contexts(self) -> int:
        return len(self.logits)

    @property
    def senders(self) -> list[int]:
        return [c for c in range(self.contexts) if self.sends >> c & 1]


@dataclass
class Rows:
    """A row group as it is offered."""

    context: int
    row: int
    live: int
    acc: list[int]

    def ports(self) -> dict[str, int]:
        """What the unit's ports take."""
        bits = params().acc_bits
        acc = sum((value & (1 << bits) - 1) << bits * place for place, value in enumerate(self.acc))
        return {"acc": acc, "rows__live": self.live, "rows__context": self.context, "rows__row": self.row}


def some_logits(shape: tuple[int, int]) -> NDArray[np.int64]:
    """Accumulators of a kind that a wrong comparison gets wrong: ties, negative numbers, both ends of the range."""
    rng = np.random.default_rng(random.getrandbits(32))
    end = 1 << params().acc_bits - 1
    kinds: list[Callable[[], NDArray[np.int64]]] = [
        lambda: rng.integers(-end, end, shape),
        lambda: rng.integers(-3, 0, shape),
        lambda: rng.integers(0, 2, shape),
        lambda: rng.choice([-end, end - 1], shape),
        lambda: np.full(shape, -end),
        lambda: np.broadcast_to(np.arange(shape[1]) - end, shape),
        lambda: np.broadcast_to(-1 - np.arange(shape[1]), shape),
    ]
    return random.choice(kinds)()


def some_packet(status: Status = Status.OK) -> Packet:
    """A packet of random size; contexts beyond the last are in its mask, too."""
    geometry = params()
    contexts = random.randint(1, geometry.batch)
    vocab = random.choice([2, geometry.rows, geometry.rows + 1, geometry.max_vocab, geometry.max_vocab])
    vocab = random.choice([min(vocab, geometry.max_vocab), random.randint(2, geometry.max_vocab)])
    scales = [
        (random.getrandbits(geometry.formats.mantissa), random.randint(-2048, 2047)) for _ in range(geometry.batch)
    ]
    sends = random.choice([0, 0xFF, random.getrandbits(8)])
    return Packet(some_logits((contexts, vocab)), sends, scales, status, random.getrandbits(32))


def row_groups(packet: Packet, padding: bool) -> list[Rows]:
    """Row block by row block, context by context; dead lanes, and with ``padding`` whole dead groups, hold noise."""
    geometry, vocab = params(), packet.logits.shape[1]
    found = []
    for block in range(geometry.blocks(vocab)):
        for context in range(packet.contexts):
            for group in range(geometry.row_groups):
                row = block * geometry.rows + group * geometry.vector_rows
                acc = [random.getrandbits(geometry.acc_bits - 1) for _ in range(geometry.vector_rows)]
                own = packet.logits[context, row : row + geometry.vector_rows].tolist()
                acc[: len(own)] = own
                if own or padding:
                    found.append(Rows(context, row, (1 << len(own)) - 1, acc))
    return found


class Bench:
    """Drives one unit cycle by cycle and collects its words."""

    def __init__(self, dut: Any, ready: float, offer: float) -> None:
        self.dut, self.ready, self.offer = dut, ready, offer
        self.cycle, self.words = 0, list[int]()
        self.held: tuple[int, int] | None = None
        self.ended = 0
        self.room = deque([1] * 2, maxlen=2)

    async def step(self, packet: Packet, rows: Rows | None = None, **pulses: int) -> None:
        """One cycle."""
        dut, geometry = self.dut, params()
        for name in ("begin", "finish"):
            getattr(dut, f"packet__{name}").value = pulses.get(name, 0)
        # a function of registers only, so it is this cycle's already
        mantissa, shift = packet.scales[int(dut.scale_context.value) % geometry.batch]
        dut.scale__mantissa.value, dut.scale__shift.value = mantissa, shift
        dut.logits.value = packet.sends
        dut.contexts.value = packet.contexts if packet.status == Status.OK else random.getrandbits(4)
        dut.packet__status.value, dut.sequence.value = packet.status, packet.sequence
        if not pulses.get("trailer", 0) | pulses.get("finish", 0):
            dut.packet__status.value, dut.sequence.value = random.getrandbits(4), random.getrandbits(32)
        dut.rows__valid.value = int(rows is not None)
        for name, value in (rows or Rows(0, 0, random.getrandbits(geometry.vector_rows), [])).ports().items():
            getattr(dut, name).value = value
        dut.result__tready.value = int(random.random() < self.ready)
        await ReadOnly()
        self.room.append(int(dut.rows__room.value))
        valid, word, last = (int(getattr(dut, f"result__{name}").value) for name in ("tvalid", "tdata", "tlast"))
        taken = valid and int(dut.result__tready.value)
        if self.held is not None:
            assert (valid, word, last) == (1, *self.held)
        self.held = (word, last) if valid and not taken else None
        if taken:
            self.words.append(word)
        assert int(dut.packet__done.value) == int(taken and last)
        if taken and last:
            self.ended += 1
        await FallingEdge(dut.clk)
        self.cycle += 1

    async def packet(self, packet: Packet, padding: bool) -> tuple[Result, int, int]:
        """A whole packet: its result, the logits that were to be sent before it ended, and the cycles of its rows."""
        groups = row_groups(packet, padding)
        stop = len(groups) if packet.status == Status.OK else random.randint(0, len(groups))
        self.words, accepted = [], 0
        await self.step(packet, begin=1)
        start = self.cycle
        for rows in groups[:stop]:
            await self.step(packet)
            # decided two cycles ago
            while random.random() >= self.offer or not self.room[0]:
                await self.step(packet)
            await self.step(packet, rows)
            accepted += rows.live.bit_count() * (packet.sends >> rows.context & 1)
        cycles = self.cycle - start
        while random.random() >= self.offer:
            await self.step(packet)
        self.ended, self.cycle = 0, 0
        await self.step(packet, finish=1)
        while not self.ended:
            assert self.cycle < 4000, "The trailer does not end."
            await self.step(packet, trailer=1)
        return parse_result(np.array(self.words, dtype=np.uint32)), accepted, cycles


def check(packet: Packet, result: Result, accepted: int) -> None:
    """The result is what the packet asked for, to the last word."""
    assert (result.status, result.sequence) == (packet.status, packet.sequence)
    vocab = packet.logits.shape[1]
    if packet.status == Status.OK:
        assert result.tokens == tuple(packet.logits.argmax(axis=1).tolist())
        assert result.scales == tuple(scale_word(*packet.scales[c]) for c in range(packet.contexts))
        if packet.senders:
            found = split_logits(params(), vocab, len(packet.senders), result.logits)
            assert np.array_equal(found, packet.logits[packet.senders])
        else:
            assert result.logits.size == 0
        return
    assert result.tokens == result.scales == ()
    sent = [
        acc
        for rows in row_groups(packet, padding=False)
        if packet.sends >> rows.context & 1
        for acc in rows.acc[: rows.live.bit_count()]
    ]
    assert result.logits.tolist() == sent[:accepted]


@cocotb.test()
async def packets(dut: Any) -> None:
    """Packets in a row, good and bad ones, under several kinds of back-pressure and of gaps between rows."""
    dut.packet__begin.value = dut.packet__finish.value = dut.rows__valid.value = dut.result__tready.value = 0
    await begin(dut)
    for ready, offer in ((1.0, 1.0), (0.5, 1.0), (0.1, 1.0), (1.0, 0.3), (0.5, 0.5)):
        bench = Bench(dut, ready, offer)
        for index in range(21):
            status = random.choice(list(Status)) if index % 3 == 2 else Status.OK
            packet = some_packet(status)
            result, accepted, _ = await bench.packet(packet, padding=random.random() < 0.5)
            check(packet, result, accepted)


@cocotb.test()
async def speed(dut: Any) -> None:
    """Two cycles for each row group or, of contexts that send, one for each live row; the trailer without gaps."""
    dut.packet__begin.value = dut.packet__finish.value = dut.rows__valid.value = dut.result__tready.value = 0
    await begin(dut)
    bench, unit = Bench(dut, 1.0, 1.0), ResultUnit(params())
    for index in range(20):
        packet = some_packet()
        if index % 2:
            packet.sends = 0
        result, accepted, cycles = await bench.packet(packet, padding=True)
        check(packet, result, accepted)
        groups = row_groups(packet, padding=True)
        trailer = unit.latency + 2 * packet.contexts + 2
        if not packet.senders:
            assert cycles == 2 * len(groups)
            assert bench.cycle == trailer
        # a group that has to wait for room may come a cycle late
        assert cycles + bench.cycle <= max(3 * len(groups), 2 * len(groups) + accepted) + trailer + 2
