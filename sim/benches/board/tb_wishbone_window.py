# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the window to Wishbone: accesses of the bus against a slave that checks its rules."""

import random
from typing import Any

import cocotb

from tritforge.hw.board.machine_map import CONTROLLER, CORE
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.word_bus import BusMaster
from tritforge.sim.cocotb_run import test_parameters


class Slave:
    """Acknowledges or refuses, as late as it likes.

    Attributes
    ----------
    latency : most cycles of a wait. accesses : write, address, data. answers : to them, word and whether it refuses.
    """

    def __init__(self, dut: Any) -> None:
        self._dut, self._wait = dut, -1
        self.latency = 0
        self.accesses: list[tuple[int, ...]] = []
        self.answers: list[tuple[int, bool]] = []
        dut.wishbone__ack.value = dut.wishbone__err.value = 0

    def cycle(self) -> None:
        """A cycle."""
        dut = self._dut
        asked = int(dut.wishbone__cyc.value)
        assert asked == int(dut.wishbone__stb.value)
        word, refuses, ends = random.getrandbits(32), False, False
        if asked:
            assert int(dut.wishbone__sel.value) == 0b1111
            access = tuple(int(getattr(dut, f"wishbone__{name}").value) for name in ("we", "adr", "dat_w"))
            if self._wait < 0:
                self._wait = random.randint(0, self.latency)
                self.accesses.append(access)
            assert access == self.accesses[-1], "an access changed"
            ends, refuses = self._wait == 0, random.random() < 0.2
            self._wait -= 1
            if ends:
                self.answers.append((word, refuses))
        else:
            assert self._wait < 0, "an access was given up"
        dut.wishbone__ack.value, dut.wishbone__err.value = int(ends and not refuses), int(ends and refuses)
        dut.wishbone__dat_r.value = word


@cocotb.test()
async def accesses(dut: Any) -> None:
    """Each access is one of the slave's, whose word and refusal come back; what is beyond its addresses is none."""
    slave = Slave(dut)
    master = BusMaster(dut, slave.cycle)
    await begin(dut)
    bits = test_parameters()["address_bits"]
    outcomes: set[tuple[bool, bool, bool]] = set()
    for _ in range(500):
        slave.latency = random.choice([0, 0, 1, 4, 20])
        write, offset, data = bool(random.getrandbits(1)), random.getrandbits(bits), random.getrandbits(32)
        beyond = random.random() < 0.2
        address = CONTROLLER // 4 + offset
        if beyond:
            address += 1 << random.randrange(bits, ((CORE - CONTROLLER) // 4).bit_length() - 1)
        before = len(slave.accesses)
        answer, error = await master.access(write, address, data)
        if beyond:
            assert error and len(slave.accesses) == before, f"{address:#x}"
        else:
            assert slave.accesses[before:] == [(int(write), offset, data)]
            word, refuses = slave.answers[-1]
            assert error == refuses and (write or refuses or answer == word)
        outcomes.add((write, beyond, error))
    assert len(outcomes) == 6
