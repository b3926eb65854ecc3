# SPDX-License-Identifier: Apache-2.0
"""The ternary array and its decoder."""

import itertools
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator

from hw.array import TernaryArray
from hw.decoder import TritDecoder
from hw.element import PAIR_OPERANDS, select
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


def test_decoder_drives_the_multiplexers() -> None:
    """Every code selects the products of its trits."""
    m = Module()
    m.submodules.decoder = decoder = TritDecoder()
    operands = Signal(PAIR_OPERANDS)
    x, y = (select(control, operands) for control in (decoder.control.x, decoder.control.y))

    async def bench(ctx) -> None:
        a, b = 1, 3
        ctx.set(operands, {"a": a, "b": b, "sum": a + b, "difference": a - b})
        for trits in itertools.product((-1, 0, 1), repeat=5):
            ctx.set(decoder.code, encode(trits))
            control = ctx.get(decoder.control)
            values = (ctx.get(x), control.single.nonzero, ctx.get(y))
            negatives = (control.x.negative, control.single.negative, control.y.negative)
            found = [-value if negative else value for value, negative in zip(values, negatives, strict=True)]
            assert found == [a * trits[0] + b * trits[1], trits[2], a * trits[3] + b * trits[4]], trits

    simulator = Simulator(m)
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
