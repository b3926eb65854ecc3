# SPDX-License-Identifier: Apache-2.0
"""A memory behind AXI4 that has several bursts under way, as late and as slow as a bench wants it."""

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

OKAY, EXOKAY, SLVERR, DECERR = range(4)


class Burst(NamedTuple):
    """Of a read: address in bytes, beats less one, and the rest of its channel."""

    address: int
    len: int
    size: int
    burst: int
    id: int
    lock: int
    cache: int
    prot: int


def burst_of(dut: Any) -> Burst | None:
    """The read that a master offers in this cycle."""
    if not int(dut.axi__arvalid.value):
        return None
    names = ("addr", "len", "size", "burst", "id", "lock", "cache", "prot")
    return Burst(*(int(getattr(dut, f"axi__ar{name}").value) for name in names))


@dataclass
class AxiMemory:
    """The slave, cycle by cycle; it checks what the protocol asks of its master.

    Attributes
    ----------
    bits : of a word; it is a digest of its address in words. longest : beats of a burst.
    latency : cycles from a read that is taken to its first beat, 1 or more, at least.
    interval : between two beats. chance : that it takes a read, or gives a beat that could come.
    paused : takes and gives nothing. faults : answers of words, where they are not OKAY.
    failed : a word was given with one that is an error.
    outstanding : bursts not answered. words : beats not answered. most : the most bursts.
    """

    bits: int
    longest: int
    latency: int = 1
    interval: int = 1
    chance: float = 1.0
    paused: bool = False
    faults: dict[int, int] = field(default_factory=dict)
    taken: list[int] = field(default_factory=list)
    bursts: list[int] = field(default_factory=list)
    failed: bool = False
    most: int = 0
    _due: deque[tuple[int, int, bool]] = field(default_factory=deque)
    _cycle: int = 0
    _next: int = 0
    _held: Burst | None = None

    def word(self, address: int) -> int:
        """What is stored at an address, in words."""
        return random.Random(address).getrandbits(self.bits)

    @property
    def words(self) -> int:
        """See above."""
        return len(self._due)

    @property
    def outstanding(self) -> int:
        """See above."""
        return sum(last for _, _, last in self._due)

    def cycle(self, read: Burst | None) -> tuple[bool, tuple[int, bool, int] | None]:
        """A cycle with a read that is offered, or none: whether it is taken, and a beat: data, last, response."""
        self._cycle += 1
        assert self._held in (None, read), f"{self._held} was not taken, and is now {read}"
        ready = not self.paused and random.random() < self.chance
        self._held = None if ready else read
        if ready and read is not None:
            self._take(read)
        if self.paused or random.random() >= self.chance or self._cycle < self._next:
            return ready, None
        if not self._due or self._cycle < self._due[0][0]:
            return ready, None
        _, address, last = self._due.popleft()
        self._next = self._cycle + self.interval
        response = self.faults.get(address, OKAY)
        self.failed |= response >= SLVERR
        return ready, (self.word(address), last, response)

    def _take(self, read: Burst) -> None:
        size, beats = self.bits // 8, read.len + 1
        assert 1 << read.size == size and read.address % size == 0
        assert (read.burst, read.id, read.lock, read.cache, read.prot) == (1, 0, 0, 3, 0)
        assert read.address // 4096 == (read.address + beats * size - 1) // 4096, "a burst goes over a block of 4 KB"
        assert beats <= self.longest
        self.bursts.append(beats)
        for beat in range(beats):
            address = read.address // size + beat
            self.taken.append(address)
            self._due.append((self._cycle + self.latency, address, beat == read.len))
        self.most = max(self.most, self.outstanding)
