# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the tests of mutants: a bench that waits as long as it takes."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge


@cocotb.test()
async def counts_to_nine(dut: Any) -> None:
    """Every sum on the way, and the end."""
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value, dut.go.value = 1, 0
    await FallingEdge(dut.clk)
    dut.rst.value, dut.go.value = 0, 1
    expected = 0
    while not dut.done.value:
        if expected:
            assert dut.sum.value == expected
        await FallingEdge(dut.clk)
        expected += dut.sum.value != expected
    assert dut.sum.value == 9 and dut.ends.value
