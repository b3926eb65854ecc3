# SPDX-License-Identifier: Apache-2.0
"""The board as its frames describe it: bytes in, bytes and accesses out."""

from collections.abc import Callable

from tritforge.hw.bridge.frames import (
    CRC_BYTES,
    FAILED,
    FAILED_BEFORE,
    HEAD_BYTES,
    REFUSED,
    SEQUENCES,
    START_TO_BOARD,
    Operation,
    crc,
    from_board,
)

Read = Callable[[int], int | None]
Write = Callable[[int, int], bool]
JUNK = 0
"""Stands for a word that could not be read."""


class BoardModel:
    """What a bridge does with bytes, without time: a frame is executed as soon as it is whole.

    Parameters
    ----------
    read
        Of a word at a byte address; None if the bus refuses.
    write
        The same; False if it refuses.

    Attributes
    ----------
    expected
        The next sequence.
    """

    def __init__(self, read: Read, write: Write) -> None:
        self._read, self._write = read, write
        self._lost, self._buffer = True, bytearray()
        self.expected = 0
        self._connected = self._again_is_known = False
        self._failed = self._failed_before = False
        self._not_tried = 0

    def silence(self) -> None:
        """The line is silent for a gap, or longer."""
        self._lost = False
        self._buffer.clear()

    def receive(self, data: bytes) -> bytes:
        """Bytes, one close behind the other; what is answered to them."""
        answers, at = b"", 0
        while at < len(data) and not self._lost:
            # up to where something is decided
            piece = data[at : at + self._next_look() - len(self._buffer)]
            self._buffer += piece
            at += len(piece)
            answers += self._look()
        return answers

    def _next_look(self) -> int:
        known = len(self._buffer)
        return (
            self._length() if known >= HEAD_BYTES else min(length for length in (1, 4, HEAD_BYTES) if length > known)
        )

    def _look(self) -> bytes:
        frame, answer = self._buffer, b""
        if len(frame) == 1:
            self._lost = frame[0] != START_TO_BOARD
        elif len(frame) == 4:
            self._lost = not 1 <= frame[1] <= 3
        elif len(frame) == HEAD_BYTES:
            self._lost = frame[4] % 4 != 0
        elif len(frame) > HEAD_BYTES and len(frame) == self._length():
            self._lost = crc(bytes(frame[1:-CRC_BYTES])) != frame[-CRC_BYTES:]
            if not self._lost:
                answer = self._execute(bytes(frame))
            frame.clear()
        return answer

    def _length(self) -> int:
        frame = self._buffer
        words = frame[3] + 1 if frame[1] == Operation.WRITE else 0
        return HEAD_BYTES + 4 * words + CRC_BYTES

    def _execute(self, frame: bytes) -> bytes:
        operation, sequence, count = frame[1:4]
        address = int.from_bytes(frame[4:8], "little")
        again = self._again_is_known and (sequence + 1) % SEQUENCES == self.expected
        is_next = self._connected and sequence == self.expected
        if operation == Operation.CONNECT:
            self.expected, self._connected = sequence, True
            self._again_is_known = self._failed = self._failed_before = False
            return self._answer(operation, sequence)
        if not is_next and not again:
            return self._answer(operation | REFUSED, sequence, self.expected)
        if is_next:
            self._again_is_known = True
            self.expected = (sequence + 1) % SEQUENCES
            self._failed_before = self._failed
        if operation == Operation.WRITE and is_next:
            self._write_words(address, frame[HEAD_BYTES:-CRC_BYTES])
        if operation == Operation.READ:
            return self._read_words(sequence, address, count)
        return self._answer(operation, sequence, self._not_tried)

    def _answer(self, kind: int, sequence: int, number: int | None = None) -> bytes:
        number = self._not_tried if number is None else number
        return from_board(kind | self._flags(), sequence, number)

    def _flags(self) -> int:
        return FAILED * self._failed | FAILED_BEFORE * self._failed_before

    def _write_words(self, address: int, payload: bytes) -> None:
        count = len(payload) // 4
        self._failed = False
        for k in range(count):
            word = int.from_bytes(payload[4 * k : 4 * k + 4], "little")
            self._failed = not self._write((address + 4 * k) % (1 << 32), word)
            self._not_tried = count - 1 - k
            if self._failed:
                break

    def _read_words(self, sequence: int, address: int, count: int) -> bytes:
        self._failed = False
        words = []
        before = None
        for k in range(count + 1):
            word = None if self._failed else self._read((address + 4 * k) % (1 << 32))
            if not self._failed:
                self._failed, self._not_tried = word is None, count - k
            words.append(JUNK if word is None else word)
            # the kind is sent when the first word is there
            before = self._flags() if before is None else before
        payload = b"".join(word.to_bytes(4, "little") for word in words)
        kind = Operation.READ
        return from_board(kind | before, sequence, count, payload, bytes([kind | self._flags(), self._not_tried]))
