# SPDX-License-Identifier: Apache-2.0
"""cocotb test: a design and its netlist, side by side, show the same on all outputs in every cycle."""

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

EXTREMES = (0, 1, -1, 2**17 - 1, -(2**17))


@cocotb.test()
async def same(dut: Any) -> None:
    """Values from a small set, so that memories are read where they were written."""
    values = [*EXTREMES, *(random.randrange(-(2**17), 2**17) for _ in range(40))]
    Clock(dut.clk, 10, "ns").start()
    for cycle in range(3000):
        dut.a.value, dut.b.value = random.choice(values), random.choice(values)
        for signal in (dut.rst, dut.ce, dut.we):
            signal.value = random.randrange(2)
        await FallingEdge(dut.clk)
        assert not int(dut.different.value), f"cycle {cycle}: {int(dut.different.value):b}"
