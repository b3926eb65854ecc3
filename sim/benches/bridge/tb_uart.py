# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the serial line's ends, each against the usual model of the other one."""

import random
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer
from cocotbext.uart import UartSink, UartSource

from tritforge.sim.benches.common import begin
from tritforge.sim.cocotb_run import test_parameters

CYCLE_NS = 10


async def _collect(dut: Any, found: list[int]) -> None:
    while True:
        await RisingEdge(dut.bytes__valid)
        await FallingEdge(dut.clk)
        found.append(int(dut.bytes__byte.value))
        await FallingEdge(dut.clk)
        assert not int(dut.bytes__valid.value)


@cocotb.test()
async def receiver(dut: Any) -> None:
    """Every byte, close behind one another and apart, at rates that are off as far as they may be."""
    dut.rx.value = 1
    await begin(dut)
    found: list[int] = []
    cocotb.start_soon(_collect(dut, found))
    bit = test_parameters()["cycles"] * CYCLE_NS
    for off in test_parameters()["off_ns"]:
        source = UartSource(dut.rx, baud=1e9 / (bit + off))
        sent = random.sample(range(256), 256)
        source.write_nowait(sent)
        await source.wait()
        for byte in sent[:20]:
            # of any phase
            await Timer(random.randrange(1, 30 * bit), "ns")
            source.write_nowait([byte])
            await source.wait()
        await Timer(2 * bit, "ns")
        assert found == sent + sent[:20], off
        found.clear()


@cocotb.test()
async def broken(dut: Any) -> None:
    """What is no byte: a start that is over at once, one without a stop bit, a line that is held low."""
    dut.rx.value = 1
    await begin(dut)
    found: list[int] = []
    cocotb.start_soon(_collect(dut, found))
    bit = test_parameters()["cycles"] * CYCLE_NS
    source = UartSource(dut.rx, baud=1e9 / bit)

    async def hold(level: int, bits: float) -> None:
        dut.rx.value = level
        await Timer(int(bits * bit), "ns")

    async def good() -> None:
        byte = random.randrange(256)
        source.write_nowait([byte])
        await source.wait()
        await hold(1, 1)
        assert found == [byte]
        found.clear()

    await hold(1, 2)
    for _ in range(5):
        await hold(0, 0.2)
        await hold(1, 1)
        await good()
        # ends in place of its stop bit, or when the line had been low for long
        for low in (9.8, 10.6, 35, 300):
            await hold(0, low)
            assert found == []
            await hold(1, 0.7)
            await good()


@cocotb.test()
async def transmitter(dut: Any) -> None:
    """Every byte, as fast as they are taken, and apart; ten bits and a cycle each."""
    dut.bytes__valid.value = 0
    await begin(dut)
    cycles = test_parameters()["cycles"]
    sink = UartSink(dut.tx, baud=1e9 / (cycles * CYCLE_NS))
    for pause in (False, True):
        sent = random.sample(range(256), 256)
        taken = 0
        for byte in sent:
            if pause:
                await Timer(CYCLE_NS * random.randrange(1, 25 * cycles), "ns")
                await FallingEdge(dut.clk)
            dut.bytes__payload.value = byte
            dut.bytes__valid.value = 1
            while not int(dut.bytes__ready.value):
                await FallingEdge(dut.clk)
                taken += 1
            await FallingEdge(dut.clk)
            taken += 1
            dut.bytes__valid.value = 0
        if not pause:
            # the first is taken at once
            assert taken == 255 * (10 * cycles + 1) + 1
        await Timer(11 * cycles * CYCLE_NS, "ns")
        assert list(sink.read_nowait()) == sent
        assert int(dut.tx.value)
