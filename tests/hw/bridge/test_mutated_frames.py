# SPDX-License-Identifier: Apache-2.0
"""Frames mutated on their way: the bridge does what `hw.bridge.frames` says, and answers a good one after."""

import random
from array import array
from collections import Counter

import numpy as np

from tests.hw.bridge.harness import MARK, QUIET, READ, SENT, WORDS, WRITE, Harness
from tests.hw.bridge.mutations import GAP, mutated, some_frame
from tritforge.hw.bridge.frames import REFUSED, Operation, to_board
from tritforge.sim.benches.models.bridge import BoardModel

FRAMES = 100_000


class Expectation:
    """A script for the bridge, and what the model of the board does with it, in the harness's words."""

    def __init__(self) -> None:
        self.script, self.events = array("H"), array("Q")
        self.memory = [0] * WORDS
        self.board = BoardModel(self._read, self._write)
        self._sent = b""

    def _read(self, address: int) -> int | None:
        self.events.append(READ << 62 | address >> 2 << 32)
        return self.memory[address >> 2] if address >> 2 < WORDS else None

    def _write(self, address: int, word: int) -> bool:
        self.events.append(WRITE << 62 | address >> 2 << 32 | word)
        if address >> 2 < WORDS:
            self.memory[address >> 2] = word
            return True
        return False

    def send(self, data: bytes) -> bytes:
        """Bytes close behind one another; the answers."""
        self.script.extend(data)
        answers = self.board.receive(data)
        self._sent += answers
        return answers

    def gap(self) -> None:
        """All is done, and a gap is over."""
        self.script.append(QUIET)
        self.board.silence()
        self.events.extend(self._sent)
        self.events.append(MARK << 62)
        self._sent = b""


def ordered(events: np.ndarray) -> np.ndarray:
    """Accesses first and bytes next between two marks: bytes go while accesses are under way."""
    kinds = events >> np.uint64(62)
    part = np.cumsum(kinds == MARK) - (kinds == MARK)
    rank = np.where(kinds == SENT, 1, np.where(kinds == MARK, 2, 0))
    return events[np.argsort(part * 3 + rank, kind="stable")]


def test_mutated_frames() -> None:
    dice = random.Random(1)
    expectation = Expectation()
    board = expectation.board
    seen: Counter[str] = Counter()
    expectation.gap()
    expectation.send(to_board(Operation.CONNECT, 0, 0, 1))
    expectation.gap()
    for _ in range(FRAMES):
        name, line = mutated(dice, board.expected)
        seen[name] += 1
        for piece in _pieces(line):
            expectation.send(piece)
            expectation.gap()
        good = some_frame(dice, board.expected, 2)
        answer = expectation.send(good)
        assert answer[1] & 7 == good[1] and not answer[1] & REFUSED and answer[2] == good[2]
        expectation.gap()
    assert min(seen.values()) > FRAMES / 1000, seen

    harness = Harness()
    found = harness.run(np.array(expectation.script), len(expectation.events) + 1000)
    expected = np.array(expectation.events)
    found = ordered(found)
    expected = ordered(expected)
    length = min(len(found), len(expected))
    wrong = np.flatnonzero(found[:length] != expected[:length])
    assert not len(wrong), f"{wrong[0]}: {found[wrong[0]]:#x}, not {expected[wrong[0]]:#x}"
    assert len(found) == len(expected)
    harness.close()


def _pieces(line: list[int | None]) -> list[bytes]:
    """Between the gaps."""
    pieces = [bytearray()]
    for byte in line:
        if byte is GAP:
            pieces.append(bytearray())
        else:
            pieces[-1].append(byte)
    return [bytes(piece) for piece in pieces]
