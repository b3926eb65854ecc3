# SPDX-License-Identifier: Apache-2.0
"""The frames between host and board: what each byte means is said here and nowhere else.

Numbers of several bytes are little endian, and a word is four bytes. The CRC is CRC-32 (IEEE, as zlib has it) of the
bytes between the frame's first one and itself.

To the board::

     0      0xA5
     1      operation: 1 write, 2 read, 3 connect
     2      sequence
     3      words - 1
     4..7   address of the first byte, a multiple of 4
     8..    of a write alone: the words
    last 4  CRC

From the board::

     0      0x5A
     1      kind, see below
     2      sequence of the frame that is answered; of a token: its status
     3      data and token: words - 1; written: words that were not written behind the one that failed, 0 if none did;
            refused: the sequence that is expected; connected: means nothing
     4..    data and token alone: the words
     + 2    data alone: kind once more, and how many words were not read behind the one that failed
    last 4  CRC

A kind is 0 token, 1 written, 2 data, 3 connected, as the operation that is answered, and these bits, of which the two
last ones speak of the frame executed last::

    0x04    refused; there are no words
    0x08    failed: the bus refused a word, and what comes behind it was not tried. Data are sent as they are read, so
            that only their second kind is sure to say it; their words from the failed one on mean nothing
    0x10    the frame executed before it failed

A token is pushed between two answers: 16 bytes in all, of which the words are {number of the token, 16 bits | token
<< 16} and the cycles that it took.

A frame is executed once, as a whole and in order. The board executes one whose sequence it expects, and then expects
the next one, modulo 256. The frame executed last is answered again if it comes again, since its answer was lost: what
was written is not written a second time, what was read is read once more. Every other one is refused. Connect is
always executed; its sequence becomes the expected one. Before the first connect everything else is refused.

A frame with a wrong CRC, an unknown operation or a crooked address is passed over without an answer. Then, behind a
byte that no frame can begin with, and behind a reset, nothing is a frame's beginning until the line has been silent
for a gap: what follows may be the inside of one, and data may look like frames. A gap inside a frame ends it. So who
sends again has been silent for longer than a gap.

The board holds one frame while it executes another; a third is lost: a host has at most `WINDOW` frames on their way
that are not answered. An answer to the second of two says that the first one was executed too, and whether it failed.
"""

import zlib
from enum import IntEnum

START_TO_BOARD = 0xA5
START_FROM_BOARD = 0x5A
MOST_WORDS = 256
"""Of a frame."""
WINDOW = 2
"""Frames that may be on their way."""
GAP_CYCLES = 1 << 18
"""Of the board's clock: a silence that ends a frame."""
HEAD_BYTES = 8
"""Of a frame to the board, in front of its words."""
ANSWER_HEAD_BYTES = 4
CLOSING_BYTES = 2
"""Of data, behind its words."""
CRC_BYTES = 4
CRC_POLYNOMIAL = 0xEDB88320
"""Reflected: the first bit is the lowest."""
TOKEN_WORDS = 2
SEQUENCES = 256


class Operation(IntEnum):
    """Of a frame to the board."""

    WRITE = 1
    READ = 2
    CONNECT = 3


class Kind(IntEnum):
    """Of a frame from the board, without its bits."""

    TOKEN = 0
    WRITTEN = 1
    DATA = 2
    CONNECTED = 3


KIND_BITS = 2
"""Of a kind that are a `Kind`."""
REFUSED, FAILED, FAILED_BEFORE = 4, 8, 16
"""The others."""


def crc(content: bytes) -> bytes:
    """The end of a frame."""
    return zlib.crc32(content).to_bytes(CRC_BYTES, "little")


def to_board(operation: Operation, sequence: int, address: int, words: int, payload: bytes = b"") -> bytes:
    """A frame to the board; only a write has a payload, of so many words."""
    content = bytes([operation, sequence, words - 1]) + address.to_bytes(4, "little") + payload
    return bytes([START_TO_BOARD]) + content + crc(content)


def from_board(kind: int, sequence: int, number: int, words: bytes = b"", closing: bytes = b"") -> bytes:
    """A frame from the board."""
    content = bytes([kind, sequence, number]) + words + closing
    return bytes([START_FROM_BOARD]) + content + crc(content)


def answer_bytes(kind: int, number: int) -> int:
    """Length of a frame from the board whose beginning says this."""
    words = 0 if kind & REFUSED or kind & 3 not in (Kind.TOKEN, Kind.DATA) else number + 1
    closing = CLOSING_BYTES if words and kind & 3 == Kind.DATA else 0
    return ANSWER_HEAD_BYTES + 4 * words + closing + CRC_BYTES
