# SPDX-License-Identifier: Apache-2.0
"""The ternary array and its decoder."""

import itertools

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

GEOMETRIES = ((4, 1), (4, 2), (16, 4), (64, 2))


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


@pytest.mark.parametrize(("lanes", "element_bytes"), GEOMETRIES)
def test_array(lanes: int, element_bytes: int) -> None:
    """Sums and their order equal the integer model for all codes, extremes, rhythms and lengths."""
    parameters = {"lanes": lanes, "element_bytes": element_bytes}
    run_cocotb(TernaryArray(CoreParams(**parameters)), "ternary_array", "sim.tb_array", parameters)


@pytest.mark.parametrize("element_bytes", (1, 2, 4))
def test_array_passes_the_lint(element_bytes: int, tmp_path) -> None:
    """The Verilog is exact in its widths."""
    array = TernaryArray(CoreParams(lanes=16, element_bytes=element_bytes))
    lint(emit_verilog(array, "ternary_array", tmp_path), "ternary_array")
