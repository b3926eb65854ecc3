# SPDX-License-Identifier: Apache-2.0
"""What the driver reads from and writes to the registers of one core: counters and recurrent states."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tritforge.host.run.transport import Registers
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import COUNTERS, LINK_COUNTERS, Counter, register


@dataclass(frozen=True)
class Counters:
    """A core's counters since they were last cleared (hw/register_map.py has their definitions), or the sums of those
    of several that share a model, which all run the same tokens.

    Attributes
    ----------
    exchange
        Zero of a core without a link.
    cores
        Whose cycles these are.
    """

    cycles: int
    beats: int
    repeats: int
    starved: int
    drain: int
    dependency: int
    result: int
    tokens: int
    saturations: int
    exchange: int = 0
    cores: int = 1

    @property
    def occupancy(self) -> float:
        """Weight-stream occupancy: beats accepted per cycle in a packet; 0 before the first."""
        return self.beats / self.cycles if self.cycles else 0.0

    @property
    def cycles_per_token(self) -> float:
        """Of each core, in the mean."""
        return self.cycles / self.cores / self.tokens


def added(counters: Sequence[Counters]) -> Counters:
    """Those of several cores that ran the same tokens together."""
    sums = {f.name: sum(getattr(one, f.name) for one in counters) for f in fields(Counters)}
    return Counters(**sums | {"tokens": counters[0].tokens})


class CoreRegisters:
    """The registers of one core.

    Parameters
    ----------
    registers
        The way to them.
    params
        The core's parameters.
    number
        In a ring; None for a core that has no link.
    """

    def __init__(self, registers: Registers, params: CoreParams, number: int | None = None) -> None:
        self._registers, self._params, self._number = registers, params, number

    def __str__(self) -> str:
        """For the beginning of a sentence."""
        return "The core" if self._number is None else f"Core {self._number}"

    def read(self, name: str) -> int:
        """A register by its name."""
        return self._registers.read_register(register(name).offset)

    def write(self, name: str, value: int) -> None:
        """Write one."""
        self._registers.write_register(register(name).offset, value)

    def counters(self) -> Counters:
        """Read all counters."""
        there = COUNTERS + (() if self._number is None else LINK_COUNTERS)
        return Counters(**{counter.name.lower(): self._count(counter) for counter in there})

    def clear_counters(self) -> None:
        """Set all counters to zero."""
        self.write("CONTROL", register("CONTROL").field("CLEAR").mask)

    def read_state(self, slot: int, layers: int, rows: int) -> NDArray[np.int32]:
        """The recurrent state [layers, rows] of a slot; rows are those that the core has."""
        words = [[self.read("STATE_DATA") for _ in range(rows)] for _ in self._layers(slot, layers, rows)]
        return np.array(words, dtype=np.uint32).view(np.int32)

    def write_state(self, slot: int, state: NDArray[np.int32]) -> None:
        """Set it."""
        words = np.ascontiguousarray(state, dtype=np.int32).view(np.uint32)
        for layer in self._layers(slot, *state.shape):
            for word in words[layer].tolist():
                self.write("STATE_DATA", word)

    def _count(self, counter: Counter) -> int:
        """The value of a counter, lower half first: reading it latches the upper one."""
        halves = [self.read(half.name) for half in counter.registers]
        return sum(half << 32 * place for place, half in enumerate(halves))

    def _layers(self, slot: int, layers: int, rows: int) -> Iterator[int]:
        """Move the state window to each layer of a slot in turn."""
        group = self._params.vector_rows
        stride = -(-rows // group) * group
        for layer in range(layers):
            self.write("STATE_ADDRESS", slot * self._params.slot_values + layer * stride)
            yield layer
