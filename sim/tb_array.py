# SPDX-License-Identifier: Apache-2.0
"""cocotb testbench of `hw.array.TernaryArray`: every sum of every block against an integer matrix product."""

import itertools
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from numpy.typing import NDArray

from hw.array import TernaryArray
from hw.params import CoreParams
from hw.trits import encode_table
from sim.cocotb_run import test_parameters

CORNERS = (-128, 127)


@dataclass
class Block:
    """trits [beats, rows, columns], activations [beats, columns]; no last beat unless ``finished``."""

    trits: NDArray[np.int64]
    activations: NDArray[np.int64]
    finished: bool = True

    def sums(self) -> list[int]:
        return np.einsum("brc,bc->r", self.trits, self.activations).tolist()

    def beats(self) -> Iterator[tuple[int, int]]:
        """(beat, activations) as the ports take them."""
        index = (self.trits.reshape(len(self.trits), -1, 5) + 1) @ (3 ** np.arange(5))
        for weights, activations in zip(encode_table()[index], self.activations.astype(np.int8), strict=True):
            yield (int.from_bytes(data.tobytes(), "little") for data in (weights, activations))


class Bench:
    """Issues blocks, drains the sums and compares them, one step a cycle.

    Parameters
    ----------
    gap, stall : chance of a cycle without a beat and without a drain.
    """

    def __init__(self, dut: object, core: CoreParams, gap: float = 0, stall: float = 0) -> None:
        self.dut, self.core, self.gap, self.stall = dut, core, gap, stall
        self.latency = TernaryArray(core).latency
        self.cycle = 0
        self.pending: deque[tuple[int, list[int]]] = deque()
        self.unread: list[int] = []

    async def run(self, blocks: Iterable[Block]) -> None:
        """Issue the blocks back to back but for the gaps and the waits that the contract asks for."""
        cocotb.start_soon(Clock(self.dut.clk, 2, "ns").start())
        self.dut.rst.value = 1
        self.dut.valid.value = self.dut.drain.value = 0
        for _ in range(2):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0
        for block in blocks:
            await self._issue(block)
        while self.pending or self.unread:
            await self._step()

    async def _issue(self, block: Block) -> None:
        beats = list(block.beats())
        for number, (beat, activations) in enumerate(beats):
            last = block.finished and number == len(beats) - 1
            while random.random() < self.gap or (last and not self._may_finish()):
                self._noise()
                await self._step()
            dut = self.dut
            dut.valid.value, dut.first.value, dut.last.value = 1, number == 0, last
            dut.beat.value, dut.activations.value = beat, activations
            if last:
                self.pending.append((self.cycle + self.latency, block.sums()))
            await self._step()
        self._noise()

    def _may_finish(self) -> bool:
        """With stalls, the block before must have been read; without, it is known when it will have been."""
        if self.stall:
            return not self.pending and not self.unread
        due = self.pending[-1][0] + self.core.rows if self.pending else self.cycle + len(self.unread) + 1
        return self.cycle + self.latency >= due

    def _noise(self) -> None:
        """Nothing but ``valid`` keeps what is on the other ports from being taken."""
        dut, core = self.dut, self.core
        dut.valid.value, dut.first.value, dut.last.value = 0, random.getrandbits(1), random.getrandbits(1)
        dut.beat.value = random.getrandbits(8 * core.lanes)
        dut.activations.value = random.getrandbits(8 * core.columns)

    async def _step(self) -> None:
        """To the next cycle, then compare what is there and decide about ``drain``."""
        await FallingEdge(self.dut.clk)
        self.cycle += 1
        expected = bool(self.pending) and self.pending[0][0] == self.cycle
        assert self.dut.loaded.value == expected, f"loaded is not {expected} in cycle {self.cycle}"
        if expected:
            assert not self.unread, "the bench loaded a block before the one before was read"
            self.unread = self.pending.popleft()[1]
        drain = bool(self.unread) and random.random() >= self.stall
        if self.unread:
            assert self.dut.acc.value.to_signed() == self.unread[0], f"row {-len(self.unread)} is wrong"
        if drain:
            del self.unread[0]
        self.dut.drain.value = drain


def _core() -> CoreParams:
    return CoreParams(**test_parameters())


def _random_block(rng: np.random.Generator, core: CoreParams, beats: int, extreme: bool) -> Block:
    trits = rng.integers(-1, 2, (beats, core.rows, core.columns))
    shape = (beats, core.columns)
    return Block(trits, rng.choice(CORNERS, shape) if extreme else rng.integers(-128, 128, shape))


def _random_blocks(core: CoreParams, count: int) -> Iterator[Block]:
    rng = np.random.default_rng(random.getrandbits(32))
    for _ in range(count):
        beats = int(rng.choice([1, 2, 3, core.rows, core.rows + 5]))
        yield _random_block(rng, core, beats, bool(rng.integers(2)))


@cocotb.test()
async def every_code_with_extremes(dut: object) -> None:
    """Every byte of the code meets every combination of extreme activations, in blocks of one beat."""
    core = _core()
    trits = np.array(list(itertools.product((-1, 0, 1), repeat=5)))
    trits = np.resize(trits, (-(-len(trits) // core.lanes) * core.lanes, 5))
    trits = trits.reshape(-1, core.rows, core.columns)
    blocks = (
        Block(weights[None], np.tile(activations, core.element_bytes)[None])
        for activations in itertools.product(CORNERS, repeat=5)
        for weights in trits
    )
    await Bench(dut, core).run(blocks)


@cocotb.test()
async def largest_sums(dut: object) -> None:
    """The longest rows of equal trits and extreme codes reach the ends of the accumulator's range."""
    core = _core()
    shape = (core.beats(core.max_inputs), core.rows, core.columns)
    signs = np.where(np.arange(core.rows) % 2, 1, -1)[None, :, None]
    await Bench(dut, core).run(
        Block(np.broadcast_to(signs, shape), np.full((shape[0], shape[2]), value)) for value in (127, -127)
    )


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4], stall=[0, 0.4])
async def blocks_in_any_rhythm(dut: object, gap: float, stall: float) -> None:
    """Blocks of any length, back to back or with gaps, drained at once or with stalls."""
    core = _core()
    await Bench(dut, core, gap, stall).run(_random_blocks(core, 40))


@cocotb.test()
async def unfinished_blocks_are_forgotten(dut: object) -> None:
    """A block without a last beat leaves nothing behind in the next."""
    core = _core()
    blocks = list(_random_blocks(core, 20))
    for block in blocks[::2]:
        block.finished = False
    await Bench(dut, core).run(blocks)
