# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the vector path's units: recurrence, statistics and side words against their models."""

import random
from collections import deque
from typing import Any

import cocotb
import torch
from cocotb.triggers import FallingEdge

from golden import numerics as nx
from golden.integer import IntegerModel
from sim.cocotb_run import test_parameters
from sim.tb_units import begin, compare, formats, magnitudes, pick, signed_values, stream, wrap

IDLE = 8
"""Cycles between tokens, so that the last row is written."""


@cocotb.test()
async def recurrence(dut: Any) -> None:
    """Three tokens over all layers, the last from a zero state, rows at random distances; then the memory itself."""
    fmt, rows = formats(), test_parameters()["rows"]
    wide = signed_values(fmt.wide_bits - 1, 50)
    names = ("begin", "zero", "update", "decay", "candidate")
    inputs: dict[str, list[int]] = {name: [] for name in names}
    decays, candidates, at = [], [], []

    def cycle(*values: int) -> None:
        for name, value in zip(names, values, strict=True):
            inputs[name].append(value)

    for zero in (0, 0, 1):
        cycle(1, zero, 0, 0, 0)
        decays.append(pick(magnitudes(nx.DECAY_FRAC, 50), rows))
        candidates.append(pick(wide, rows))
        follows = (random.getrandbits(nx.DECAY_FRAC), 0)
        for decay, candidate in zip(decays[-1], candidates[-1], strict=True):
            for _ in range(random.choice((0, 0, 0, 1, 3))):
                cycle(0, zero, 0, *follows)
                follows = (random.getrandbits(nx.DECAY_FRAC), random.choice(wide))
            at.append(len(inputs["update"]))
            cycle(0, zero, 1, *follows)
            follows = (decay, candidate)
        for _ in range(IDLE):
            cycle(0, zero, 0, *follows)
            follows = (0, 0)
    state, parts = torch.zeros(rows, dtype=torch.int64), []
    for tokens in (slice(0, 2), slice(2, 3)):
        state = torch.zeros_like(state)
        parts.append(IntegerModel._recur(torch.tensor(decays[tokens]), torch.tensor(candidates[tokens]), state))
    expected = torch.cat(parts)
    dut.host.value = 0
    dut.write.value = 0
    await begin(dut)
    found = await stream(dut, test_parameters()["latency"], inputs, ["h"])
    compare([found[c] for c in at], [(h,) for h in wrap(expected.flatten(), fmt.wide_bits)], {"row": at})

    dut.host.value = 1
    addresses = {"address": list(range(rows))}
    memory = await stream(dut, 1, addresses, ["read_data"])
    compare(memory, [(h,) for h in wrap(state, fmt.wide_bits)], addresses)


@cocotb.test()
async def statistics(dut: Any) -> None:
    """Sums of squares with either shift and three maxima, with gaps, over two vectors."""
    fmt = formats()
    await begin(dut)
    for bias in (0, (1 << 61) + 12345):
        count = 3000
        second = pick([0, 1], count)
        inputs = {
            "square_product": [
                value >> (0 if s else nx.GAIN_BITS - nx.STAT_BITS)
                for value, s in zip(pick(signed_values(fmt.wide_bits + 16, 300), count), second, strict=True)
            ],
            "second": second,
            "square_valid": pick([0, 1, 1], count),
            "which": pick([0, 1, 2], count),
            "value_valid": pick([0, 1, 1], count),
            "value": pick(magnitudes(fmt.mantissa + 6, 300), count),
        }
        dut.begin.value, dut.bias.value = 1, bias
        dut.square_valid.value, dut.value_valid.value = 0, 0
        await FallingEdge(dut.clk)
        dut.begin.value = 0
        await stream(dut, 1, inputs, ["total"])
        dut.square_valid.value, dut.value_valid.value = 0, 0
        for _ in range(test_parameters()["latency"]):
            await FallingEdge(dut.clk)

        product, chosen = torch.tensor(inputs["square_product"]), torch.tensor(second, dtype=torch.bool)
        shift = torch.where(chosen, fmt.epsilon_shift, fmt.square_shift)
        squares = nx.rshift_round(product, shift).square() * torch.tensor(inputs["square_valid"])
        # stream() holds the last input for one cycle more
        total = bias + int(squares.sum()) + int(squares[-1])
        assert int(dut.total.value) == total % (1 << 64)
        found = int(dut.maxima.value)
        for index in range(3):
            values = zip(inputs["value"], inputs["which"], inputs["value_valid"], strict=True)
            largest = max(v for v, which, valid in values if valid and which == index)
            assert found >> (index * (fmt.mantissa + 6)) & ((1 << fmt.mantissa + 6) - 1) == largest


@cocotb.test()
async def side(dut: Any) -> None:
    """Words come out in order, whatever the pauses; ``last`` drops the rest of a beat, ``clear`` everything."""
    per_beat = len(dut.beats__payload) // 32
    dut.beats__valid.value = dut.pop.value = dut.last.value = dut.clear.value = 0
    await begin(dut)
    for _ in range(2):
        waiting: deque[list[int]] = deque()
        taken = 0
        while taken < 2000:
            beat = [random.getrandbits(32) for _ in range(per_beat)]
            offered = random.random() < 0.6
            dut.beats__valid.value = int(offered)
            dut.beats__payload.value = sum(word << 32 * k for k, word in enumerate(beat))
            pops, drops = random.random() < 0.7, random.random() < 0.1
            dut.pop.value = int(pops and int(dut.valid.value))
            dut.last.value = int(drops)
            if int(dut.valid.value):
                assert int(dut.word.value) == waiting[0][0]
                if pops:
                    taken += 1
                    del waiting[0][: len(waiting[0]) if drops else 1]
                    if not waiting[0]:
                        waiting.popleft()
            if offered and int(dut.beats__ready.value):
                waiting.append(beat)
            await FallingEdge(dut.clk)
        dut.beats__valid.value, dut.pop.value, dut.clear.value = 0, 0, 1
        await FallingEdge(dut.clk)
        dut.clear.value = 0
        await FallingEdge(dut.clk)
        assert not int(dut.valid.value)
