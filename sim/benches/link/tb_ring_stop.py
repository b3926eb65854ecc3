# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the ring: cores that all speak at once, and hear when they like."""

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, Timer

from tritforge.hw.link.message import Kind, message_layout
from tritforge.sim.benches.common import begin, under_test
from tritforge.sim.cocotb_run import test_parameters


class Cores:
    """What stands at the stops.

    Attributes
    ----------
    said : number of messages of each core. due : for each core and each other one, what it still has to hear.
    """

    def __init__(self, dut: Any) -> None:
        self.dut, self.count = dut, test_parameters()["count"]
        self.layout = message_layout(under_test())
        self.said = [0] * self.count
        self.offered: list[int | None] = [None] * self.count
        self.due: list[list[deque[int]]] = [[deque() for _ in range(self.count)] for _ in range(self.count)]

    def message(self, core: int) -> int:
        """The next of a core: who says it, and the how many-th it is."""
        body = core | self.said[core] << 4
        fields = {"kind": random.choice([Kind.ROWS, Kind.SUM, Kind.END]), "hops": 0, "body": body}
        return int(self.layout.const(fields).as_value().value)

    async def cycle(self, speaks: list[float], hears: list[float]) -> int:
        """A cycle in which each core says and hears something with its chance; how many messages were heard."""
        dut, heard = self.dut, 0
        for core in range(self.count):
            if self.offered[core] is None and random.random() < speaks[core]:
                self.offered[core] = self.message(core)
            getattr(dut, f"own_{core}__valid").value = int(self.offered[core] is not None)
            getattr(dut, f"own_{core}__payload").value = self.offered[core] or 0
            getattr(dut, f"here_{core}__ready").value = int(random.random() < hears[core])
        await Timer(1, "ns")
        for core in range(self.count):
            if self.offered[core] is not None and int(getattr(dut, f"own_{core}__ready").value):
                self.offered[core] = None
                for other in range(self.count):
                    if other != core:
                        self.due[other][core].append(self.said[core])
                self.said[core] += 1
        for core in range(self.count):
            port = getattr(dut, f"here_{core}__valid")
            if int(port.value) and int(getattr(dut, f"here_{core}__ready").value):
                body = self.layout.from_bits(int(getattr(dut, f"here_{core}__payload").value)).body
                assert self.due[core][body & 15].popleft() == body >> 4, "each message once, in order"
                heard += 1
        await FallingEdge(dut.clk)
        return heard

    async def drain(self) -> None:
        """Long enough for all that is said to be heard: at first one message moves at a time."""
        nobody, everybody = [0.0] * self.count, [1.0] * self.count
        for _ in range(100 * self.count**2):
            if self.all_heard and all(one is None for one in self.offered):
                break
            await self.cycle(nobody, everybody)

    @property
    def all_heard(self) -> bool:
        return not any(queue for queues in self.due for queue in queues)


async def begun(dut: Any) -> Cores:
    """The ring after its reset."""
    for core in range(test_parameters()["count"]):
        getattr(dut, f"own_{core}__valid").value = 0
        getattr(dut, f"here_{core}__ready").value = 0
    await begin(dut)
    return Cores(dut)


@cocotb.test()
async def everybody_hears_everybody(dut: Any) -> None:
    """Each message at each other core once, those of a core in order, whoever speaks and hears how fast."""
    cores = await begun(dut)
    for _ in range(30):
        speaks, hears = ([random.choice([0.0, 0.1, 0.5, 1.0]) for _ in range(cores.count)] for _ in range(2))
        for _ in range(60):
            await cores.cycle(speaks, hears)
    await cores.drain()
    assert cores.all_heard and sum(cores.said) > 100


@cocotb.test()
async def a_full_ring_goes_on(dut: Any) -> None:
    """All cores speak as fast as they can while nobody hears; then all is heard: a place was left to move in."""
    cores = await begun(dut)
    everybody, nobody = [1.0] * cores.count, [0.0] * cores.count
    for _ in range(10):
        for _ in range(30 * cores.count):
            await cores.cycle(everybody, nobody)
        said = list(cores.said)
        await cores.cycle(everybody, nobody)
        assert cores.said == said, "it is full"
        heard = 0
        for _ in range(40):
            heard += await cores.cycle(everybody, everybody)
        assert heard
    await cores.drain()
    assert cores.all_heard


@cocotb.test()
async def a_message_a_cycle(dut: Any) -> None:
    """One core's messages pass at the full rate."""
    cores = await begun(dut)
    alone, everybody = [1.0] + [0.0] * (cores.count - 1), [1.0] * cores.count
    for _ in range(60):
        await cores.cycle(alone, everybody)
    said = cores.said[0]
    for _ in range(100):
        await cores.cycle(alone, everybody)
    assert cores.said[0] == said + 100
