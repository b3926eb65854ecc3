# SPDX-License-Identifier: Apache-2.0
"""A serial port with a model of a board behind it, a line that spoils bytes, and time of its own."""

import random
from collections import deque
from dataclasses import dataclass

from tritforge.hw.bridge.frames import from_board
from tritforge.sim.benches.models.bridge import BoardModel

BYTE_S = 1e-5
GAP_S = 1e-3
WORDS = 1 << 12
"""Of the board's memory; beyond it the bus refuses."""


@dataclass
class Faults:
    """How often what happens to the bytes of one call in one direction.

    Attributes
    ----------
    spoilt
        A few bytes are altered, lost, doubled, swapped or added.
    lost
        All of them.
    cut
        All from somewhere on.
    """

    spoilt: float = 0.0
    lost: float = 0.0
    cut: float = 0.0

    def apply(self, dice: random.Random, data: bytes) -> bytes:
        """What arrives."""
        if not data or dice.random() < self.lost:
            return b""
        if dice.random() < self.cut:
            return data[: dice.randrange(len(data))]
        if dice.random() < self.spoilt:
            for _ in range(dice.choice([1, 1, 3])):
                data = _spoil(dice, data)
        return data


def _spoil(dice: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = dice.randrange(len(data))
    end = at + dice.choice([1, 1, 2, 8])
    match dice.randrange(5):
        case 0:
            return data[:at] + bytes([data[at] ^ dice.randrange(1, 256)]) + data[at + 1 :]
        case 1:
            return data[:at] + data[end:]
        case 2:
            return data[:end] + data[at:]
        case 3:
            return data[:at] + data[at:end][::-1] + data[end:]
    return data[:at] + dice.randbytes(end - at) + data[at:]


class SimulatedPort:
    """See `host.board.port.SerialPort`; `clock` is for the link.

    Parameters
    ----------
    to_board, from_board
        What happens on the line.
    seed
        Of it.
    late
        How often an answer comes only after the host has given up waiting, in seconds of `lateness`.

    Attributes
    ----------
    now
        Seconds.
    memory
        Of the board, words.
    writes
        Byte address and word of all that were written, in order.
    pulled
        The cable is: nothing arrives any more.
    sent
        Bytes that the host has sent.
    """

    def __init__(
        self,
        to_board: Faults | None = None,
        from_board: Faults | None = None,
        seed: int = 0,
        late: float = 0.0,
        lateness: float = 0.0,
    ) -> None:
        self._dice = random.Random(seed)
        self._to_board, self._from_board = to_board or Faults(), from_board or Faults()
        self._late, self._lateness = late, lateness
        self.now, self._quiet_since = 0.0, -1.0
        self.memory = [0] * WORDS
        self.writes: list[tuple[int, int]] = []
        self.pulled = False
        self.sent = 0
        self._arriving: deque[tuple[float, bytes]] = deque()
        self._free = 0.0
        self.board = self._new_board()

    def _new_board(self) -> BoardModel:
        return BoardModel(self._read_word, self._write_word)

    def reset(self) -> None:
        """The board loses what it knows, but not its memory."""
        self.board = self._new_board()

    def clock(self) -> float:
        """The simulated time."""
        return self.now

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        begins = max(self.now, self._quiet_since)
        if begins - self._quiet_since > GAP_S:
            self.board.silence()
        self._quiet_since = begins + BYTE_S * len(data)
        if not self.pulled:
            self._answer(self.board.receive(self._to_board.apply(self._dice, data)))

    def push(self, number: int, token: int, cycles: int, status: int = 0) -> None:
        """The board sends a token."""
        words = number.to_bytes(2, "little") + token.to_bytes(2, "little") + cycles.to_bytes(4, "little")
        self._answer(from_board(0, status, 1, words))

    def read(self, count_at_most: int, timeout_s: float) -> bytes:
        assert timeout_s > 0
        if not self._arriving or self._arriving[0][0] > self.now + timeout_s:
            self.now += timeout_s
            return b""
        arrival, data = self._arriving.popleft()
        self.now = max(self.now, arrival)
        if len(data) > count_at_most:
            self._arriving.appendleft((arrival, data[count_at_most:]))
        return data[:count_at_most]

    def close(self) -> None:
        self.pulled = True

    def _answer(self, data: bytes) -> None:
        data = self._from_board.apply(self._dice, data)
        late = self._lateness if self._dice.random() < self._late else 0.0
        self._free = max(self._free, self._quiet_since, self.now) + BYTE_S * len(data) + late
        if data and not self.pulled:
            self._arriving.append((self._free, data))

    def _read_word(self, address: int) -> int | None:
        return self.memory[address // 4] if address // 4 < WORDS else None

    def _write_word(self, address: int, word: int) -> bool:
        self.writes.append((address, word))
        if address // 4 >= WORDS:
            return False
        self.memory[address // 4] = word
        return True
