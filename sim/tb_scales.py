# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the scale unit: all results, masks and latencies of random dependencies."""

import random
from dataclasses import dataclass
from typing import Any

import cocotb
import torch
from cocotb.triggers import FallingEdge

from golden import integer
from golden import numerics as nx
from golden.numerics import Formats
from golden.quantise import Matrix
from hw.packet import scale_word
from sim.tb_units import begin, formats, golden_root, pulse_start, totals


def element(port: Any, index: int, signed: bool = False) -> int:
    """One of the three elements packed in a port."""
    width = len(port) // 3
    value = int(port.value) >> index * width & ((1 << width) - 1)
    return value - (1 << width) if signed and value >> (width - 1) else value


def random_maximum(fmt: Formats) -> tuple[int, int]:
    """(mantissa, exponent) of a largest magnitude, sometimes of a zero vector."""
    if random.random() < 0.1:
        return 0, 0
    half = 1 << (fmt.mantissa - 1)
    mantissa = random.choice([half, 2 * half - 1, random.randint(half, 2 * half - 1)])
    return mantissa, random.randint(1, fmt.magnitude_bits)


@dataclass
class Dependency:
    """Operands of a ScaleUnit."""

    tensors: int
    maxima: list[tuple[int, int]]
    total: int
    words: list[tuple[int, int]]

    @staticmethod
    def random(fmt: Formats, all_totals: list[int]) -> "Dependency":
        half = 1 << (fmt.mantissa - 1)
        exponents = (-2048, 2047, random.randint(-2048, 2047), random.randint(0, 100))
        words = [(random.randint(half, 2 * half - 1), random.choice(exponents)) for _ in range(3)]
        maxima = [random_maximum(fmt) for _ in range(3)]
        return Dependency(random.randint(1, 3), maxima, random.choice(all_totals), words)

    def operands(self, fmt: Formats) -> dict[str, int]:
        """Ports taken at start."""
        bits = fmt.mantissa
        packed = sum((m | e << bits) << index * (bits + 6) for index, (m, e) in enumerate(self.maxima))
        return {"maxima": packed, "total": self.total, "tensors": self.tensors}

    def packed_words(self) -> int:
        """The port of the scale words."""
        return sum(scale_word(*word) << 32 * index for index, word in enumerate(self.words))

    def check(self, dut: Any, fmt: Formats) -> None:
        """All results of the unit equal the golden model's."""
        root, exponent = golden_root(self.total, fmt)
        half = 1 << (fmt.mantissa - 1)
        m_max = [torch.tensor([m if e else half]) for m, e in self.maxima]
        e_max = [torch.tensor([e]) for _, e in self.maxima]
        scales = integer.Scales((), tuple(m_max), tuple(e_max), root, exponent)
        for index in range(self.tensors):
            matrix = Matrix(torch.empty(0), *self.words[index])
            mantissa, shift = (int(part) for part in integer.output_scale(scales, index, matrix, fmt))
            assert element(dut.reciprocal, index) == int(nx.code_reciprocal(m_max[index], fmt)), self
            assert element(dut.e_max, index) == int(e_max[index]), self
            assert element(dut.mantissa, index) == mantissa, self
            assert element(dut.shift, index, signed=True) == max(-2048, min(2047, shift)), self


async def follow(dut: Any, given: Dependency, late: int) -> tuple[list[int], list[int]]:
    """Cycles from start to each bit of the two masks; the words come ``late`` cycles after start."""
    reciprocals, ready = [], []
    for cycle in range(1, late + 120):
        if cycle >= late:
            dut.words.value, dut.words_valid.value = given.packed_words(), 1
        for times, mask in ((reciprocals, dut.reciprocal_ready), (ready, dut.ready)):
            if int(mask.value) != (1 << len(times)) - 1:
                times.append(cycle)
            assert int(mask.value) == (1 << len(times)) - 1, f"mask {mask.value} in cycle {cycle}"
        await FallingEdge(dut.clk)
    return reciprocals, ready


@cocotb.test()
async def scales(dut: Any) -> None:
    """Reciprocals and output scales, their latencies, words early or late, also after abandoned starts."""
    fmt, bits = formats(), formats().mantissa
    await begin(dut)
    all_totals = totals()
    dut.words_valid.value = 0
    for _ in range(250):
        given = Dependency.random(fmt, all_totals)
        if random.random() < 0.2:
            await pulse_start(dut, **Dependency.random(fmt, all_totals).operands(fmt))
            for _ in range(random.randint(0, 2 * bits + 40)):
                await FallingEdge(dut.clk)
        late = random.choice([0, 0, 2 * bits + 30, random.randint(1, 2 * bits + 20)])
        dut.words.value, dut.words_valid.value = random.getrandbits(96), 0
        if not late:
            dut.words.value, dut.words_valid.value = given.packed_words(), 1
        await pulse_start(dut, **given.operands(fmt))
        reciprocals, ready = await follow(dut, given, late)
        assert reciprocals == [(bits + 1) * (k + 1) + 1 for k in range(given.tensors)]
        assert ready == [max(2 * bits + 8, late) + 6 * (k + 1) for k in range(given.tensors)]
        given.check(dut, fmt)
