# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the recurrence and of the statistics."""

import random
from collections import deque
from itertools import chain
from typing import Any

import cocotb
import torch
from cocotb.triggers import FallingEdge

from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import DECAY_FRAC, GAIN_BITS, STAT_BITS
from tritforge.golden.model.integer import IntegerModel
from tritforge.hw.params import CoreParams
from tritforge.hw.vector.recurrence import Recurrence
from tritforge.sim.benches.common import (
    begin,
    compare,
    magnitudes,
    pack,
    pick,
    signed_values,
    stream,
    under_test,
    unpack,
)
from tritforge.sim.benches.models.vector import EXPONENT_BITS, live_rows, wrap
from tritforge.sim.cocotb_run import test_parameters

ROUNDS = 3
BIAS_BITS = 62
"""What a total has room for beside the squares."""


class Updates:
    """Inputs of rounds that visit every word of the state once, the same word as soon as its state is there."""

    def __init__(self, params: CoreParams, words: int, latency: int, state: torch.Tensor) -> None:
        self.params, self.words, self.latency, self.state = params, words, latency, state
        self.inputs: dict[str, list[int]] = {
            name: [] for name in ("update", "word", "zero", "decay", "candidate", "state__host")
        }
        self.expected: list[tuple[int, int, tuple[int, ...]]] = []
        self._last = dict.fromkeys(range(words), -latency - 1)
        self._operands = deque([(0, 0)] * Recurrence.operand_latency)
        self._cycle(0, 0, 0)

    def _cycle(self, update: int, word: int, zero: int, operands: tuple[int, int] | None = None) -> None:
        row = (update, word, zero, *self._operands.popleft(), 0)
        for values, value in zip(self.inputs.values(), row, strict=True):
            values.append(value)
        rows, wide = self.params.vector_rows, self.params.formats.wide_bits
        noise = (random.getrandbits(rows * DECAY_FRAC), random.getrandbits(rows * wide))
        self._operands.append(operands or noise)

    def round(self) -> None:
        """Every word once, from a zero state or not, some lanes left alone."""
        fmt, rows, words = self.params.formats, self.params.vector_rows, self.words
        shape = (words, rows)
        decays = torch.tensor(pick(magnitudes(DECAY_FRAC, 50), words * rows)).view(shape)
        candidates = torch.tensor(pick(signed_values(fmt.wide_bits - 1, 50), words * rows)).view(shape)
        zero = torch.tensor(pick([0, 0, 1], words)).bool()
        masks = torch.tensor(pick([0, 1, 1, 1], words * rows)).view(shape).bool()
        old = torch.where(zero[:, None], 0, self.state)
        h = IntegerModel._recur(decays[None], candidates[None], old)[0]
        self.state = torch.where(masks, h, self.state)
        for word in random.sample(range(words), words):
            earliest = self._last[word] + self.latency + 3
            while len(self.inputs["word"]) < earliest or random.random() < 0.1:
                self._cycle(0, random.randrange(words), random.getrandbits(1))
            at = self._last[word] = len(self.inputs["word"])
            mask = pack(masks[word].tolist(), 1)
            operands = (pack(decays[word], DECAY_FRAC), pack(candidates[word], fmt.wide_bits))
            self._cycle(mask, word, int(zero[word]), operands)
            if mask:
                self.expected.append((at, mask, live_rows(self.params, mask, wrap(h[word], fmt.wide_bits))))

    def settle(self) -> None:
        """Until the last word is written."""
        for _ in range(self.latency + 3):
            self._cycle(0, 0, 0)


@cocotb.test()
async def recurrence(dut: Any) -> None:
    """The host writes the state, updates follow one another as soon as they may, the host reads it back."""
    params, words, latency = under_test(), test_parameters()["words"], test_parameters()["latency"]
    fmt, rows = params.formats, params.vector_rows
    state = torch.tensor(pick(signed_values(fmt.wide_bits - 1, 50), words * rows)).view(words, rows)
    updates = Updates(params, words, latency, state)
    for _ in range(ROUNDS):
        updates.round()
    updates.settle()
    # a word's number comes before its update
    updates.inputs["word"].append(updates.inputs["word"].pop(0))
    dut.update.value = 0
    await begin(dut)
    values = state.flatten().tolist()
    order = random.sample(range(words * rows), words * rows)
    writes = {f"state__{name}": [1] * len(order) for name in ("host", "write")} | {"state__address": order}
    await stream(dut, 1, writes | {"state__write_data": [values[at] for at in order]}, [])
    dut.state__write.value = 0
    found = await stream(dut, latency, updates.inputs, ["h"])
    results = [live_rows(params, mask, unpack(found[at][0], fmt.wide_bits, rows)) for at, mask, _ in updates.expected]
    compare(results, [h for _, _, h in updates.expected], {"update": [at for at, _, _ in updates.expected]})

    reads = {"state__host": [1] * len(order), "state__address": order}
    memory = await stream(dut, Recurrence.read_latency, reads, ["state__read_data"])
    final = wrap(updates.state.flatten(), fmt.wide_bits)
    compare(memory, [(final[at],) for at in order], reads)


@cocotb.test()
async def statistics(dut: Any) -> None:
    """Totals and maxima of every context follow their inputs, with gaps, over two vectors."""
    params = under_test()
    fmt, rows, count = params.formats, params.vector_rows, 700
    product_bits, code_bits = fmt.wide_bits + 18, fmt.mantissa + EXPONENT_BITS
    largest = signed_values(fmt.wide_bits + 16, 300)
    await begin(dut)
    # of two totals, each bit of the bias is 0 and 1
    some = random.getrandbits(BIAS_BITS)
    powers = [(some, "powers")] if params.extra_bits else []
    for bias, output in ((some, "total"), (~some % (1 << BIAS_BITS), "total"), (some, "maxima"), *powers):
        second = pick([0, 1], count)
        products = [[value >> (0 if s else GAIN_BITS - STAT_BITS) for value in pick(largest, rows)] for s in second]
        codes = [pick(magnitudes(code_bits, 30), rows) for _ in range(count)]
        # the largest come late, or nothing would be seen of what follows them
        codes = sorted(codes, key=lambda values: max(values).bit_length() + random.random() * 3)
        masks = [(1 << random.randint(0, rows)) - 1 for _ in range(2 * count)]
        contexts = pick(list(range(params.batch)), 2 * count)
        inputs = {
            "products": [pack(values, product_bits) for values in products],
            "second": second,
            "square_valid": masks[:count],
            "square_context": contexts[:count],
            "which": pick([0, 1, 2], count),
            "value_valid": masks[count:],
            "value_context": contexts[count:],
            # with signs, which do not count
            "values": [
                pack((value | random.getrandbits(1) << code_bits for value in values), code_bits + 1)
                for values in codes
            ],
        }
        if powers:
            gained = [pick(largest, rows) for _ in range(count)]
            inputs |= {
                "gain_products": [pack(values, product_bits) for values in gained],
                "power_valid": pick(masks, count),
                "power_which": pick([0, 1, 2], count),
            }
            dut.power_valid.value = 0
        dut.begin.value, dut.bias.value = 1, bias
        dut.square_valid.value, dut.value_valid.value = 0, 0
        await FallingEdge(dut.clk)
        dut.begin.value, dut.bias.value = 0, random.getrandbits(64)
        latency = test_parameters()[{"maxima": "maximum_latency", "powers": "power_latency"}.get(output, "latency")]
        # an idle cycle, whose inputs stay while the last results come
        for name, values in inputs.items():
            values.append(0 if name.endswith("valid") else random.choice(values))
        found = await stream(dut, latency, inputs, [f"found__{output}"])
        # everything has left before the next ``begin``
        for _ in range(test_parameters()["latency"]):
            await FallingEdge(dut.clk)

        shift = torch.where(torch.tensor(second[:count]).bool(), fmt.epsilon_shift, fmt.square_shift)
        squares = nx.rshift_round(torch.tensor(products), shift[:, None].expand(-1, rows)).square()
        totals = [bias] * params.batch
        maxima, power = ([[0] * 3 for _ in range(params.batch)] for _ in "ab")
        squared = nx.rshift_round(torch.tensor(gained), fmt.power_shift).square() if powers else ()
        expected = []
        for cycle in range(count):
            totals[contexts[cycle]] += sum(live_rows(params, masks[cycle], squares[cycle]))
            compared = live_rows(params, masks[count + cycle], codes[cycle])
            row, which = maxima[contexts[count + cycle]], inputs["which"][cycle]
            row[which] = max(row[which], *compared, 0)
            if powers:
                which = inputs["power_which"][cycle]
                added = live_rows(params, inputs["power_valid"][cycle], squared[cycle])
                power[contexts[cycle]][which] += int(sum(added))
            ports = {"total": (totals, 64), "maxima": (chain(*maxima), code_bits), "powers": (chain(*power), 64)}
            expected.append(pack(*ports[output]))
        compare(found[:-1], [(value,) for value in expected], {"cycle": list(range(count))})
