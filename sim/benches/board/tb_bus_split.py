# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the bus' split: slaves of any latency, and accesses of which each is one slave's."""

import random
from typing import Any

import cocotb

from tritforge.hw.board.machine_map import CONTROLLER, CORE, MACHINE, MEMORY
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.word_bus import BusMaster, BusSlave
from tritforge.sim.cocotb_run import test_parameters

FIRST = {"memory": MEMORY, "controller": CONTROLLER, "core": CORE, "machine": MACHINE}
"""Byte address of each; it ends where the next one of those that there are begins."""


@cocotb.test()
async def leads(dut: Any) -> None:
    """Each access comes to one slave, once and unchanged, and what that says comes back."""
    names = test_parameters()["ways"]
    ends = [*(FIRST[name] for name in names[1:]), 1 << 32]
    ways = {name: (FIRST[name], end) for name, end in zip(names, ends, strict=True)}
    slaves = {name: BusSlave(dut, name) for name in ways}

    def cycle() -> None:
        assert sum([slave.cycle() for slave in slaves.values()]) <= 1, "two slaves have an access"

    master = BusMaster(dut, cycle)
    await begin(dut)
    for _ in range(40):
        for slave in slaves.values():
            slave.latency = random.choice([0, 0, 1, 5, 30])
        for _ in range(15):
            name = random.choice(names)
            first, end = ways[name]
            address = random.choice([first, end - 4, random.randrange(first, end)]) // 4
            write, data = bool(random.getrandbits(1)), random.getrandbits(32)
            before = {other: len(slave.accesses) for other, slave in slaves.items()}
            answer, error = await master.access(write, address, data)
            after = {other: len(slave.accesses) - before[other] for other, slave in slaves.items()}
            assert after == {other: int(other == name) for other in ways}
            assert slaves[name].accesses[-1] == (write, address, data)
            assert (answer, error) == slaves[name].answered[-1]
