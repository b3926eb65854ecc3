# SPDX-License-Identifier: Apache-2.0
"""A `WordMemory` at a unit's `MemoryPort`."""

import random
from typing import Any

from tritforge.sim.benches.models.word_memory import WordMemory


class PortMemory:
    """What is behind the port ``port`` of a unit.

    Parameters
    ----------
    dut : the unit.
    address_bits, bits : of the port.

    Attributes
    ----------
    memory : as late and as slow as it is told to be.
    """

    def __init__(self, dut: Any, address_bits: int, bits: int) -> None:
        self.memory = WordMemory(bits)
        self._dut, self._address_bits = dut, address_bits
        dut.port__request__ready.value = 0
        dut.port__answer_valid.value = 0

    def cycle(self) -> None:
        """A cycle."""
        dut, address_bits, request = self._dut, self._address_bits, None
        if int(dut.port__request__valid.value):
            bits = int(dut.port__request__payload.value)
            request = bits & (1 << address_bits) - 1, bits >> address_bits & 1, bits >> address_bits + 1
        ready, answer = self.memory.cycle(request)
        dut.port__request__ready.value = int(ready)
        dut.port__answer_valid.value = int(answer is not None)
        dut.port__answer.value = random.getrandbits(self.memory.bits) if answer is None else answer
