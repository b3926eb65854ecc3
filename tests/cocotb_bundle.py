# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the bundle's test: the top with AXI's own clock and reset."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamSink, AxiStreamSource

from tests.loopback import ID, IDENTITY, SCRATCH, fold, random_packet

LANES = 4


@cocotb.test(timeout_time=100, timeout_unit="us")
async def all_interfaces_work(dut: Any) -> None:
    """A packet goes through and registers answer; a low ``aresetn`` resets them."""
    names = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_weights"), **names)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_result"), **names)
    registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil_csr"), **names)
    Clock(dut.aclk, 10, "ns").start()

    async def reset() -> None:
        dut.aresetn.value = 0
        await ClockCycles(dut.aclk, 4)
        dut.aresetn.value = 1

    await reset()
    packet = random_packet(20, LANES)
    await source.send(packet.tobytes())
    assert bytes((await sink.recv()).tdata) == fold(packet, LANES).tobytes()
    assert await registers.read_dword(ID) == IDENTITY
    await registers.write_dword(SCRATCH, 77)
    assert await registers.read_dword(SCRATCH) == 77
    await reset()
    assert await registers.read_dword(SCRATCH) == 0
