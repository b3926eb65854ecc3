# SPDX-License-Identifier: Apache-2.0
"""cocotb testbench of `hw.array.array.TernaryArray`: every sum of every block against an integer matrix product."""

import itertools
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from numpy.typing import NDArray

from tritforge.hw.array.array import ANNOUNCED, array_latency
from tritforge.hw.params import CoreParams
from tritforge.sim.cocotb_run import test_parameters

CODE_MAX = CoreParams(**test_parameters()).code_max
CORNERS = (-CODE_MAX, CODE_MAX)


@dataclass
class Block:
    """A row block: trits [beats, rows, columns], activations [contexts, beats, columns].

    ``visits`` : (context, row groups) in the order of the drain, context 0 first; all of every context in turn if
    empty. ``abandoned`` : how many of its beats x contexts are issued, if not all.
    """

    trits: NDArray[np.int64]
    activations: NDArray[np.int64]
    visits: list[tuple[int, int]] = field(default_factory=list)
    abandoned: int | None = None

    def groups(self, params: CoreParams) -> list[tuple[int, int | None]]:
        """What is to be read: a row group's sums as ``acc`` has them, and the context to reload behind it or None."""
        sums = np.einsum("brc,kbc->kr", self.trits, self.activations)
        fields = sums.reshape(len(sums), params.row_groups, params.vector_rows).tolist()
        visits = self.visits or [(context, params.row_groups) for context in range(len(sums))]
        result: list[tuple[int, int | None]] = []
        for number, (context, count) in enumerate(visits):
            following = visits[number + 1][0] if number + 1 < len(visits) else None
            packed = [_pack(values, params.acc_bits) for values in fields[context][:count]]
            result += [(acc, None) for acc in packed[:-1]] + [(packed[-1], following)]
        return result

    def beats(self, params: CoreParams) -> list[tuple[int, int, int]]:
        """(beat, context, activations) as the ports take them, in order."""
        code = params.trit_code
        index = (self.trits.reshape(len(self.trits), -1, code.trits) + 1) @ (3 ** np.arange(code.trits))
        weights = [_integer(beat) for beat in code.encode_table[index]]
        codes = self.activations.tolist()
        return [
            (weight, context, _pack(codes[context][number], params.act_bits))
            for number, weight in enumerate(weights)
            for context in range(len(codes))
        ]


class Bench:
    """Issues blocks, drains the sums and compares them, one step a cycle.

    Parameters
    ----------
    gap, stall : chance of a cycle without a beat and without a drain.

    Attributes
    ----------
    waits : cycles in which the contract kept a beat from being issued.
    """

    def __init__(self, dut: Any, params: CoreParams, gap: float = 0, stall: float = 0) -> None:
        self.dut, self.params, self.gap, self.stall = dut, params, gap, stall
        self.latency = array_latency(params)
        self.cycle = self.waits = 0
        self.pending: deque[tuple[int, list[tuple[int, int | None]]]] = deque()
        self.unread: deque[tuple[int, int | None]] = deque()
        self.drained: int | None = None

    async def run(self, blocks: Iterable[Block]) -> None:
        """Issue the blocks back to back but for the gaps and the waits that the contract asks for."""
        Clock(self.dut.clk, 2, "ns").start()
        self.dut.rst.value = 1
        self.dut.feed__valid.value = self.dut.rows__drain.value = 0
        for _ in range(2):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0
        for block in blocks:
            await self._issue(block)
        while self.pending or self.unread or self.drained is not None:
            await self._step()

    async def _issue(self, block: Block) -> None:
        dut, beats = self.dut, block.beats(self.params)
        contexts = len(block.activations)
        for number, (beat, context, activations) in enumerate(beats[: block.abandoned]):
            last = number >= len(beats) - contexts
            while random.random() < self.gap:
                await self._idle()
            while last and context == 0 and not self._may_finish():
                self.waits += 1
                await self._idle()
            final = context == contexts - 1
            dut.feed__valid.value, dut.feed__first.value, dut.feed__last.value = 1, number < contexts, last
            dut.feed__context.value, dut.feed__final_context.value = context, final
            dut.feed__beat.value, dut.activations.value = beat, activations
            if last and final:
                self.pending.append((self.cycle + self.latency, block.groups(self.params)))
            await self._step()

    def _may_finish(self) -> bool:
        """With stalls, the block before must have been read; without, it is known when it will have been."""
        if self.stall:
            return not self.pending and not self.unread
        if self.pending:
            due, groups = self.pending[-1]
            return self.cycle + self.latency >= due + len(groups)
        return self.cycle + self.latency >= self.cycle + len(self.unread) + 1

    async def _idle(self) -> None:
        """A cycle without a beat: nothing but ``valid`` keeps what is on the other ports from being taken."""
        dut, params = self.dut, self.params
        dut.feed__valid.value = 0
        for flag in (dut.feed__first, dut.feed__last, dut.feed__final_context):
            flag.value = random.getrandbits(1)
        dut.feed__context.value = random.getrandbits(params.context_bits)
        dut.feed__beat.value = random.getrandbits(params.beat_bits)
        dut.activations.value = random.getrandbits(params.act_bits * params.columns)
        await self._step()

    async def _step(self) -> None:
        """To the next cycle, then compare what is there and decide about ``drain``."""
        dut = self.dut
        await FallingEdge(dut.clk)
        self.cycle += 1
        dut.feed__valid.value = 0
        expected = any(due == self.cycle + ANNOUNCED for due, _ in self.pending)
        assert dut.rows__loaded.value == expected, f"loaded is not {expected} in cycle {self.cycle}"
        if self.drained is not None:
            found, acc = dut.acc.value.to_unsigned(), self.drained
            assert found == acc, (
                f"cycle {self.cycle}, {len(self.unread)} groups before the end: {found:x}, not {acc:x}"
            )
            self.drained = None
        if self.pending and self.pending[0][0] == self.cycle:
            assert not self.unread, "the bench loaded a block before the one before was read"
            self.unread.extend(self.pending.popleft()[1])
        drain, context = False, None
        if self.unread:
            acc, context = self.unread[0]
            drain = random.random() >= self.stall
        if drain:
            self.drained, _ = self.unread.popleft()
        # Without a drain, or contexts to choose from, a reload means nothing.
        ignored = not drain or self.params.batch == 1
        dut.rows__drain.value = drain
        dut.rows__reload.value = random.getrandbits(1) if ignored else context is not None
        dut.rows__next_context.value = random.getrandbits(self.params.context_bits) if context is None else context


def _integer(data: NDArray[Any]) -> int:
    return int.from_bytes(data.tobytes(), "little")


def _pack(values: list[int], width: int) -> int:
    return sum((value & (1 << width) - 1) << width * place for place, value in enumerate(values))


def _params() -> CoreParams:
    return CoreParams(**test_parameters())


def _random_block(rng: np.random.Generator, params: CoreParams, beats: int, contexts: int) -> Block:
    trits = rng.integers(-1, 2, (beats, params.rows, params.columns))
    shape = (contexts, beats, params.columns)
    extreme = rng.integers(2)
    return Block(trits, rng.choice(CORNERS, shape) if extreme else rng.integers(-CODE_MAX, CODE_MAX + 1, shape))


def _random_blocks(params: CoreParams, count: int) -> Iterator[Block]:
    """Blocks of any length, in packets of one to three, each with its number of contexts."""
    rng = np.random.default_rng(random.getrandbits(32))
    left = 0
    for _ in range(count):
        if not left:
            left, contexts = int(rng.integers(1, 4)), int(rng.integers(1, params.batch + 1))
        left -= 1
        yield _random_block(rng, params, int(rng.choice([1, 2, 3, params.row_groups + 1, params.rows + 5])), contexts)


@cocotb.test()
async def every_code_with_extremes(dut: Any) -> None:
    """Every byte of the code meets every combination of extreme activations, in blocks of one beat."""
    params = _params()
    count = params.trit_code.trits
    trits = np.array(list(itertools.product((-1, 0, 1), repeat=count)))
    trits = np.resize(trits, (-(-len(trits) // params.lanes) * params.lanes, count))
    trits = trits.reshape(-1, 1, params.rows, params.columns)
    corners = np.tile(np.array(list(itertools.product(CORNERS, repeat=count))), params.element_bytes)[:, None]
    blocks = (
        Block(weights, corners[start : start + params.batch])
        for start in range(0, len(corners), params.batch)
        for weights in trits
    )
    await Bench(dut, params).run(blocks)


@cocotb.test()
async def largest_sums(dut: Any) -> None:
    """The longest rows of equal trits and extreme codes reach the ends of the accumulator's range."""
    params = _params()
    beats = params.beats(params.max_inputs)
    signs = np.where(np.arange(params.rows) % 2, 1, -1)[None, :, None]
    trits = np.broadcast_to(signs, (beats, params.rows, params.columns))
    values = np.resize([CODE_MAX, -CODE_MAX], params.batch)[:, None, None]
    activations = np.broadcast_to(values, (params.batch, beats, params.columns))
    await Bench(dut, params).run(Block(trits, sign * activations) for sign in (1, -1))


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4], stall=[0, 0.4])
async def blocks_in_any_rhythm(dut: Any, gap: float, stall: float) -> None:
    """Blocks of any length and number of contexts, back to back or with gaps, drained at once or with stalls."""
    params = _params()
    await Bench(dut, params, gap, stall).run(_random_blocks(params, 40))


@cocotb.test()
async def a_block_drains_while_the_next_accumulates(dut: Any) -> None:
    """Blocks long enough to hide the drain of the one before follow one another without a wait."""
    params = _params()
    rng = np.random.default_rng(random.getrandbits(32))
    beats = params.row_groups + (params.batch > 1)
    bench = Bench(dut, params)
    await bench.run(_random_block(rng, params, beats, params.batch) for _ in range(10))
    assert bench.waits == 0


@cocotb.test()
async def contexts_are_read_in_any_order(dut: Any) -> None:
    """Contexts are read out of order, in part, and more than once, but for a core of one."""
    params = _params()
    blocks = list(_random_blocks(params, 20))
    for block in blocks:
        contexts = range(len(block.activations) if params.batch > 1 else 0)
        block.visits = [(0, random.randint(1, params.row_groups))]
        block.visits += [(random.choice(contexts), random.randint(1, params.row_groups)) for _ in contexts]
    await Bench(dut, params, stall=0.2).run(blocks)


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.3])
async def abandoned_blocks_are_forgotten(dut: Any, gap: float) -> None:
    """A block that stops anywhere before its last beat leaves nothing behind in the next."""
    params = _params()
    blocks = list(_random_blocks(params, 40))
    for block in blocks:
        beats, contexts = len(block.trits), len(block.activations)
        if random.getrandbits(1) and beats * contexts > 1:
            # Half of them stop when some contexts may have got their last beat.
            least = max(1, (beats - 1) * contexts) if random.getrandbits(1) else 1
            block.abandoned = random.randint(least, beats * contexts - 1)
    await Bench(dut, params, gap).run(blocks)
