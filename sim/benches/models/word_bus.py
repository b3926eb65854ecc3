# SPDX-License-Identifier: Apache-2.0
"""Both ends of the board's bus (`hw.bridge.word_bus`): a master that keeps its rules, a slave that checks them."""

import random
from collections.abc import Callable
from typing import Any

from cocotb.triggers import FallingEdge

LONGEST = 1000
"""Cycles of an access; one that takes longer is lost."""
Access = tuple[bool, int, int]
"""Write, word address, data."""


class BusMaster:
    """Accesses, one at a time, with one cycle or more between two.

    Parameters
    ----------
    dut : its port ``bus`` is the slave's.
    cycle : called in each cycle of an access and behind it, such as for what surrounds the unit.
    """

    def __init__(self, dut: Any, cycle: Callable[[], None] = lambda: None) -> None:
        self._dut, self._cycle = dut, cycle
        dut.bus__valid.value = 0

    async def access(self, write: bool, address: int, data: int = 0) -> tuple[int, bool]:
        """What was read, and whether it is an error."""
        dut = self._dut
        for name, value in (("write", int(write)), ("address", address), ("data", data)):
            getattr(dut, f"bus__{name}").value = value
        dut.bus__valid.value = 1
        for _ in range(LONGEST):
            await self.pause(1)
            if int(dut.bus__done.value):
                break
        else:
            raise AssertionError(f"{'write' if write else 'read'} of word {address:#x} is not done")
        answer, error = int(dut.bus__answer.value), bool(int(dut.bus__error.value))
        await FallingEdge(dut.clk)
        dut.bus__valid.value = 0
        # what is on the bus now is of no access
        dut.bus__write.value, dut.bus__address.value = random.getrandbits(1), random.getrandbits(30)
        dut.bus__data.value = random.getrandbits(32)
        self._cycle()
        assert not int(dut.bus__done.value), "done twice"
        await self.pause(random.choice([1, 1, 2, 9]))
        return answer, error

    async def write(self, address: int, data: int) -> bool:
        """Whether it was carried out."""
        return not (await self.access(True, address, data))[1]

    async def read(self, address: int, data: int | None = None) -> int | None:
        """The word; None for an error."""
        answer, error = await self.access(False, address, random.getrandbits(32) if data is None else data)
        return None if error else answer

    async def pause(self, cycles: int) -> None:
        """Nothing new."""
        for _ in range(cycles):
            await FallingEdge(self._dut.clk)
            self._cycle()


class BusSlave:
    """What is at a bus: takes its time, and keeps what it was asked.

    Parameters
    ----------
    dut, name : whose port it is.

    Attributes
    ----------
    latency : cycles behind that of the request in which it is done, drawn anew for each access up to this.
    accesses : in order. answered : with each of them, answer and error.
    """

    def __init__(self, dut: Any, name: str) -> None:
        self._ports = {port: getattr(dut, f"{name}__{port}") for port in _PORTS}
        self._ports["done"].value = 0
        self.latency = 0
        self.accesses: list[Access] = []
        self.answered: list[tuple[int, bool]] = []
        self._left: int | None = None
        self._done = False

    def cycle(self) -> bool:
        """A cycle; whether something is asked in it."""
        ports = self._ports
        valid = bool(int(ports["valid"].value))
        assert not (valid and self._done), "goes on behind done"
        assert valid or self._left is None, "an access was given up"
        access = bool(int(ports["write"].value)), int(ports["address"].value), int(ports["data"].value)
        answer, error = random.getrandbits(32), bool(random.getrandbits(1))
        self._done = False
        if valid and self._left is None:
            self._left = random.randint(0, self.latency)
            self.accesses.append(access)
        elif valid:
            assert access == self.accesses[-1], "an access changed"
            self._left -= 1
        if valid and self._left == 0:
            self.answered.append((answer, error))
            self._done, self._left = True, None
        ports["done"].value, ports["answer"].value, ports["error"].value = int(self._done), answer, int(error)
        return valid


_PORTS = ("valid", "write", "address", "data", "done", "answer", "error")
