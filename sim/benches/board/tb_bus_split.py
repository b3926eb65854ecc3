# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the bus' split: three slaves of any latency, and accesses of which each is one slave's."""

import random
from typing import Any

import cocotb

from tritforge.hw.board.machine_map import CORE, MACHINE, MEMORY
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.word_bus import BusMaster, BusSlave

WAYS = {"memory": (MEMORY, CORE), "core": (CORE, MACHINE), "machine": (MACHINE, 1 << 32)}
"""Byte addresses of each."""


@cocotb.test()
async def leads(dut: Any) -> None:
    """Each access comes to one slave, once and unchanged, and what that says comes back."""
    slaves = {name: BusSlave(dut, name) for name in WAYS}

    def cycle() -> None:
        assert sum([slave.cycle() for slave in slaves.values()]) <= 1, "two slaves have an access"

    master = BusMaster(dut, cycle)
    await begin(dut)
    for _ in range(40):
        for slave in slaves.values():
            slave.latency = random.choice([0, 0, 1, 5, 30])
        for _ in range(15):
            name = random.choice(list(WAYS))
            first, end = WAYS[name]
            address = random.choice([first, end - 4, random.randrange(first, end)]) // 4
            write, data = bool(random.getrandbits(1)), random.getrandbits(32)
            before = {other: len(slave.accesses) for other, slave in slaves.items()}
            answer, error = await master.access(write, address, data)
            after = {other: len(slave.accesses) - before[other] for other, slave in slaves.items()}
            assert after == {other: int(other == name) for other in WAYS}
            assert slaves[name].accesses[-1] == (write, address, data)
            assert (answer, error) == slaves[name].answered[-1]
