# SPDX-License-Identifier: Apache-2.0
"""The ternary array and its decoder."""

import itertools
from pathlib import Path

import pytest
from amaranth.sim import Simulator

from tests.unit_bench import bench
from tritforge.hw.array.array import TernaryArray
from tritforge.hw.array.decoder import TritDecoder
from tritforge.hw.params import CoreParams
from tritforge.hw.trits import CODES, NUMBERS

CORES = [
    dict(zip(("lanes", "element_bytes", "vector_rows", "batch", "code", "act_bits"), values, strict=True))
    for values in (
        (4, 1, 1, 1, "positional", 8),
        (4, 2, 1, 3, "nested", 12),
        (16, 4, 4, 2, "two_bit", 8),
        (16, 4, 4, 1, "nested", 8),
        (64, 2, 1, 1, "nested", 8),
    )
]
IDS = ["-".join(map(str, params.values())) for params in CORES]


@pytest.mark.parametrize("name", CODES)
def test_decoder(name: str) -> None:
    """Every byte of a code gives its trits, in the circuit and in the table."""
    code = CODES[name]
    decoder = TritDecoder(code)

    async def walk(ctx) -> None:
        for trits in itertools.product((-1, 0, 1), repeat=code.trits):
            ctx.set(decoder.byte, code.encode(trits))
            assert tuple(code.decode_table[code.encode(trits)]) == trits
            found = ctx.get(decoder.trits)
            assert tuple(trit.plus - trit.minus for trit in found) == trits

    simulator = Simulator(decoder)
    simulator.add_testbench(walk)
    simulator.run()


def test_codes_are_told_apart() -> None:
    """By name and by number; and the published bytes of zeros are as they are published."""
    assert list(NUMBERS) == [code.number for code in CODES.values()] and 1 not in NUMBERS
    zeros = {name: code.encode([0] * code.trits) for name, code in CODES.items()}
    assert zeros == {"nested": 0xF8, "positional": 121, "two_bit": 0}
    assert CODES["positional"].encode([1, 0, 0, 0, -1]) == 2 + 3 + 9 + 27


@pytest.mark.parametrize("parameters", CORES, ids=IDS)
def test_array(parameters: dict[str, int | str], tmp_path: Path) -> None:
    """Sums and their order equal the integer model for all codes, extremes, rhythms, lengths and contexts.

    The Verilog is exact in its widths.
    """
    bench(TernaryArray(CoreParams(**parameters)), "array", parameters, tmp_path)
