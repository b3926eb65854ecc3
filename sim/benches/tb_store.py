# SPDX-License-Identifier: Apache-2.0
"""cocotb testbench of `hw.codes.store.VectorStore` against `golden.model.numerics.codes`, cycle by cycle."""

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
import torch
from cocotb.triggers import FallingEdge, ReadOnly
from torch import Tensor
from torch.nn.functional import pad

from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import Formats
from tritforge.hw.codes.store import ANNOUNCED, VectorStore
from tritforge.hw.lib.floats import code_float
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleUnit
from tritforge.sim.benches.tb_units import begin
from tritforge.sim.cocotb_run import test_parameters

GROUPS = 40
PULSES = {
    "begin": "produced__begin",
    "valid": "values__valid",
    "start": "produced__start",
    "release": "reads__release",
    "clear": "clear",
}
INPUTS = {
    **{name: f"produced__{name}" for name in ("three", "contexts", "span", "vectors", "quantise_span")},
    **{name: f"values__{name}" for name in ("which", "context", "floats")},
    **{name: f"factors__{name}" for name in ("reciprocal", "e_max", "ready")},
    "address": "reads__address",
}
"""What does not matter in a cycle is random in it."""
READABLE = VectorStore.latency + ANNOUNCED
"""Cycles from a position's way into the quantiser to its codes."""


def params_under_test() -> CoreParams:
    """The core that the Verilog is of."""
    given = test_parameters()
    return CoreParams(**given | {"formats": Formats(**given["formats"])})


def code_floats(params: CoreParams, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Random (significand, exponent, negative): rows of narrow and wide range, some with zeros or nothing else."""
    fmt = params.formats
    top = torch.randint(1, fmt.magnitude_bits + 1, (*shape[:-1], 1))
    e = (top - torch.randint(0, random.choice((2, 9, 40)), shape)).clamp(min=1)
    m = torch.randint(1 << (fmt.mantissa - 1), 1 << fmt.mantissa, shape)
    zeros = torch.tensor((0, 0, 0.2, 1))[torch.randint(4, (*shape[:-1], 1))]
    zero = torch.rand(shape) < zeros
    return torch.where(zero, 0, m), torch.where(zero, 0, e), torch.rand(shape) < 0.5


class Group:
    """The vectors of one dependency, their factors and their codes.

    Attributes
    ----------
    vectors, contexts, length : vectors of a context, contexts, elements of a vector.
    span, positions : positions of a vector and of all.
    floats : [vectors, contexts, length], packed.
    reciprocal, e_max : [vectors, contexts].
    codes, exists : int8 [positions, columns], and which of them belong to elements.
    """

    def __init__(self, params: CoreParams, vectors: int, contexts: int, length: int) -> None:
        fmt, words = params.formats, params.beats(length)
        self.vectors, self.contexts, self.length = vectors, contexts, length
        self.span = contexts * words
        self.positions = vectors * self.span
        m, e, negative = code_floats(params, (vectors, contexts, length))
        self.floats = m | e << fmt.mantissa | negative.long() << (code_float(fmt).size - 1)
        largest = (e << fmt.mantissa | m).amax(-1)
        significand = (largest & ((1 << fmt.mantissa) - 1)).clamp(min=1 << (fmt.mantissa - 1))
        self.reciprocal, self.e_max = nx.code_reciprocal(significand, fmt), largest >> fmt.mantissa
        codes = nx.codes(m, e, negative, self.reciprocal[..., None], self.e_max[..., None], fmt)

        def by_position(values: Tensor) -> np.ndarray:
            whole = pad(values, (0, words * params.columns - length)).unflatten(-1, (words, params.columns))
            return whole.transpose(1, 2).flatten(0, 2).numpy()

        self.codes, self.exists = by_position(codes).astype(np.int8), by_position(torch.ones_like(codes)) > 0

    def rows(self, params: CoreParams) -> Iterator[dict[str, int]]:
        """What a cycle writes: by row block, context and row group; dead rows come too, with random lanes."""
        lanes, width = params.vector_rows, code_float(params.formats).size
        for block in range(0, self.length, params.rows):
            for context in range(self.contexts):
                for first in range(block, block + params.rows, lanes):
                    live = max(0, min(lanes, self.length - first))
                    for which in range(self.vectors):
                        values = self.floats[which, context, first : first + live].tolist()
                        values += [random.getrandbits(width) for _ in range(lanes - live)]
                        packed = sum(value << width * place for place, value in enumerate(values))
                        yield {"valid": (1 << live) - 1, "which": which, "context": context, "floats": packed}


def random_group(params: CoreParams) -> Group:
    """Any length and number of contexts, often the largest: then the memories are full."""
    vectors = random.choice((1, 3))
    longest = params.max_intermediate if vectors == 1 else params.max_hidden
    contexts = random.choice((params.batch, random.randint(1, params.batch)))
    return Group(params, vectors, contexts, random.choice((1, longest, random.randint(1, longest))))


class Bench:
    """The unit and a model of its timing; ``step`` checks everything that the unit shows.

    ``group`` is what is quantised or read, ``ready`` whether its positions may be sent, ``entered`` the cycles in
    which they were; ``asked`` is the vector and context whose factors the last cycle's position needs, ``reads`` the
    addresses whose codes are under way.
    """

    def __init__(self, dut: Any, params: CoreParams) -> None:
        self.dut, self.params = dut, params
        self.group: Group | None = None
        self.now, self.ready, self.entered, self.running = 0, False, list[int](), False
        self.asked: tuple[int, int] | None = None
        self.factors: deque[dict[str, int]] = deque([{}] * ScaleUnit.factor_latency)
        self.reads: deque[tuple[Group, int] | None] = deque([None] * (VectorStore.read_latency - 1))

    def available(self, announced: int = 0) -> int:
        """Positions whose codes can be read, or can be in so many cycles."""
        return sum(self.now + announced >= cycle + READABLE for cycle in self.entered)

    async def step(self, address: int | None = None, **inputs: int) -> None:
        """One cycle with the given inputs; reads a code if there is an address."""
        dut, group = self.dut, self.group
        inputs |= {} if address is None else {"address": address}
        self._factors(inputs)
        enters = self.running and self._position(inputs)
        for name, port in PULSES.items():
            getattr(dut, port).value = inputs.pop(name, 0)
        for name, path in INPUTS.items():
            port = getattr(dut, path)
            port.value = inputs.pop(name) if name in inputs else random.getrandbits(len(port))
        assert not inputs
        await ReadOnly()
        assert int(dut.busy.value) == enters
        ends = int(dut.reads__release.value) or int(dut.clear.value)
        await FallingEdge(dut.clk)
        self.now += 1
        if ends:
            self.group, self.running = None, False
        assert int(dut.reads__available.value) == self.available(ANNOUNCED)
        if ends:
            self.entered = []
        self.reads.append(None if address is None else (group, address))
        if read := self.reads.popleft():
            group, address = read
            row = np.frombuffer(dut.codes.value.to_unsigned().to_bytes(self.params.columns, "little"), np.int8)
            exists = group.exists[address]
            assert row[exists].tolist() == group.codes[address][exists].tolist(), f"position {address}"

    def _factors(self, inputs: dict[str, int]) -> None:
        """The factors that the unit asks for, those of the last cycle's position, later."""
        self.factors.append({})
        if self.asked:
            asked = int(self.dut.factors__vector.value), int(self.dut.factors__context.value)
            assert asked == self.asked, f"position {len(self.entered) - 1}"
            reciprocal, e_max = self.needed
            self.factors[-1] = {"reciprocal": int(reciprocal[asked]), "e_max": int(e_max[asked])}
        self.asked = None
        inputs |= self.factors.popleft()

    def _position(self, inputs: dict[str, int]) -> bool:
        """Whether a position enters."""
        group, position = self.group, len(self.entered)
        inputs |= {"ready": int(self.ready), "contexts": group.contexts}
        inputs |= {"vectors": group.vectors, "quantise_span": group.span}
        if not self.ready:
            return False
        self.asked, self.needed = (
            (position // group.span, position % group.contexts),
            (group.reciprocal, group.e_max),
        )
        self.entered.append(self.now)
        self.running = position + 1 < group.positions
        return True

    async def write(self, group: Group, pause: float, cycles: int | None = None) -> None:
        """A group's values, or those of the first so many cycles; the codes before them are still read."""
        constant = {"three": int(group.vectors == 3), "contexts": group.contexts, "span": group.span}
        await self.step(begin=1, **constant)
        for row in list(group.rows(self.params))[:cycles]:
            while random.random() < pause:
                await self.step(self._any_address(), **constant)
            await self.step(self._any_address(), **constant, **row)

    def _any_address(self) -> int | None:
        return random.randrange(self.available()) if self.available() else None

    async def quantise(self, group: Group, chance: float, positions: int) -> None:
        """Start; reciprocals get ready with some chance a cycle; codes are read as soon as they are there."""
        await self.step()
        await self.step(start=1, contexts=group.contexts, vectors=group.vectors, quantise_span=group.span)
        self.group, self.ready, self.running = group, False, True
        read = 0
        while read < positions:
            self.ready |= random.random() < chance
            address = read if read < self.available() else None
            read += address is not None
            await self.step(address, contexts=group.contexts)


async def reset(dut: Any) -> Bench:
    """The unit after its reset."""
    torch.manual_seed(random.getrandbits(32))
    for port in PULSES.values():
        getattr(dut, port).value = 0
    await begin(dut)
    return Bench(dut, params_under_test())


@cocotb.test()
async def codes_equal_the_model(dut: Any) -> None:
    """Every code of groups of all shapes, first at the earliest and then while the next group is written."""
    bench = await reset(dut)
    for _ in range(GROUPS):
        group = random_group(bench.params)
        await bench.write(group, pause=random.choice((0, 0.3)))
        if bench.group:
            await bench.step(release=1)
        for _ in range(random.choice((0, 0, 3))):
            await bench.step()
        await bench.quantise(group, random.choice((1, 0.3, 0.05)), group.positions)


@cocotb.test()
async def clear_abandons(dut: Any) -> None:
    """Whatever is under way when ``clear`` comes, nothing is left of it and the next group is right."""
    bench = await reset(dut)
    for _ in range(GROUPS):
        abandoned, group = random_group(bench.params), random_group(bench.params)
        stage = random.choice(("writes", "quantises", "reads"))
        await bench.write(abandoned, 0, random.randint(0, abandoned.length) if stage == "writes" else None)
        if stage != "writes":
            some = random.randrange(abandoned.positions)
            await bench.quantise(abandoned, 0.5, some if stage == "quantises" else abandoned.positions)
        if stage == "reads":
            await bench.write(group, 0, random.randint(0, group.length))
        for _ in range(READABLE):
            await bench.step(clear=1)
        for _ in range(READABLE):
            await bench.step()
        await bench.write(group, 0)
        await bench.quantise(group, 0.5, group.positions)
        await bench.step(release=1)
