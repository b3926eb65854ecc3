# SPDX-License-Identifier: Apache-2.0
"""cocotb testbench of `hw.codes.quantiser.Quantiser` against `golden.model.numerics.codes`."""

import random
from collections import deque
from typing import Any

import cocotb
import numpy as np
import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from torch import Tensor

from tritforge.golden.model.formats import Formats
from tritforge.golden.model.numerics import code_reciprocal, codes
from tritforge.hw.codes.quantiser import Quantiser
from tritforge.hw.lib.floats import EXPONENT_BITS, code_float
from tritforge.hw.params import CoreParams
from tritforge.sim.cocotb_run import test_parameters

CYCLES = 4000


def _params() -> CoreParams:
    given = test_parameters()
    return CoreParams(lanes=16, **given | {"formats": Formats(**given["formats"])})


def _pack(m: Tensor, e: Tensor, negative: Tensor, params: CoreParams) -> int:
    """The ``vector`` port's value."""
    layout = code_float(params.formats)
    words = (
        layout.const({"mantissa": m, "exponent": e, "negative": n}).as_value().value
        for m, e, n in zip(m.tolist(), e.tolist(), negative.tolist(), strict=True)
    )
    return sum(word << layout.size * column for column, word in enumerate(words))


def _random_vector(params: CoreParams) -> tuple[int, int, int, list[int]]:
    """(vector, reciprocal, e_max, codes), of elements no greater than a largest one."""
    fmt, extra = params.formats, params.extra_bits
    lowest, highest = 1 << (fmt.mantissa - 1), (1 << fmt.mantissa) - 1
    top = random.choice([lowest, lowest + 1, highest - 1, highest, random.randint(lowest, highest)])
    e_max = random.choice([1, fmt.magnitude_bits, 63 - extra, random.randint(1, 63 - extra)])
    significands, exponents = [], []
    for _ in range(params.columns):
        below = min(random.choice([0, 0, 1, 2, random.randint(0, 12), random.randint(0, 63)]), e_max)
        limit = highest if below else top
        significands.append(random.choice([lowest, limit, random.randint(lowest, limit)]))
        exponents.append(e_max - below)
        if exponents[-1] == 0:
            significands[-1] = 0
    m, e = torch.tensor(significands), torch.tensor(exponents)
    negative = torch.randint(2, (params.columns,)).bool()
    reciprocal = code_reciprocal(torch.tensor(top), fmt)
    level = e_max - random.randint(0, extra)
    expected = codes(m, e, negative, reciprocal, torch.tensor(level), fmt)
    return _pack(m, e, negative.long(), params), int(reciprocal), level + extra, expected.tolist()


def _codes(dut: Any, params: CoreParams) -> list[int]:
    """The ``codes`` port's values."""
    bits, value = params.act_bits, dut.codes.value.to_unsigned()
    found = np.array([value >> bits * column & (1 << bits) - 1 for column in range(params.columns)])
    return (found - (found >> bits - 1 << bits)).tolist()


@cocotb.test()
async def codes_equal_the_model(dut: Any) -> None:
    """Every code of every vector, in order and in time, with gaps."""
    params = _params()
    torch.manual_seed(random.getrandbits(32))
    Clock(dut.clk, 2, "ns").start()
    dut.rst.value, dut.i_valid.value = 1, 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    expected: deque[list[int] | None] = deque([None] * Quantiser.latency)
    for _ in range(CYCLES):
        vector, reciprocal, e_max, result = _random_vector(params)
        valid = random.random() < 0.8
        dut.i_valid.value, dut.vector.value = valid, vector
        dut.reciprocal.value, dut.e_max.value = reciprocal, e_max
        expected.append(result if valid else None)
        due = expected.popleft()
        assert dut.o_valid.value == (due is not None)
        if due is not None:
            assert _codes(dut, params) == due
        await FallingEdge(dut.clk)


@cocotb.test()
async def stale_elements_stay_in_range(dut: Any) -> None:
    """An element beyond the maximum never gets the least number, and its neighbours their own."""
    params = _params()
    fmt = params.formats
    Clock(dut.clk, 2, "ns").start()
    dut.rst.value, dut.i_valid.value = 0, 1
    largest, reciprocal = 1 << (fmt.mantissa - 1), (1 << fmt.mantissa) - 1
    for e_max in range(1 << EXPONENT_BITS):
        m = torch.full((params.columns,), largest)
        e = torch.full((params.columns,), e_max)
        m[0], e[0] = reciprocal, random.getrandbits(EXPONENT_BITS)
        top = code_reciprocal(torch.tensor(largest), fmt)
        dut.vector.value = _pack(m, e, torch.arange(params.columns) % 2, params)
        dut.reciprocal.value, dut.e_max.value = int(top), e_max
        for _ in range(Quantiser.latency):
            await FallingEdge(dut.clk)
        found = _codes(dut, params)
        assert found[0] != -1 << params.act_bits - 1
        assert found[1:] == [
            -params.code_max if column % 2 else params.code_max for column in range(1, params.columns)
        ]
