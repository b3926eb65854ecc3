# SPDX-License-Identifier: Apache-2.0
"""The words of a token packet and of its result, as NumPy arrays: what each means is said here and nowhere else.

A packet carries 1 to 8 contexts: tokens that share one pass over the weights. Each context names the slot that keeps
its recurrent state; contexts of one slot are successive tokens of a sequence, in order.

Header, 16 words::

     0  MAGIC
     1  stream version | code << 8 | element_bytes << 16 | log2(lanes) << 24
     2  contexts | mask of contexts that begin from a zero state << 8 | mask of those that send all logits << 16
     3  sequence (echoed)
     4..7  tokens of the contexts, two a word (checked against vocab, otherwise for the record: the embedding
           rows travel in the packet); zero beyond the last context, as the slots
     8  slots of the contexts, four bits each
     9  hidden     10  layers     11  intermediate     12  vocab
    13  beats of a row of hidden columns | of intermediate columns << 16
    14  zero
    15  CRC-32 (IEEE) of words 0..14

Header of a packet for a linked core, which has a `Share` of the model, besides::

     2  index of the core << 24 | number of cores less one << 28
     9  own rows of hidden << 16           10  first own token << 16
    11  own rows of intermediate << 16     12  own rows of vocab << 16
    14  place of the first own row of hidden | of intermediate << 16, each the word of a vector | its column << 11

Constants, 8 words: three scale words, kappa, bias (low, high), two zeros. The scales belong to the group's own
matrices; kappa and bias to the vector that the group produces. A scale word is ``mantissa | exponent << 20``,
the exponent a signed 12 bit number.

Result: the accumulators of the logits, for each row block of vocab the contexts that asked for them in order; then
token (the argmax) and logit scale word of each context (logit = accumulator * mantissa * 2**-exponent); then
``status | contexts << 8 | RESULT_MAGIC << 16`` and the sequence. An error has no contexts.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure
from tritforge.golden.model.formats import STAT_BITS
from tritforge.hw import schedule as sc
from tritforge.hw.params import MAX_BATCH, CoreParams
from tritforge.hw.register_map import geometry_word
from tritforge.hw.schedule import HeaderWord as At

Words = NDArray[np.uint32]

START_WORD_BITS = 11
"""Of a word's number in the place of a first own row; above it five bits of a column."""


def pad_words(words: Words, params: CoreParams) -> Words:
    """Zero words up to a whole number of beats."""
    return np.concatenate([words, np.zeros(-len(words) % params.beat_words, dtype=np.uint32)])


def scale_word(mantissa: int, exponent: int) -> int:
    """Pack a significand of up to 17 bits and a signed 12 bit exponent."""
    return mantissa | (exponent & 0xFFF) << 20


def split_scale(word: int) -> tuple[int, int]:
    """(mantissa, exponent) of a scale word."""
    exponent = word >> 20
    return word & 0xFFFFF, exponent - 0x1000 if exponent & 0x800 else exponent


@dataclass(frozen=True)
class Context:
    """One token of a packet.

    token : its embedding row travels in the packet. slot : where its state is kept. zero : begin from a zero
    state. logits : send all its logits.
    """

    token: int
    slot: int = 0
    zero: bool = False
    logits: bool = False


def header_words(params: CoreParams, shape: sc.Shape, contexts: Sequence[Context], sequence: int) -> Words:
    """The padded header of a packet with 1 to 8 contexts; for a `Share` that of a linked core."""
    words = np.zeros(sc.HEADER_WORDS, dtype="<u4")
    masks = sum(c.zero << 8 + i | c.logits << 16 + i for i, c in enumerate(contexts))
    tokens = np.zeros(MAX_BATCH, dtype="<u2")
    tokens[: len(contexts)] = [c.token for c in contexts]
    words[: At.TOKENS] = [
        sc.MAGIC,
        geometry_word(params),
        len(contexts) | masks,
        sequence & 0xFFFFFFFF,
    ]
    words[At.TOKENS : At.SLOTS] = tokens.view("<u4")
    words[At.SLOTS : At.START] = [
        sum(c.slot << 4 * i for i, c in enumerate(contexts)),
        shape.hidden,
        shape.layers,
        shape.intermediate,
        shape.vocab,
        params.beats(shape.hidden) | params.beats(shape.intermediate) << 16,
    ]
    if isinstance(shape, sc.Share):
        words |= _share_words(params, shape)
    words[At.CRC] = zlib.crc32(words[: At.CRC].tobytes())
    return pad_words(words.astype(np.uint32), params)


def _share_words(params: CoreParams, share: sc.Share) -> Words:
    """What the header for a linked core has where other headers are zero."""
    hidden, intermediate, vocab = (share.own(group) for group in (sc.Group.OUT, sc.Group.EXPAND, sc.Group.HEAD))

    def place(rows: slice) -> int:
        word, column = divmod(rows.start, params.columns)
        return int(word | column << START_WORD_BITS)

    words = np.zeros(sc.HEADER_WORDS, dtype="<u4")
    words[At.CONTEXTS] = share.index << 24 | share.cores - 1 << 28
    words[At.HIDDEN] = hidden.stop - hidden.start << 16
    words[At.LAYERS] = vocab.start << 16
    words[At.INTERMEDIATE] = intermediate.stop - intermediate.start << 16
    words[At.VOCAB] = vocab.stop - vocab.start << 16
    words[At.START] = place(hidden) | place(intermediate) << 16
    return words


BIAS_WORDS = slice(4, 6)
"""Of constants. Of linked cores the first alone has the bias, as what they say of a vector is added up."""


def constant_words(params: CoreParams, scales: Sequence[tuple[int, int]], kappa: int, bias: int) -> Words:
    """The padded constants of one group: up to three (mantissa, exponent), kappa below 2**17, bias below 2**63."""
    words = np.zeros(sc.CONSTANT_WORDS, dtype=np.uint32)
    for index, (mantissa, exponent) in enumerate(scales):
        words[index] = scale_word(mantissa, exponent)
    words[3:6] = [kappa, bias & 0xFFFFFFFF, bias >> 32]
    return pad_words(words, params)


def gain_word(gain: NDArray[Any], stat: NDArray[Any] | int = 0) -> Words:
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
    """A result packet.

    status, sequence : of the packet. tokens : argmax of each context. scales : its logit scale word.
    logits : int32, what was sent of the accumulators, in stream order (`split_logits`).
    """

    status: sc.Status
    sequence: int
    tokens: tuple[int, ...]
    scales: tuple[int, ...]
    logits: NDArray[np.int32]


def trailer_words(contexts: int) -> int:
    """Words of a result behind the logits: token and scale of each context, status, sequence."""
    return 2 * contexts + 2


def parse_result(words: Words) -> Result:
    """Split a result packet; Failure if it is not one."""
    head = int(words[-2]) if len(words) >= 2 else 0
    contexts = head >> 8 & 0xFF
    end = len(words) - trailer_words(contexts)
    if head >> 16 != sc.RESULT_MAGIC or end < 0:
        raise Failure(f"The core returned {len(words)} words that are not a result packet.")
    trailer = [int(w) for w in words[end:-2]]
    status = sc.Status(head & 0xFF)
    return Result(status, int(words[-1]), tuple(trailer[::2]), tuple(trailer[1::2]), words[:end].view(np.int32))


def split_logits(params: CoreParams, vocab: int, contexts: int, logits: NDArray[np.int32]) -> NDArray[np.int32]:
    """The accumulators [contexts, vocab] of the contexts that sent them; Failure for another number."""
    if logits.size != contexts * vocab:
        raise Failure(f"The core returned {logits.size} logits instead of {contexts} times {vocab}.")
    # all row blocks but the last are full
    full = vocab // params.rows * params.rows
    blocks = (
        logits[: contexts * full]
        .reshape(vocab // params.rows, contexts, params.rows)
        .swapaxes(0, 1)
        .reshape(contexts, full)
    )
    return np.concatenate([blocks, logits[contexts * full :].reshape(contexts, vocab - full)], axis=1)
