# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the registers' window: accesses of the bus against a slave of AXI4-Lite, which checks its rules."""

import random
from typing import Any

import cocotb

from tritforge.hw.board.machine_map import CORE, MACHINE
from tritforge.hw.control.axi_lite import ADDRESS_BITS, OKAY, SLVERR
from tritforge.sim.benches.common import begin
from tritforge.sim.benches.models.word_bus import BusMaster

Channel = dict[str, int]


class AxiSlave:
    """Takes address and data of a write together, as the core's does, everything after as long as it likes.

    Attributes
    ----------
    latency : most cycles of a wait. writes, reads : what was taken, as payloads of their channels.
    answers : to them, as (response, word).
    """

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.latency = 0
        self.writes: list[Channel] = []
        self.reads: list[Channel] = []
        self.answers: list[tuple[int, int]] = []
        self._waits = {"write": 0, "read": 0, "b": 0, "r": 0}
        self._due: str | None = None
        self._held: dict[str, Channel] = {}
        for name in ("awready", "wready", "arready", "bvalid", "rvalid"):
            getattr(dut, f"axi__{name}").value = 0

    def cycle(self) -> None:
        """A cycle."""
        dut = self._dut
        aw, w, ar = (int(getattr(dut, f"axi__{name}valid").value) for name in ("aw", "w", "ar"))
        assert not ((aw or w) and ar) and not (self._due and (aw or w or ar)), "two transactions at once"
        wrote = self._address("write", bool(aw and w), ("awaddr", "awprot", "wdata", "wstrb"))
        was_read = self._address("read", bool(ar), ("araddr", "arprot"))
        dut.axi__awready.value = dut.axi__wready.value = int(wrote is not None)
        dut.axi__arready.value = int(was_read is not None)
        # what is due since a cycle before; else it holds nothing
        response, word = random.getrandbits(2), random.getrandbits(32)
        ends = None
        if self._due:
            response, word = self.answers[-1]
            ready = int(getattr(dut, f"axi__{self._due}ready").value)
            if self._waits[self._due]:
                self._waits[self._due] -= 1
            else:
                ends = self._due
        for name in ("b", "r"):
            getattr(dut, f"axi__{name}valid").value = int(ends == name)
            getattr(dut, f"axi__{name}resp").value = response
        dut.axi__rdata.value = word
        if ends and ready:
            self._due = None
        for kind, taken, due in (("b", wrote, self.writes), ("r", was_read, self.reads)):
            if taken is not None:
                due.append(taken)
                self.answers.append((random.choice([OKAY, SLVERR]), random.getrandbits(32)))
                self._due, self._waits[kind] = kind, random.randint(0, self.latency)

    def _address(self, kind: str, valid: bool, ports: tuple[str, ...]) -> Channel | None:
        """What is taken in this cycle; what is offered stays until then."""
        offered = {name: int(getattr(self._dut, f"axi__{name}").value) for name in ports}
        held = self._held.get(kind)
        assert held is None or (valid and offered == held), f"an address of a {kind} was not taken, and changed"
        if not valid:
            return None
        if held is None:
            self._waits[kind], self._held[kind] = random.randint(0, self.latency), offered
        if self._waits[kind]:
            self._waits[kind] -= 1
            return None
        del self._held[kind]
        return offered


@cocotb.test()
async def transactions(dut: Any) -> None:
    """Each access is one transaction, whose response and word come back; what is beyond AXI's addresses is none."""
    slave = AxiSlave(dut)
    master = BusMaster(dut, slave.cycle)
    await begin(dut)
    words = 1 << ADDRESS_BITS - 2
    outcomes: set[tuple[bool, int | None]] = set()
    for _ in range(500):
        slave.latency = random.choice([0, 0, 1, 4, 20])
        write, offset, data = bool(random.getrandbits(1)), random.randrange(words), random.getrandbits(32)
        beyond = random.random() < 0.2
        address = CORE // 4 + offset
        if beyond:
            # a bit that is not looked at leads back to the registers
            address += words << random.randrange(((MACHINE - CORE) // 4 // words).bit_length() - 1)
        before = len(slave.writes), len(slave.reads)
        answer, error = await master.access(write, address, data)
        transactions = slave.writes[before[0] :], slave.reads[before[1] :]
        if beyond:
            assert error and transactions == ([], []), f"{address:#x}"
            outcomes.add((write, None))
            continue
        response, word = slave.answers[-1]
        if write:
            expected = {"awaddr": 4 * offset, "awprot": 0, "wdata": data, "wstrb": 0b1111}
            assert transactions == ([expected], [])
        else:
            assert transactions == ([], [{"araddr": 4 * offset, "arprot": 0}])
            assert answer == word
        assert error == (response == SLVERR)
        outcomes.add((write, response))
    assert len(outcomes) == 6
