# SPDX-License-Identifier: Apache-2.0
"""Frames, and what may become of them on a line."""

import random
from collections.abc import Callable

from tests.hw.bridge.harness import WORDS
from tritforge.hw.bridge.frames import HEAD_BYTES, SEQUENCES, Operation, crc, to_board

GAP = None
"""Among bytes: the line is silent for a gap."""
Line = list[int | None]


def some_frame(dice: random.Random, sequence: int, longest: int = 4) -> bytes:
    """A write or a read, of memory that is there, not there, or there in part."""
    words = dice.randint(1, longest)
    address = 4 * dice.choice(
        [
            dice.randrange(WORDS - words),
            dice.randrange(WORDS - words),
            WORDS - words + dice.randint(0, words),
            1 << 29,
        ]
    )
    if dice.random() < 0.5:
        return to_board(Operation.READ, sequence, address, words)
    payload = dice.randbytes(4 * words)
    return to_board(Operation.WRITE, sequence, address, words, payload)


def _position(dice: random.Random, frame: bytes) -> int:
    """Of a byte; often of the head or the end."""
    return dice.choice([dice.randrange(len(frame)), dice.randrange(min(len(frame), HEAD_BYTES)), len(frame) - 1])


def _altered(dice: random.Random, frame: bytes, expected: int) -> Line:
    line = bytearray(frame)
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        line[_position(dice, frame)] ^= dice.choice([1 << dice.randrange(8), dice.randrange(1, 256)])
    return list(line)


def _lost(dice: random.Random, frame: bytes, expected: int) -> Line:
    at = _position(dice, frame)
    return list(frame[:at] + frame[at + dice.choice([1, 1, 2, 4]) :])


def _doubled(dice: random.Random, frame: bytes, expected: int) -> Line:
    at = _position(dice, frame)
    end = at + dice.choice([1, 1, 2, 4])
    return list(frame[:end] + frame[at:])


def _swapped(dice: random.Random, frame: bytes, expected: int) -> Line:
    line = bytearray(frame)
    one, two = _position(dice, frame), _position(dice, frame)
    line[one], line[two] = line[two], line[one]
    return list(line)


def _cut(dice: random.Random, frame: bytes, expected: int) -> Line:
    return list(frame[: _position(dice, frame)])


def _inserted(dice: random.Random, frame: bytes, expected: int) -> Line:
    at = dice.choice([0, len(frame), _position(dice, frame)])
    return list(frame[:at] + dice.randbytes(dice.randint(1, 5)) + frame[at:])


def _paused(dice: random.Random, frame: bytes, expected: int) -> Line:
    at = _position(dice, frame)
    return [*frame[:at], GAP, *frame[at:]]


def _paused_whole(dice: random.Random, frame: bytes, expected: int) -> Line:
    """Its host died, and the next one begins anew."""
    return [*frame[: _position(dice, frame)], GAP, *frame]


def _sealed(dice: random.Random, frame: bytes, expected: int) -> Line:
    """Wrong in the head, with a right CRC."""
    content = bytearray(frame[1:-4])
    at = dice.randrange(min(len(content), HEAD_BYTES - 1))
    content[at] ^= dice.randrange(1, 256)
    return [frame[0], *content, *crc(bytes(content))]


def _twice(dice: random.Random, frame: bytes, expected: int) -> Line:
    return list(frame + frame)


def _two(dice: random.Random, frame: bytes, expected: int) -> Line:
    """One spoilt, and the next one close behind."""
    behind = some_frame(dice, (frame[2] + 1) % SEQUENCES)
    return [*_altered(dice, frame, expected), *behind]


def _pipelined(dice: random.Random, frame: bytes, expected: int) -> Line:
    return list(frame + some_frame(dice, (frame[2] + 1) % SEQUENCES))


def _other_sequence(dice: random.Random, frame: bytes, expected: int) -> Line:
    return list(some_frame(dice, (expected + dice.choice([1, 2, 128, 253, 254, dice.randrange(256)])) % SEQUENCES))


def _again(dice: random.Random, frame: bytes, expected: int) -> Line:
    """The sequence of the one before."""
    return list(some_frame(dice, (expected - 1) % SEQUENCES))


def _inner(dice: random.Random, frame: bytes, expected: int) -> Line:
    """A write of what looks like a frame that would be executed, with something wrong around it."""
    inner = some_frame(dice, expected)
    inner += bytes(-len(inner) % 4)
    shift = bytes(4 * dice.randint(0, 2))
    outer = to_board(Operation.WRITE, expected, 0, len(shift + inner) // 4, shift + inner)
    return dice.choice([_altered, _lost, _doubled, _inserted])(dice, outer, expected)


def _noise(dice: random.Random, frame: bytes, expected: int) -> Line:
    return list(dice.randbytes(dice.randint(1, 40)))


def _connects(dice: random.Random, frame: bytes, expected: int) -> Line:
    return list(to_board(Operation.CONNECT, dice.randrange(256), 4 * dice.randrange(1 << 30), dice.randint(1, 256)))


def _long(dice: random.Random, frame: bytes, expected: int) -> Line:
    long = some_frame(dice, expected, 256)
    return dice.choice([_altered, _lost, _doubled, _unharmed])(dice, long, expected)


def _unharmed(dice: random.Random, frame: bytes, expected: int) -> Line:
    return list(frame)


Mutation = Callable[[random.Random, bytes, int], Line]
COMMON: tuple[Mutation, ...] = (
    *(_altered, _lost, _doubled, _swapped, _cut, _inserted, _paused, _paused_whole, _sealed, _twice, _two),
    *(_pipelined, _other_sequence, _again, _inner, _noise, _connects, _unharmed),
)


def mutated(dice: random.Random, expected: int) -> tuple[str, Line]:
    """What happened to a frame of the expected sequence, and what the line brings of it."""
    mutation = _long if dice.random() < 0.002 else dice.choice(COMMON)
    return mutation.__name__.strip("_"), mutation(dice, some_frame(dice, expected), expected)
