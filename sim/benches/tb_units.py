# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the scalar and arithmetic units: outputs and exact latencies against the golden model."""

import logging
import random
from typing import Any

import cocotb
import torch
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from torch import Tensor

from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import GAIN_BITS, SCALE_LEFT, SIGMA_SEGMENTS, Formats
from tritforge.sim.cocotb_run import test_parameters

torch.set_num_threads(1)


UNITS = ("rescale", "activation", "normaliser", "root", "quotient", "square", "mixed")
"""Units of the bench, whose ports begin with their names, and tests."""


class Part:
    """One unit of the bench: its ports without the unit's name, and the clock."""

    def __init__(self, dut: Any, unit: str) -> None:
        self._dut, self._unit = dut, unit
        self.clk, self.latency = dut.clk, test_parameters()["latency"][unit]

    def __getattr__(self, port: str) -> Any:
        return getattr(self._dut, f"{self._unit}_{port}")


def formats() -> Formats:
    """The formats under test."""
    return Formats(**test_parameters()["formats"])


async def begin(dut: Any) -> None:
    """Start the clock and reset the unit; everything else happens at falling edges."""
    Clock(dut.clk, 10, "ns").start()
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    dut.rst.value = 1
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


async def stream(dut: Any, latency: int, inputs: dict[str, list[int]], outputs: list[str]) -> list[tuple[int, ...]]:
    """Drive one set of inputs a cycle; the outputs ``latency`` cycles after each, as unsigned integers."""
    names = [(getattr(dut, name), values, 1 << len(getattr(dut, name))) for name, values in inputs.items()]
    ports = [getattr(dut, name) for name in outputs]
    count = len(next(iter(inputs.values())))
    results = []
    for cycle in range(count + latency):
        for port, values, modulus in names:
            port.value = values[min(cycle, count - 1)] % modulus
        await FallingEdge(dut.clk)
        results.append(tuple(int(port.value) for port in ports))
    return results[latency - 1 : latency - 1 + count]


def magnitudes(bits: int, count: int) -> list[int]:
    """Powers of two and their neighbours below 2**bits, its end, and random values of all lengths."""
    corners = {0, (1 << bits) - 1} | {(1 << k) + d for k in range(bits) for d in (-1, 0, 1)}
    return sorted(c for c in corners if c < 1 << bits) + [
        random.getrandbits(random.randint(1, bits)) for _ in range(count)
    ]


def signed_values(bits: int, count: int) -> list[int]:
    """The same with both signs, up to +-(2**bits - 1)."""
    return [sign * value for value in magnitudes(bits, count) for sign in (1, -1)]


def pick(values: list[int], count: int) -> list[int]:
    """Random choices."""
    return [random.choice(values) for _ in range(count)]


def compare(actual: list[Any], expected: list[Any], inputs: dict[str, list[int]]) -> None:
    """Every output equals; the message shows the first that does not."""
    assert len(actual) == len(expected)
    for index, (got, want) in enumerate(zip(actual, expected, strict=True)):
        assert got == want, f"{ {k: v[index] for k, v in inputs.items()} }: {got}, not {want}"


def wrap(values: Tensor, bits: int) -> list[int]:
    """Two's complement of the values as unsigned integers."""
    return (values & ((1 << bits) - 1)).tolist()


@cocotb.test()
async def rescale(dut: Any) -> None:
    """apply_scale and the flag of what was clamped."""
    fmt, count = formats(), 6000
    unit = Part(dut, "rescale")
    acc_bits = len(unit.acc)
    offered = [*range(-12, 71), -2048, 2047, 511, 512, 1024, -64]
    inputs = {
        "acc": pick([*signed_values(acc_bits - 1, 200), -1 << (acc_bits - 1)], count),
        "mantissa": pick([*magnitudes(fmt.mantissa, 50), *[(1 << fmt.mantissa) - 1] * 50], count),
        "shift": pick(offered, count),
    }
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
    fmt = formats()
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
    fmt = formats()
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


def totals() -> list[int]:
    """Sums of squares over the whole range, with squares and their neighbours."""
    squares = [r * r + d for r in magnitudes(31, 100) for d in (-1, 0, 1)]
    return [total for total in squares if total >= 0] + magnitudes(64, 200)


def golden_root(total: int, fmt: Formats) -> tuple[Tensor, Tensor]:
    """reciprocal_root; the upper half of the range, which int64 lacks, from a quarter of the total."""
    high = total >> 63
    root, exponent = nx.reciprocal_root(torch.tensor([total >> 2 * high]), fmt)
    return root, exponent + high


@cocotb.test()
async def root(dut: Any) -> None:
    """Roots of all kinds of totals."""
    fmt = formats()
    inputs = {"total": totals()}
    expected = [tuple(int(part) for part in golden_root(total, fmt)) for total in inputs["total"]]
    await begin(dut)
    unit = Part(dut, "root")
    actual = await stream(unit, unit.latency, inputs, ["root", "exponent"])
    compare(actual, [(r, e % 256) for r, e in expected], inputs)


@cocotb.test()
async def quotient(dut: Any) -> None:
    """Reciprocals of significands, those of the chords' ends and their neighbours among them."""
    fmt, bits = formats(), formats().mantissa
    inputs = {"denominator": magnitudes(bits, 200) + [random.getrandbits(bits) for _ in range(3000)]}
    normalised = torch.tensor(inputs["denominator"]) | 1 << bits - 1
    await begin(dut)
    unit = Part(dut, "quotient")
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
