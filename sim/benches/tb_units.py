# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the scalar and arithmetic units: outputs and exact latencies against the golden model."""

import random
from itertools import product
from typing import Any

import cocotb
import torch

from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import GAIN_BITS, SCALE_LEFT, SIGMA_SEGMENTS
from tritforge.hw.scales.chords import INDEX_BITS
from tritforge.sim.benches.common import begin, compare, magnitudes, pick, signed_values, stream, totals, under_test
from tritforge.sim.benches.models.vector import golden_root, wrap
from tritforge.sim.cocotb_run import test_parameters

UNITS = ("rescale", "activation", "normaliser", "root", "reciprocal", "square", "mixed")
"""Units of the bench, whose ports begin with their names, and tests."""


class Part:
    """One unit of the bench: its ports without the unit's name, and the clock."""

    def __init__(self, dut: Any, unit: str) -> None:
        self._dut, self._unit = dut, unit
        self.clk, self.latency = dut.clk, test_parameters()["latency"][unit]

    def __getattr__(self, port: str) -> Any:
        return getattr(self._dut, f"{self._unit}_{port}")


@cocotb.test()
async def rescale(dut: Any) -> None:
    """apply_scale and the flag of what was clamped."""
    fmt, count = under_test().formats, 6000
    unit = Part(dut, "rescale")
    acc_bits = len(unit.acc)
    offered = [*range(-12, 71), -2048, 2047, 511, 512, 1024, -64]
    inputs = {
        "acc": pick([*signed_values(acc_bits - 1, 200), -1 << (acc_bits - 1)], count),
        "mantissa": pick([*magnitudes(fmt.mantissa, 50), *[(1 << fmt.mantissa) - 1] * 50], count),
        "shift": pick(offered, count),
    }
    # Where the result may be too large whatever the shift, corner by corner.
    corners = product(
        [*signed_values(acc_bits - 1, 0), -1 << (acc_bits - 1)],
        magnitudes(fmt.mantissa, 0),
        range(-SCALE_LEFT - 1, 1),
    )
    for values, column in zip(inputs.values(), zip(*corners, strict=True), strict=True):
        values += column
    # Either side of both limits: powers of two that make +-2**(wide_bits - 1), and their neighbours.
    for power in range(acc_bits - 1):
        shift = power + fmt.mantissa - fmt.wide_bits
        for acc in ((1 << power) - 1, 1 << power, (1 << power) + 1) if shift >= -SCALE_LEFT else ():
            for mantissa in ((1 << (fmt.mantissa - 1)) - 1, 1 << (fmt.mantissa - 1)):
                inputs["acc"] += [acc, -acc]
                inputs["mantissa"] += [mantissa] * 2
                inputs["shift"] += [shift] * 2
    accs, mantissas, shifts = (torch.tensor(values) for values in inputs.values())
    left = SCALE_LEFT
    exact = nx.rshift_round(accs * mantissas << left, (shifts + left).clamp(0, 63))
    clamped = torch.where(shifts < -left, accs != 0, exact.abs() > fmt.wide_max)
    scaled = wrap(nx.apply_scale(accs, mantissas, shifts, fmt), fmt.wide_bits)
    expected = zip(scaled, clamped.long().tolist(), strict=True)
    assert clamped.any() and not clamped.all()
    await begin(dut)
    compare(await stream(unit, unit.latency, inputs, ["y", "saturated"]), list(expected), inputs)


@cocotb.test()
async def activation(dut: Any) -> None:
    """Both functions at every chord's ends and in between, far outside and of the most negative number."""
    fmt = under_test().formats
    step = fmt.frac - 5
    xs = [*signed_values(fmt.wide_bits - 1, 500), -1 << (fmt.wide_bits - 1)]
    for segment in range(SIGMA_SEGMENTS + 1):
        ends = [(segment << step) + offset for offset in (-1, 0, 1, random.getrandbits(step))]
        xs += [sign * end for end in ends for sign in (1, -1)]
    functions = [random.getrandbits(1) for _ in xs]
    inputs = {"x": xs * 2, "silu": functions + [1 - function for function in functions]}
    x, silu = (torch.tensor(values) for values in inputs.values())
    y = torch.where(silu > 0, nx.silu(x, fmt), nx.sigmoid_negative(x, fmt))
    await begin(dut)
    unit = Part(dut, "activation")
    actual = await stream(unit, unit.latency, inputs, ["y"])
    compare(actual, [(v,) for v in wrap(y, fmt.wide_bits)], inputs)


@cocotb.test()
async def normaliser(dut: Any) -> None:
    """Code floats of products of all lengths."""
    fmt = under_test().formats
    largest = fmt.wide_max << (GAIN_BITS - 1)
    products = [*signed_values(fmt.wide_bits + GAIN_BITS - 2, 2000), largest, -largest]
    inputs = {"product": random.sample(products, len(products))}
    v = torch.tensor(inputs["product"])
    m, e = nx.normalise(v.abs() >> fmt.product_drop, fmt)
    packed = m | e << fmt.mantissa | (v < 0).long() << (fmt.mantissa + 6)
    await begin(dut)
    unit = Part(dut, "normaliser")
    actual = await stream(unit, unit.latency, inputs, ["code"])
    compare(actual, [(value,) for value in packed.tolist()], inputs)


@cocotb.test()
async def root(dut: Any) -> None:
    """Roots of all kinds of totals. And every root, of its smallest and its largest total, and of those on both sides
    of each border of the table.

    Of normalised totals that is enough for all. A root is the value of a chord or one less, whichever its square
    tells. Between two neighbours of these totals the chord only rises and the right root is the same. If what comes
    out is right at both, the chord says the root or one more at both, hence also in between, where the square tells
    them apart as it does there.
    """
    fmt, bits = under_test().formats, under_test().formats.mantissa
    roots = torch.arange(1 << bits - 1, 1 << bits)
    borders = torch.arange(1 << INDEX_BITS - 2, 1 << INDEX_BITS) << 2 * bits - INDEX_BITS
    every = torch.cat([roots**2, (roots + 1) ** 2 - 1, borders, borders[1:] - 1]).sort().values
    some = totals()
    inputs = {"total": [*some, *every.tolist()]}
    expected = [tuple(int(part) for part in golden_root(total, fmt)) for total in some]
    expected += list(zip(*(part.tolist() for part in nx.reciprocal_root(every, fmt)), strict=True))
    await begin(dut)
    unit = Part(dut, "root")
    actual = await stream(unit, unit.latency, inputs, ["root", "exponent"])
    compare(actual, [(r, e % 256) for r, e in expected], inputs)


@cocotb.test()
async def reciprocal(dut: Any) -> None:
    """Reciprocals of all significands; the highest bit counts as set."""
    fmt, bits = under_test().formats, under_test().formats.mantissa
    inputs = {"denominator": [*magnitudes(bits, 200), *range(1 << bits - 1, 1 << bits)]}
    normalised = torch.tensor(inputs["denominator"]) | 1 << bits - 1
    await begin(dut)
    unit = Part(dut, "reciprocal")
    actual = await stream(unit, unit.latency, inputs, ["quotient"])
    compare(actual, [(value,) for value in nx.code_reciprocal(normalised, fmt).tolist()], inputs)


async def multiply(dut: Any, name: str, signed: tuple[bool, bool]) -> None:
    """Products of numbers of all lengths and both ends."""
    unit, sides = Part(dut, name), {}
    for side, is_signed in zip("ab", signed, strict=True):
        bits = len(getattr(unit, side))
        values = [*signed_values(bits - 1, 100), -1 << bits - 1] if is_signed else magnitudes(bits, 100)
        sides[side] = pick(values, 2000)
    modulus = 1 << len(unit.product)
    await begin(dut)
    actual = await stream(unit, unit.latency, sides, ["product"])
    compare(actual, [(a * b % modulus,) for a, b in zip(*sides.values(), strict=True)], sides)


@cocotb.test()
async def square(dut: Any) -> None:
    """Two limbs on both sides."""
    await multiply(dut, "square", (True, True))


@cocotb.test()
async def mixed(dut: Any) -> None:
    """A signed and an unsigned operand, the latter of one limb."""
    await multiply(dut, "mixed", (True, False))
