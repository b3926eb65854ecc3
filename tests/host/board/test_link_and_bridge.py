# SPDX-License-Identifier: Apache-2.0
"""The host's link and the board's bridge, which is Verilated, with a bad line between them."""

import random

import numpy as np
import pytest

from tests.host.board.simulated import Faults
from tests.hw.bridge.harness import CYCLES, SENT, TOKEN, WORDS, WRITE, Harness
from tritforge.host.board.link import BusError, Link, Token

CYCLE_S = 1e-8
TIMEOUT_S = 40_000 * CYCLE_S
"""Two long frames take 27,000 cycles, and their answers 23,000."""
CHUNK = 400
"""Cycles that are simulated at once when there is nothing to read."""
GAP = 256
GAP_S = 2 * GAP * CYCLE_S


class BridgePort:
    """See `host.board.port.SerialPort`; time is that of the simulation."""

    def __init__(self, to_board: Faults, from_board: Faults, seed: int) -> None:
        self._to_board, self._from_board, self._dice = to_board, from_board, random.Random(seed)
        self.harness = Harness(GAP)
        self._bytes = bytearray()
        self.writes: list[tuple[int, int]] = []
        self.sent = 0
        self._run([CYCLES + 4 * GAP])

    def clock(self) -> float:
        """Simulated seconds."""
        return self.harness.cycles * CYCLE_S

    def _run(self, script: list[int]) -> None:
        events = self.harness.run(np.array(script, np.uint16), 1 << 14)
        kinds = events >> np.uint64(62)
        data = events[kinds == SENT].astype(np.uint8).tobytes()
        self._bytes += self._from_board.apply(self._dice, data) if data else b""
        self.writes += [(event >> 32 & 0x3FFFFFFF, event & 0xFFFFFFFF) for event in events[kinds == WRITE].tolist()]

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        self._run([*self._to_board.apply(self._dice, data)])

    def read(self, count_at_most: int, timeout_s: float) -> bytes:
        end = self.clock() + timeout_s
        while not self._bytes and self.clock() < end:
            self._run([CYCLES + min(CHUNK, round((end - self.clock()) / CYCLE_S) + 1)])
        data = bytes(self._bytes[:count_at_most])
        del self._bytes[:count_at_most]
        return data

    def push(self) -> None:
        """A token is offered."""
        self._run([TOKEN])

    def close(self) -> None:
        self.harness.close()


@pytest.mark.parametrize("seed", range(8))
def test_each_access_is_done_once(seed: int) -> None:
    dice = random.Random(seed)
    # what comes back comes in many pieces
    to_board = Faults(0.15, 0.05, 0.05) if seed else Faults()
    from_board = Faults(0.02, 0.02, 0.01) if seed else Faults()
    port = BridgePort(to_board, from_board, seed)
    link = Link(port, clock=port.clock, timeout_s=TIMEOUT_S, tries=100, gap_s=GAP_S)
    link.connect()
    intended, memory = [], [0] * WORDS
    for _ in range(50):
        count = dice.choice([1, 3, 256, 600])
        at = dice.randrange(WORDS - count)
        if dice.random() < 0.5:
            words = [dice.getrandbits(32) for _ in range(count)]
            link.write(4 * at, words)
            intended += [(at + k, word) for k, word in enumerate(words)]
            memory[at : at + count] = words
        else:
            assert link.read(4 * at, count).tolist() == memory[at : at + count]
    assert port.writes == intended
    with pytest.raises(BusError) as error:
        link.read(4 * WORDS - 8, 3)
    assert error.value.address == 4 * WORDS
    link.close()


def test_a_good_line_is_busy_and_nothing_is_sent_twice() -> None:
    port = BridgePort(Faults(), Faults(), 0)
    link = Link(port, clock=port.clock, timeout_s=TIMEOUT_S, gap_s=GAP_S)
    link.connect()
    sent, began = port.sent, port.harness.cycles
    link.write(0, range(1024))
    # frames grow: 64 words, 68 and so on
    assert port.sent - sent == 4 * 1024 + 12 * 13
    # 12.5 cycles a byte
    assert port.harness.cycles - began < (4 * 1024 + 12 * 13) * 12.5 * 1.05
    sent, began = port.sent, port.harness.cycles
    link.read(0, 1024)
    assert port.sent - sent == 12 * 9
    # 11 of a byte, and 5 more on average of a word
    assert port.harness.cycles - began < 4 * 256 * (4 * 11 + 14) * 1.05
    link.close()


def test_tokens_are_heard() -> None:
    port = BridgePort(Faults(), Faults(), 0)
    link = Link(port, clock=port.clock, timeout_s=TIMEOUT_S, gap_s=GAP_S)
    link.connect()
    port.push()
    assert link.listen(TIMEOUT_S) == [Token(1, 7, 0x9E3779B9, 1)]
    port.push()
    link.read(0, 256)
    assert link.tokens() == [Token(2, 14, 0x3C6EF372, 2)]
    link.close()
