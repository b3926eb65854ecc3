# SPDX-License-Identifier: Apache-2.0
"""Finds the board's frames among bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

from tritforge.hw.bridge.frames import (
    ANSWER_HEAD_BYTES,
    CLOSING_BYTES,
    CRC_BYTES,
    FAILED,
    FAILED_BEFORE,
    REFUSED,
    START_FROM_BOARD,
    TOKEN_WORDS,
    Kind,
    answer_bytes,
    crc,
)


@dataclass(frozen=True)
class Answer:
    """A frame from the board, as `hw.bridge.frames` describes it.

    Attributes
    ----------
    kind : without its bits.
    refused, failed, failed_before : its bits; of data, of the second kind.
    sequence : or status of a token.
    number : of data, the second one.
    words : the bytes of its words.
    """

    kind: Kind
    refused: bool
    failed: bool
    failed_before: bool
    sequence: int
    number: int
    words: bytes


class Answers:
    """Bytes come in, frames that are whole and right come out; whatever else is there is passed over."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """More bytes."""
        self._bytes += data

    def found(self) -> Iterator[Answer]:
        """Frames that are there, each once; what may be the beginning of one waits."""
        while (length := self._length()) and length <= len(self._bytes):
            frame = bytes(self._bytes[:length])
            right = crc(frame[1:-CRC_BYTES]) == frame[-CRC_BYTES:]
            del self._bytes[: length if right else 1]
            if right:
                yield _read(frame)

    def rest(self) -> Iterator[Answer]:
        """The same, when nothing more comes for a while: then what waits is no beginning."""
        while self._bytes:
            yield from self.found()
            del self._bytes[:1]

    def _length(self) -> int:
        """Of the frame that seems to begin with the first byte; 0 if there is none yet. Passes over what is none."""
        while (at := self._bytes.find(START_FROM_BOARD)) >= 0:
            del self._bytes[:at]
            if len(self._bytes) < ANSWER_HEAD_BYTES:
                return 0
            kind, number = self._bytes[1], self._bytes[3]
            token = kind & 3 == Kind.TOKEN
            if kind < 2 * FAILED_BEFORE and not (token and (kind or number != TOKEN_WORDS - 1)):
                return answer_bytes(kind, number)
            del self._bytes[:1]
        self._bytes.clear()
        return 0


def _read(frame: bytes) -> Answer:
    kind, sequence, number = frame[1:ANSWER_HEAD_BYTES]
    words = frame[ANSWER_HEAD_BYTES:-CRC_BYTES]
    if words and kind & 3 == Kind.DATA:
        kind, number = words[-CLOSING_BYTES:]
        words = words[:-CLOSING_BYTES]
    refused, failed, failed_before = (bool(kind & bit) for bit in (REFUSED, FAILED, FAILED_BEFORE))
    return Answer(Kind(kind & 3), refused, failed, failed_before, sequence, number, words)
