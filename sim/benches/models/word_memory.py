# SPDX-License-Identifier: Apache-2.0
"""A memory of whole words as late and as slow as a bench wants it, in place of a controller at a `MemoryPort`."""

import random
from collections import deque
from dataclasses import dataclass, field


@dataclass
class WordMemory:
    """What a memory does at its port, cycle by cycle; it checks what it is asked.

    Attributes
    ----------
    bits : of a word; what was never written is a digest of its address.
    latency : cycles from a request that is taken to its answer, 1 or more, at least.
    interval : between two requests that are taken, and between two answers.
    chance : that it takes a request in a cycle.
    paused : takes and answers nothing.
    taken : requests as (address, write, data). idle : cycles in which it would have taken one.
    outstanding : reads without their answer. most : the most there were.
    """

    bits: int
    latency: int = 1
    interval: int = 1
    chance: float = 1.0
    paused: bool = False
    words: dict[int, int] = field(default_factory=dict)
    taken: list[tuple[int, int, int]] = field(default_factory=list)
    idle: int = 0
    most: int = 0
    _due: deque[tuple[int, int]] = field(default_factory=deque)
    _cycle: int = 0
    _next_request: int = 0
    _next_answer: int = 0
    _held: tuple[int, int, int] | None = None

    def word(self, address: int) -> int:
        """What is stored at an address."""
        return self.words.get(address, random.Random(address).getrandbits(self.bits))

    @property
    def outstanding(self) -> int:
        """See above."""
        return len(self._due)

    def cycle(self, request: tuple[int, int, int] | None) -> tuple[bool, int | None]:
        """A cycle with a request as (address, write, data), or none: whether it is ready, and an answer."""
        self._cycle += 1
        assert self._held in (None, request), f"{self._held} was not taken, and is now {request}"
        ready = not self.paused and self._cycle >= self._next_request and random.random() < self.chance
        self._held = None if ready else request
        if ready and request is None:
            self.idle += 1
        if ready and request is not None:
            address, write, data = request
            self.taken.append(request)
            self._next_request = self._cycle + self.interval
            if write:
                self.words[address] = data
            else:
                self._due.append((self._cycle + self.latency, self.word(address)))
                self.most = max(self.most, len(self._due))
        answer = None
        if not self.paused and self._due and self._cycle >= max(self._due[0][0], self._next_answer):
            answer = self._due.popleft()[1]
            self._next_answer = self._cycle + self.interval
        return ready, answer
