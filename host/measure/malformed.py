# SPDX-License-Identifier: Apache-2.0
"""Packets that a core must refuse, or answer whatever is in them."""

import random
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import HEADER_WORDS, Status

Packet = NDArray[np.uint8]
Change = int | Callable[[int], int]
"""A header's word, or what becomes of it."""
_POLYNOMIAL = 0xEDB88320
"""Of the CRC-32, reflected."""


def bad_headers(params: CoreParams, vocab: int) -> dict[str, tuple[int, Change, Status]]:
    """By name: the word of the header of a packet of one context, what is put there, and the status that answers."""
    return {
        "magic": (0, 0x12345678, Status.MAGIC),
        "version": (1, lambda w: w ^ 2, Status.FORMAT),
        "code": (1, lambda w: w ^ 0x300, Status.FORMAT),
        "element bytes": (1, lambda w: w ^ 0x70000, Status.GEOMETRY),
        "lanes": (1, lambda w: w ^ 0x1000000, Status.GEOMETRY),
        "unknown flag": (2, lambda w: w | 1 << 24, Status.FORMAT),
        "no contexts": (2, 0, Status.FORMAT),
        "too many contexts": (2, 9, Status.LIMITS),
        "zero state of a missing context": (2, lambda w: w | 1 << 15, Status.FORMAT),
        "logits of a missing context": (2, lambda w: w | 1 << 17, Status.FORMAT),
        "token": (4, vocab, Status.TOKEN),
        "token of a missing context": (4, 3 | 1 << 16, Status.FORMAT),
        "slot": (8, 8, Status.LIMITS),
        "slot of a missing context": (8, 1 << 4, Status.FORMAT),
        "no hidden": (9, 0, Status.LIMITS),
        "hidden": (9, params.max_hidden + 1, Status.LIMITS),
        "hidden beyond 16 bits": (9, 12 | 1 << 20, Status.LIMITS),
        "no layers": (10, 0, Status.LIMITS),
        "layers": (10, params.max_layers + 1, Status.LIMITS),
        "intermediate": (11, params.max_intermediate + 1, Status.LIMITS),
        "vocabulary": (12, params.max_vocab + 1, Status.LIMITS),
        "too few beats": (13, lambda w: w - 1, Status.LIMITS),
        "too many beats": (13, lambda w: w + (1 << 16), Status.LIMITS),
        "unused word": (14, 1, Status.FORMAT),
    }


def with_header(packet: Packet, word: int, value: Change) -> Packet:
    """The packet with one header word replaced and the CRC made right again."""
    packet = packet.copy()
    words = packet[: 4 * HEADER_WORDS].view(np.uint32)
    words[word] = value(int(words[word])) if callable(value) else value
    words[15] = zlib.crc32(words[:15].tobytes())
    return packet


def wrong_remainders(packet: Packet) -> list[Packet]:
    """Packets whose CRC is wrong such that the core's check of the header ends wrong in one bit, each in another.

    Its coordinates are the remainders of a bit after 0 to 31 words (`hw.stream.header_reader`). A wrong bit of the
    CRC itself, or of what it is of, changes about half of the remainder.
    """
    change = 1
    for _ in range(32):  # the remainder of this change of the last word is 1
        change = (change ^ _POLYNOMIAL * (change >> 31)) << 1 | change >> 31
    wrong = []
    for _ in range(32):
        wrong.append(packet.copy())
        wrong[-1][: 4 * HEADER_WORDS].view(np.uint32)[15] ^= np.uint32(change)
        change = zlib.crc32(change.to_bytes(4, "little")) ^ zlib.crc32(bytes(4))
    return wrong


def spoilt(packet: Packet, lanes: int, chance: random.Random) -> Packet:
    """One of many ways to spoil a packet."""
    kind = chance.randrange(6)
    packet = packet.copy()
    if kind == 0:
        for _ in range(chance.randint(1, 8)):
            packet[chance.randrange(len(packet))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        return packet[: lanes * chance.randint(1, len(packet) // lanes)]
    elif kind == 2:
        extra = chance.randbytes(lanes * chance.randint(1, 40))
        return np.concatenate([packet, np.frombuffer(extra, np.uint8)])
    elif kind == 3:
        return np.frombuffer(chance.randbytes(lanes * chance.randint(1, 60)), np.uint8).copy()
    elif kind == 4:
        return with_header(packet, chance.randrange(15), chance.getrandbits(chance.choice([4, 8, 16, 32])))
    else:
        start = chance.randrange(64, len(packet))
        size = min(len(packet) - start, chance.randint(1, 64))
        packet[start : start + size] = np.frombuffer(chance.randbytes(size), np.uint8)
    return packet
