# SPDX-License-Identifier: Apache-2.0
"""The words of a token packet and of its result, as NumPy arrays (layout in docs/architecture.md).

Header, 16 words::

     0  MAGIC
     1  stream version | code << 8 | element_bytes << 16 | log2(lanes) << 24
     2  flags: 1 start from a zero state, 2 send all logits
     3  sequence (echoed)
     4  token (checked against vocab, otherwise for the record: the embedding row travels in the packet)
     5  hidden      6  layers      7  intermediate      8  vocab
     9  beats of a row of hidden columns | of intermediate columns << 16
    10..14  zero
    15  CRC-32 (IEEE) of words 0..14

Constants, 8 words: three scale words, kappa, bias (low, high), two zeros. The scales belong to the group's own
matrices; kappa and bias to the vector that the group produces. A scale word is ``mantissa | exponent << 20``,
the exponent a signed 12 bit number.

Result: vocab accumulators if asked for, then four words: ``status | RESULT_MAGIC << 16``, sequence, token (the
argmax), logit scale word (logit = accumulator * mantissa * 2**-exponent).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.numerics import STAT_BITS
from hw import schedule as sc
from hw.params import CoreParams

Words = NDArray[np.uint32]


def pad_words(words: Words, core: CoreParams) -> Words:
    """Zero words up to a whole number of beats."""
    per_beat = core.lanes // 4
    return np.concatenate([words, np.zeros(-len(words) % per_beat, dtype=np.uint32)])


def scale_word(mantissa: int, exponent: int) -> int:
    """Pack a significand of up to 17 bits and a signed 12 bit exponent."""
    return mantissa | (exponent & 0xFFF) << 20


def split_scale(word: int) -> tuple[int, int]:
    """(mantissa, exponent) of a scale word."""
    exponent = word >> 20
    return word & 0xFFFFF, exponent - 0x1000 if exponent & 0x800 else exponent


def header_words(
    core: CoreParams, shape: sc.Shape, token: int, sequence: int, flags: int, code: int = sc.CODE_NESTED
) -> Words:
    """The padded header of one token."""
    words = np.zeros(sc.HEADER_WORDS, dtype="<u4")
    geometry = core.element_bytes << 16 | (core.lanes.bit_length() - 1) << 24
    words[:10] = [
        sc.MAGIC,
        sc.STREAM_VERSION | code << 8 | geometry,
        flags,
        sequence & 0xFFFFFFFF,
        token,
        shape.hidden,
        shape.layers,
        shape.intermediate,
        shape.vocab,
        core.beats(shape.hidden) | core.beats(shape.intermediate) << 16,
    ]
    words[15] = zlib.crc32(words[:15].tobytes())
    return pad_words(words.astype(np.uint32), core)


def constant_words(core: CoreParams, scales: Sequence[tuple[int, int]], kappa: int, bias: int) -> Words:
    """The padded constants of one group: up to three (mantissa, exponent), kappa below 2**17, bias below 2**63."""
    words = np.zeros(sc.CONSTANT_WORDS, dtype=np.uint32)
    for index, (mantissa, exponent) in enumerate(scales):
        words[index] = scale_word(mantissa, exponent)
    words[3:6] = [kappa, bias & 0xFFFFFFFF, bias >> 32]
    return pad_words(words, core)


def gain_word(gain: NDArray, stat: NDArray | int = 0) -> Words:
    """Gains of 18 bits above statistics gains of 14, both signed (a decay gain, up to 2**16, fits as well)."""
    low = np.asarray(stat, np.int64) & (1 << STAT_BITS) - 1
    return (low | np.asarray(gain, np.int64) << STAT_BITS & 0xFFFFFFFF).astype(np.uint32)


def split_gain(words: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(gain, stat) of gain words."""
    signed = np.ascontiguousarray(words).view(np.int32).astype(np.int64)
    unused = 32 - STAT_BITS
    return signed >> STAT_BITS, (signed << 32 + unused) >> 32 + unused


@dataclass(frozen=True)
class Result:
    """A result packet: status, sequence, argmax token, logit scale word and the accumulators if they were sent."""

    status: sc.Status
    sequence: int
    token: int
    scale: int
    logits: NDArray[np.int32]


def parse_result(words: Words) -> Result:
    """Split a result packet; ValueError if it is not one."""
    if len(words) < sc.RESULT_WORDS or int(words[-4]) >> 16 != sc.RESULT_MAGIC:
        raise ValueError(f"The core returned {len(words)} words that are not a result packet.")
    head, sequence, token, scale = (int(w) for w in words[-sc.RESULT_WORDS :])
    status = sc.Status(head & 0xFFFF)
    return Result(status, sequence, token, scale, words[: -sc.RESULT_WORDS].view(np.int32))
