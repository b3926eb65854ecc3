# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the phase stepper: pulses are counted and measured."""

import random
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge

from tritforge.hw.board.phase_stepper import PULSE
from tritforge.sim.benches.common import begin


@cocotb.test()
async def steps(dut: Any) -> None:
    """As many pulses as are wanted, modulo 256, also when that changes meanwhile; each high for `PULSE` cycles and
    low for as long, or longer."""
    dut.wanted.value = 0
    await begin(dut)
    count, level, width = 0, 0, 10 * PULSE
    widths: tuple[list[int], list[int]] = [], []
    """Of low and of high."""

    async def run(cycles: int) -> None:
        nonlocal count, level, width
        for _ in range(cycles):
            await FallingEdge(dut.clk)
            if int(dut.step.value) == level:
                width += 1
                continue
            widths[level].append(width)
            level, width = 1 - level, 1
            count += level

    await run(10 * PULSE)
    assert count == 0
    wanted = 0
    for change in (1, 2, 0, 255, 7, 254, 30):
        wanted, before = (wanted + change) % 256, count
        if change > 5:
            # another wish comes and goes, in the middle of what is done for it
            dut.wanted.value = (wanted - 1) % 256
            await run(random.randrange(1, 5 * PULSE))
        dut.wanted.value = wanted
        # a pulse, as much behind it, and a few cycles between two of them
        await run(change * (2 * PULSE + 3) + 3 * PULSE)
        assert count - before == change and not level
    low, high = widths
    assert set(high) == {PULSE} and min(low) >= PULSE
    # the fastest of all is about as fast as it may be
    assert min(low) <= PULSE + 2
