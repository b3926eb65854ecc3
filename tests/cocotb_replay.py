# SPDX-License-Identifier: Apache-2.0
"""Drives recorded inputs into a component's Verilog and compares the outputs of every cycle."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from tritforge.sim.cocotb_run import test_parameters


@cocotb.test()
async def outputs_match(dut: Any) -> None:
    """Every output of every cycle equals the recorded one."""
    cycles = test_parameters()["cycles"]
    for name in cycles[0]["inputs"]:
        getattr(dut, name).value = 0
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start(start_high=False))
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    for number, cycle in enumerate(cycles):
        for name, value in cycle["inputs"].items():
            getattr(dut, name).value = value
        await FallingEdge(dut.clk)
        seen = {name: int(getattr(dut, name).value) for name in cycle["outputs"]}
        assert seen == cycle["outputs"], f"cycle {number}"
