# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the loop-back tests."""

import logging
import random
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource

from tests.loopback import ID, IDENTITY, SCRATCH, fold, random_packet
from tritforge.sim.cocotb_run import test_parameters


def _pauses(chance: float) -> Iterator[bool]:
    while True:
        yield random.random() < chance


async def _start(dut: Any) -> None:
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    logging.getLogger("cocotb").setLevel(logging.WARNING)


@cocotb.test()
async def packets_return(dut: Any) -> None:
    """Every word of every packet comes back, whatever the pauses."""
    given = test_parameters()
    lanes = given["lanes"]
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_weights"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_result"), dut.clk, dut.rst)
    await _start(dut)
    source.set_pause_generator(_pauses(given["in_stall"]))
    sink.set_pause_generator(_pauses(given["out_stall"]))
    for length in given["lengths"]:
        packet = random_packet(length, lanes)
        await source.send(packet.tobytes())
        frame = await sink.recv()
        assert np.array_equal(np.frombuffer(bytes(frame.tdata), np.uint32), fold(packet, lanes))


@cocotb.test()
async def registers_hold(dut: Any) -> None:
    """The register bus reads back what it wrote."""
    bus = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil_csr"), dut.clk, dut.rst)
    await _start(dut)
    assert await bus.read_dword(ID) == IDENTITY
    await bus.write_dword(SCRATCH, 0xCAFE0123)
    assert await bus.read_dword(SCRATCH) == 0xCAFE0123


@cocotb.test(skip=not test_parameters().get("fail"))
async def fails(dut: Any) -> None:
    """Fails when asked to, so that reporting can be tested."""
    raise AssertionError("as asked")
