# SPDX-License-Identifier: Apache-2.0
"""A line that loses, doubles and alters bytes."""

import random

from tritforge.host.board.port import SerialPort


class FaultyPort:
    """A port (`host.board.port.SerialPort`) whose bytes suffer on their way, in both directions.

    Parameters
    ----------
    port : behind it.
    chance : that something happens to a byte.
    seed : of what happens.

    Attributes
    ----------
    chance : may be changed.
    count : faults so far. carried : bytes that were given to it or that it gave.
    """

    def __init__(self, port: SerialPort, chance: float, seed: int) -> None:
        self._port, self.chance, self._dice = port, chance, random.Random(seed)
        self.count = self.carried = 0

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.carried += len(data)
        self._port.write(self._suffer(data))

    def read(self, count_at_most: int, timeout_s: float) -> bytes:
        """Wait for bytes; those that are lost have taken their time."""
        found = self._suffer(self._port.read(count_at_most, timeout_s))
        self.carried += len(found)
        return found

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def _suffer(self, data: bytes) -> bytes:
        if not self.chance:
            return data
        left = bytearray()
        for byte in data:
            if self._dice.random() >= self.chance:
                left.append(byte)
                continue
            self.count += 1
            left += self._dice.choice([b"", bytes([byte, byte]), bytes([byte ^ 1 << self._dice.randrange(8)])])
        return bytes(left)
