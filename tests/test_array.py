# SPDX-License-Identifier: Apache-2.0
"""The ternary array and its decoder."""

import itertools
from pathlib import Path

import pytest
from amaranth.sim import Simulator

from hw.array import TernaryArray
from hw.decoder import TritDecoder
from hw.params import CoreParams
from hw.trits import encode
from rtl_gen.emit import emit_verilog
from rtl_gen.lint import lint
from sim.cocotb_run import run_cocotb

CORES = [
    {"lanes": lanes, "element_bytes": element_bytes, "vector_rows": vector_rows, "batch": batch}
    for lanes, element_bytes, vector_rows, batch in ((4, 1, 1, 1), (4, 2, 1, 3), (16, 4, 4, 2), (64, 2, 8, 1))
]
IDS = ["-".join(map(str, core.values())) for core in CORES]


def test_decoder() -> None:
    """Every code gives its trits."""
    decoder = TritDecoder()

    async def bench(ctx) -> None:
        for trits in itertools.product((-1, 0, 1), repeat=5):
            ctx.set(decoder.code, encode(trits))
            found = ctx.get(decoder.trits)
            assert tuple(trit.plus - trit.minus for trit in found) == trits

    simulator = Simulator(decoder)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("parameters", CORES, ids=IDS)
def test_array(parameters: dict[str, int], tmp_path: Path) -> None:
    """Sums and their order equal the integer model for all codes, extremes, rhythms, lengths and contexts.

    The Verilog is exact in its widths.
    """
    files = emit_verilog(TernaryArray(CoreParams(**parameters)), "ternary_array", tmp_path)
    lint(files, "ternary_array")
    run_cocotb(files, "ternary_array", "sim.tb_array", parameters)
