# SPDX-License-Identifier: Apache-2.0
"""What benches share: the parameters under test, clock and reset, values that a wrong unit gets wrong, shapes of
packets."""

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from tritforge.golden.model.formats import Formats
from tritforge.hw.codes.placed import phases
from tritforge.hw.packet import Context
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import MAX_CORES, Group, Shape, Share
from tritforge.hw.stream.header_reader import token_shape
from tritforge.sim.cocotb_run import test_parameters

DIMENSIONS = ("hidden", "layers", "intermediate", "vocab")
"""Of a model, in the order of the header's words."""


@cache
def under_test() -> CoreParams:
    """The core under test, or that the unit under test is of: the test's parameter ``core``."""
    given = test_parameters()["core"]
    return CoreParams(**given | {"formats": Formats(**given["formats"])})


async def begin(dut: Any) -> None:
    """Start the clock and reset the unit; everything else happens at falling edges."""
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
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


def compare(actual: list[Any], expected: list[Any], inputs: dict[str, list[int]]) -> None:
    """Every output equals; the message shows the first that does not."""
    assert len(actual) == len(expected)
    for index, (got, want) in enumerate(zip(actual, expected, strict=True)):
        assert got == want, f"{ {k: v[index] for k, v in inputs.items()} }: {got}, not {want}"


def magnitudes(bits: int, count: int) -> list[int]:
    """Powers of two and their neighbours below 2**bits, its end, and random values of all lengths."""
    corners = {0, (1 << bits) - 1} | {(1 << k) + d for k in range(bits) for d in (-1, 0, 1)}
    return sorted(c for c in corners if c < 1 << bits) + [
        random.getrandbits(random.randint(1, bits)) for _ in range(count)
    ]


def signed_values(bits: int, count: int) -> list[int]:
    """The same with both signs, up to +-(2**bits - 1)."""
    return [sign * value for value in magnitudes(bits, count) for sign in (1, -1)]


def totals() -> list[int]:
    """Sums of squares over the whole range, with squares and their neighbours."""
    squares = [r * r + d for r in magnitudes(31, 100) for d in (-1, 0, 1)]
    return [total for total in squares if total >= 0] + magnitudes(64, 200)


def pick(values: list[int], count: int) -> list[int]:
    """Random choices."""
    return [random.choice(values) for _ in range(count)]


def pack(values: Iterable[int], width: int) -> int:
    """An array port's value."""
    return sum((int(value) & ((1 << width) - 1)) << width * index for index, value in enumerate(values))


def unpack(value: int, width: int, count: int) -> list[int]:
    """Unsigned elements of an array port's value."""
    return [value >> width * index & ((1 << width) - 1) for index in range(count)]


def limits() -> list[int]:
    """The largest value of each dimension."""
    return [getattr(under_test(), f"max_{name}") for name in DIMENSIONS]


def some_shape() -> Shape:
    """Dimensions within the limits, often at their ends."""
    return Shape(*(random.choice([1, limit, random.randint(1, limit)]) for limit in limits()))


def shapes_at_the_ends() -> Iterator[Shape]:
    """Each dimension at its limit while the others are as small as can be."""
    for name, limit in zip(DIMENSIONS, limits(), strict=True):
        yield replace(Shape(1, 1, 1, 1), **{name: limit})


def shrunk(shape: Shape, cost: Callable[[Shape], int], most: int) -> Shape:
    """One that costs no more: dimensions are halved, one after the other, the largest in terms of its limit last."""
    order = sorted(zip(DIMENSIONS, limits(), strict=True), key=lambda each: getattr(shape, each[0]) / each[1])
    for name, _ in order:
        while cost(shape) > most and getattr(shape, name) > 1:
            shape = replace(shape, **{name: getattr(shape, name) // 2})
    return shape


def shared(shape: Shape) -> Shape:
    """The shape; for a core with a link, what one of several cores has of it."""
    params = under_test()
    if not params.linked:
        return shape
    granules = min(-(-getattr(shape, name) // params.vector_rows) for name in ("hidden", "intermediate", "vocab"))
    cores = random.choice([1, min(granules, MAX_CORES), random.randint(1, min(granules, MAX_CORES))])
    return Share(**vars(shape), cores=cores, index=random.randrange(cores), granule=params.vector_rows)


def some_contexts(vocab: int) -> list[Context]:
    """1 to B contexts; several often share a slot."""
    batch = under_test().batch
    return [
        Context(
            token=random.choice([0, vocab - 1, random.randrange(vocab)]),
            slot=random.randrange(batch),
            zero=random.random() < 0.3,
            logits=random.random() < 0.5,
        )
        for _ in range(random.randint(1, batch))
    ]


def token_fields(shape: Shape, contexts: Sequence[Context], sequence: int) -> dict[str, Any]:
    """The fields of `hw.stream.header_reader.token_shape` for a packet."""
    geometry, count = under_test(), len(contexts)
    hidden_beats, intermediate_beats = geometry.beats(shape.hidden), geometry.beats(shape.intermediate)
    return {
        **{name: getattr(shape, name) for name in DIMENSIONS},
        "hidden_beats": hidden_beats,
        "intermediate_beats": intermediate_beats,
        "contexts": count,
        "zero": sum(c.zero << i for i, c in enumerate(contexts)),
        "logits": sum(c.logits << i for i, c in enumerate(contexts)),
        "slots": [c.slot for c in contexts] + [0] * (geometry.batch - count),
        "used": sum(1 << slot for slot in {c.slot for c in contexts}),
        "hidden_span": count * hidden_beats,
        "intermediate_span": count * intermediate_beats,
        "sequence": sequence,
        **(_share_fields(shape, count) if isinstance(shape, Share) else {}),
    }


def _share_fields(share: Share, contexts: int) -> dict[str, int]:
    """Those of a core with a link: its rows, and where they begin."""
    params = under_test()
    fields = {"vocab_rows": share.outputs(Group.HEAD), "first_token": share.first(Group.HEAD)}
    for name, group in (("hidden", Group.OUT), ("intermediate", Group.EXPAND)):
        word, column = divmod(share.first(group), params.columns)
        fields |= {f"{name}_rows": share.outputs(group), f"{name}_first_word": contexts * word}
        fields[f"{name}_first_phase"] = phases(params).index(column)
    return fields


def packed(fields: dict[str, Any]) -> int:
    """The bits of the port ``shape``."""
    return token_shape(under_test()).const(fields).as_value().value
