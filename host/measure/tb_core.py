# SPDX-License-Identifier: Apache-2.0
"""cocotb testbench of a core, or of a ring of them: the host's own driver over models of all AXI interfaces."""

import logging
import random
from collections.abc import Iterator, Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from numpy.typing import NDArray

from tritforge.host.image.image import Image
from tritforge.host.run.backends import CoreBackend
from tritforge.hw.core import BUSES
from tritforge.sim.cocotb_run import test_parameters

CLOCK = 10
"""Period in nanoseconds."""


def pauses(chance: float) -> Iterator[bool]:
    """Whether a channel pauses, cycle by cycle."""
    while True:
        yield random.random() < chance


class TB:
    """A core between a stream source, a stream sink and a register master, as a transport of the host's driver.

    Parameters
    ----------
    dut : the core's top, or that of a ring.
    number : of the core in its ring; None for one alone.
    stall : probability that a channel pauses in a cycle; on the weight stream a missing beat, on the result
        stream back-pressure, on the register channels either.
    """

    def __init__(self, dut: Any, stall: float, number: int | None = None) -> None:
        self.dut = dut
        weights, result, csr = BUSES if number is None else (f"{bus}_{number}" for bus in BUSES)
        width = len(getattr(dut, f"{weights}_tdata"))
        # a whole beat as one element: the models then handle beats, not bytes
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, weights), dut.clk, dut.rst, byte_size=width)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, result), dut.clk, dut.rst, byte_size=32)
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, csr), dut.clk, dut.rst)
        self._beat_bytes = width // 8
        if stall:
            channels = (self.source, self.sink, *self._register_channels())
            for channel in channels:
                channel.set_pause_generator(pauses(stall))

    def _register_channels(self) -> Iterator[Any]:
        write, read = self.registers.write_if, self.registers.read_if
        yield from (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)

    @resume
    async def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """See `host.run.transport.Transport`; the stream model always ends a frame with TLAST."""
        if not last:
            raise ValueError("A frame of this transport always ends with TLAST.")
        return await self.transfer(segments, expect_result)

    async def transfer(self, segments: Sequence[NDArray[np.uint8]], expect_result: bool = True) -> NDArray[np.uint32]:
        """A packet and its result; a core that hangs is given up on after 100 cycles a beat and some more."""
        data = b"".join(np.ascontiguousarray(segment).tobytes() for segment in segments)
        step = self._beat_bytes
        beats = [int.from_bytes(data[at : at + step], "little") for at in range(0, len(data), step)]
        patience = CLOCK * (100_000 + 100 * len(beats))
        await self.source.send(AxiStreamFrame(beats))
        await with_timeout(self.source.wait(), patience, "ns")
        if not expect_result:
            return np.zeros(0, np.uint32)
        return np.array((await with_timeout(self.sink.recv(), patience, "ns")).tdata, dtype=np.uint32)

    @resume
    async def read_register(self, offset: int) -> int:
        """See `host.run.transport.Transport`."""
        return int(await self.registers.read_dword(offset))

    @resume
    async def write_register(self, offset: int, value: int) -> None:
        """See `host.run.transport.Transport`."""
        await self.registers.write_dword(offset, value)


class RingTB:
    """Cores of a ring, as a transport of the host's driver (`host.run.transport.RingTransport`)."""

    def __init__(self, dut: Any, stall: float, count: int) -> None:
        self.cores = [TB(dut, stall, number) for number in range(count)]

    @resume
    async def exchange_all(self, packets: Sequence[Sequence[NDArray[np.uint8]]]) -> list[NDArray[np.uint32]]:
        """See `host.run.transport.RingTransport`."""
        pairs = zip(self.cores, packets, strict=True)
        tasks = [cocotb.start_soon(core.transfer(packet)) for core, packet in pairs]
        return [await task for task in tasks]


async def start(dut: Any) -> None:
    """Clock and reset."""
    Clock(dut.clk, CLOCK, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    logging.getLogger("cocotb").setLevel(logging.WARNING)


@cocotb.test()
async def tokens(dut: Any) -> None:
    """Runs the given tokens and leaves logits, states and counters in a file for `host.measure.cosim` to compare."""
    given = test_parameters()
    tb = RingTB(dut, given["stall"], given["cores"]) if given["cores"] else TB(dut, given["stall"])
    await start(dut)

    @bridge
    def run() -> None:
        backend = CoreBackend(tb, Image.open(given["image"]))
        output = backend.run(np.array(given["ids"]))
        counters = backend.counters()
        np.savez(
            given["out"],
            tokens=output.tokens,
            raw=output.integers.raw,
            mantissa=output.integers.mantissa,
            shift=output.integers.shift,
            state=backend.state(),
            cycles=counters.cycles,
            beats=counters.beats,
            saturations=counters.saturations,
        )

    await run()
