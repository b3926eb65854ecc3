# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the scale unit: all results, masks and latencies of random dependencies of several contexts."""

import random
from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import Any

import cocotb
import numpy as np
import torch
from cocotb.triggers import FallingEdge, Timer

from tritforge.golden.model import integer
from tritforge.golden.model import numerics as nx
from tritforge.golden.model.activations import Activations
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.outlier_codes import widening
from tritforge.golden.model.quantise import Matrix
from tritforge.hw.packet import scale_word
from tritforge.hw.scales.root import TOTAL_BITS
from tritforge.hw.scales.scales import TOTAL_LATE, ScaleUnit
from tritforge.sim.benches.common import begin, totals, under_test
from tritforge.sim.benches.models.vector import golden_root

Place = tuple[int, int]
"""A vector or matrix, and a context."""


def random_maximum(fmt: Formats) -> tuple[int, int]:
    """(mantissa, exponent) of a largest magnitude, sometimes of a zero vector."""
    if random.random() < 0.1:
        return 0, 0
    half = 1 << (fmt.mantissa - 1)
    mantissa = random.choice([half, 2 * half - 1, random.randint(half, 2 * half - 1)])
    return mantissa, random.randint(1, fmt.magnitude_bits)


@dataclass
class Dependency:
    """Operands of a ScaleUnit; maxima and totals for each context that the unit has, used or not."""

    tensors: int
    contexts: int
    maxima: list[list[tuple[int, int]]]
    totals: list[int]
    words: list[tuple[int, int]]
    powers: list[list[int]]
    length: int
    activations: Activations

    @staticmethod
    def random(fmt: Formats, batch: int, all_totals: list[int], activations: Activations) -> "Dependency":
        half = 1 << (fmt.mantissa - 1)
        exponents = (-2048, 2047, random.randint(-2048, 2047), random.randint(0, 100))
        return Dependency(
            tensors=random.randint(1, 3),
            contexts=random.choice([batch, random.randint(1, batch)]),
            maxima=[[random_maximum(fmt) for _ in range(3)] for _ in range(batch)],
            totals=random.choices(all_totals, k=batch),
            words=[(random.randint(half, 2 * half - 1), random.choice(exponents)) for _ in range(3)],
            powers=[random.choices([0, 1, *(total >> 2 for total in all_totals)], k=3) for _ in range(batch)],
            length=random.choice([1, 8192, random.randint(1, 8192)]),
            activations=activations,
        )

    def operands(self, fmt: Formats) -> dict[str, int]:
        """Ports taken at start."""
        bits = fmt.mantissa
        maxima = [m | e << bits for row in self.maxima for m, e in row]
        powers = sum(power << index * TOTAL_BITS for index, power in enumerate(chain(*self.powers)))
        outliers = {"statistics__powers": powers, "operands__length": self.length} if self.activations.extra else {}
        return outliers | {
            "statistics__maxima": sum(value << index * (bits + 6) for index, value in enumerate(maxima)),
            "operands__tensors": self.tensors,
            "operands__contexts": self.contexts,
        }

    def packed_totals(self) -> int:
        """The port of the totals."""
        return sum(total << index * TOTAL_BITS for index, total in enumerate(self.totals))

    def packed_words(self) -> int:
        """The port of the scale words."""
        return sum(scale_word(*word) << 32 * index for index, word in enumerate(self.words))

    def places(self) -> list[Place]:
        """All results, in the order in which they are computed."""
        return [(tensor, context) for tensor in range(self.tensors) for context in range(self.contexts)]

    def factor_cycles(self) -> dict[Place, int]:
        """Cycle after start from which on each reciprocal can be read."""
        first = ScaleUnit.reciprocal_latency + 1
        return {place: first + index for index, place in enumerate(self.places())}

    def scale_cycles(self, late: int) -> dict[Place, int]:
        """Cycle in which each ``ready`` is first seen set; words are valid from cycle ``late`` on."""
        cycles, last = {}, 0
        for matrix, context in self.places():
            last = max(last + 1, ScaleUnit.root_latency + context, late)
            cycles[matrix, context] = last + ScaleUnit.scale_latency
        return cycles

    def results(self, fmt: Formats) -> dict[Place, tuple[Place, Place]]:
        """(reciprocal, e_max) and (mantissa, shift) of the golden model."""
        half = 1 << (fmt.mantissa - 1)
        results = {}
        for tensor, context in self.places():
            m_max = [torch.tensor([m if e else half]) for m, e in self.maxima[context]]
            e_max = [torch.tensor([e]) for _, e in self.maxima[context]]
            root, exponent = golden_root(self.totals[context], fmt)
            power = torch.tensor([self.powers[context][tensor]])
            s = widening(power, m_max[tensor], e_max[tensor], self.length, self.activations, fmt)
            e_max[tensor] = e_max[tensor] - s
            scales = integer.Scales((), tuple(m_max), tuple(e_max), root, exponent)
            matrix = Matrix(np.empty(0, np.int8), *self.words[tensor])
            mantissa, shift = (int(part) for part in integer.output_scale(scales, tensor, matrix, fmt))
            reciprocal = int(nx.code_reciprocal(m_max[tensor], fmt))
            factor = (reciprocal, int(e_max[tensor]) + self.activations.extra)
            results[tensor, context] = factor, (mantissa, max(-2048, min(2047, shift)))
        return results


async def follow(dut: Any, given: Dependency, fmt: Formats, late: int) -> None:
    """From start on, every flag in every cycle, and every result in every cycle in which it is to be there."""
    factor_cycles, scale_cycles = given.factor_cycles(), given.scale_cycles(late)
    results, last_scale = given.results(fmt), max(scale_cycles.values())
    # the last one is read while it is written
    last_factor = max(factor_cycles.values()) + ScaleUnit.factor_latency + 1
    selected: deque[tuple[int, Place] | None] = deque([None] * ScaleUnit.factor_latency)
    for cycle in range(1, last_scale + 10):
        dut.statistics__total.value = (
            given.packed_totals() if cycle == TOTAL_LATE else random.getrandbits(len(dut.statistics__total))
        )
        if cycle >= late:
            dut.words__word.value, dut.words__valid.value = given.packed_words(), 1
        assert int(dut.factors__ready.value) == (cycle >= ScaleUnit.reciprocal_latency), (cycle, given)
        assert (int(dut.dividing.value), int(dut.scaling.value)) == (cycle < last_factor, cycle < last_scale), cycle
        # each as early as it may be, otherwise any
        place = random.choice(given.places())
        place = next((at for at, first in factor_cycles.items() if first == cycle), place)
        dut.factors__vector.value, dut.factors__context.value = place
        selected.append((cycle, place))
        if (before := selected.popleft()) and before[0] >= factor_cycles[before[1]]:
            await Timer(10, "ps")
            assert (int(dut.factors__reciprocal.value), int(dut.factors__e_max.value)) == results[before[1]][0], (
                before,
                given,
            )
        for tensor in range(4):
            for context in range(given.contexts):
                place = tensor, context
                dut.select__matrix.value, dut.select__context.value = place
                await Timer(10, "ps")
                ready = cycle >= scale_cycles.get(place, cycle + 1)
                assert int(dut.select__ready.value) == ready, (cycle, place, given)
                if ready:
                    scale = int(dut.scale__mantissa.value), dut.scale__shift.value.to_signed()
                    assert scale == results[place][1], (place, given)
        await FallingEdge(dut.clk)


async def pulse_start(dut: Any, **inputs: int) -> None:
    """One cycle of start with its operands, which then change."""
    for name, value in inputs.items():
        getattr(dut, name).value = value
    dut.operands__start.value = 1
    await FallingEdge(dut.clk)
    dut.operands__start.value = 0
    for name in inputs:
        port = getattr(dut, name)
        port.value = random.getrandbits(len(port))


@cocotb.test()
async def scales(dut: Any) -> None:
    """Reciprocals and output scales, words early or late, also when a start abandons a computation at any point."""
    fmt = under_test().formats
    batch = len(dut.statistics__total) // TOTAL_BITS
    await begin(dut)
    assert not int(dut.factors__ready.value)
    all_totals = totals()
    dut.words__valid.value = 0
    for index in range(120 // batch):
        bits = under_test().act_bits
        threshold = random.choice([0, 1, 96, 1023, random.randint(1, 1023)]) if bits > 8 else 0
        given, abandoned = (Dependency.random(fmt, batch, all_totals, Activations(bits, threshold)) for _ in range(2))
        if bits > 8:
            dut.threshold.value = threshold
        if index % 2:
            dut.words__word.value, dut.words__valid.value = random.getrandbits(96), random.getrandbits(1)
            await pulse_start(dut, **abandoned.operands(fmt))
            last = max(abandoned.scale_cycles(0).values())
            # The next start comes in any cycle until after the last result; with one context, in each in turn.
            wait = index // 2 % (last + 2) if batch == 1 else random.randint(0, last + 1)
            for _ in range(wait):
                await FallingEdge(dut.clk)
        roots = ScaleUnit.root_latency + given.contexts
        late = random.choice([0, 0, roots + 15 * given.contexts, random.randint(1, roots + 10)])
        dut.words__word.value, dut.words__valid.value = random.getrandbits(96), 0
        if not late:
            dut.words__word.value, dut.words__valid.value = given.packed_words(), 1
        await pulse_start(dut, **given.operands(fmt))
        await follow(dut, given, fmt, late)
