# SPDX-License-Identifier: Apache-2.0
"""What lies where in a machine's memory.

::

    directory   what is loaded, DIRECTORY_BYTES
    gains       of the embedding, row block after row block
    body        of the image: what all packets end with
    records     of each token of the vocabulary {header, constants, x words of row block after row block}, of a packet
                with one context that goes on from its state and sends no logits. Missing where there is no room
    scratch     the same of a packet that the host makes
    results     up to the end

All addresses and sizes are beats. Everything follows from core, model and memory, so that only the directory has to
be kept (`host.board.plan`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.hw.memory.reader import BEATS_BITS
from tritforge.hw.packet import trailer_words
from tritforge.hw.params import MAX_BATCH, CoreParams
from tritforge.hw.schedule import (
    CONSTANT_WORDS,
    HEADER_WORDS,
    Group,
    Shape,
    block_side_beats,
    side_beats,
    token_beats,
)

DIRECTORY_BYTES = 256
LEAST_RESULTS = 1 << 16
"""Bytes that are left for results, at least; more where all the logits of a packet are."""
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Sizes:
    """Of a model's parts, in beats of ``beat_bytes``.

    Attributes
    ----------
    vocab : records that there are. blocks : row blocks of the embedding. head_beats : of header and constants.
    x_beats : of a row block's x words of one context. gains_beats : of its gain words. body_beats : of the body.
    """

    beat_bytes: int
    vocab: int
    blocks: int
    head_beats: int
    x_beats: int
    gains_beats: int
    body_beats: int

    def record_beats(self, contexts: int = 1) -> int:
        """Of a record."""
        return self.head_beats + self.blocks * self.x_beats * contexts

    @property
    def records_beats(self) -> int:
        """Of all records."""
        return self.vocab * self.record_beats()

    @property
    def least_beats(self) -> int:
        """Of everything but the records, with as much room for results as is left at least."""
        words = MAX_BATCH * self.vocab + trailer_words(MAX_BATCH) + 1
        results = -(-max(LEAST_RESULTS, 4 * words) // self.beat_bytes)
        before = DIRECTORY_BYTES // self.beat_bytes + self.blocks * self.gains_beats
        return before + self.body_beats + self.record_beats(MAX_BATCH) + results


@dataclass(frozen=True)
class Plan(Sizes):
    """Where everything is, in beats.

    Attributes
    ----------
    gains, body, scratch, results : where they begin. records : None where they are left out.
    results_beats : that there is room for.
    """

    gains: int
    body: int
    records: int | None
    scratch: int
    results: int
    results_beats: int

    @property
    def loaded_beats(self) -> int:
        """Gains, body and records."""
        return self.scratch - self.gains

    def split(self, packet: Sequence[Bytes], contexts: int) -> tuple[Bytes, Bytes]:
        """The record of a packet (header, EMBED group, body), and the gain words of its embedding."""
        header, group, _ = packet
        beats = np.concatenate([header, group]).reshape(-1, self.beat_bytes)
        blocks = beats[self.head_beats :].reshape(self.blocks, -1, self.beat_bytes)
        x, gains = np.split(blocks, [self.x_beats * contexts], axis=1)
        return np.concatenate([beats[: self.head_beats].ravel(), x.ravel()]), gains.ravel()


def sizes(params: CoreParams, shape: Shape) -> Sizes:
    """What a model takes."""
    blocks, x = params.blocks(shape.hidden), params.gain_beats
    head = side_beats(params, HEADER_WORDS) + side_beats(params, CONSTANT_WORDS)
    gains = block_side_beats(params, Group.EMBED, False, 0)
    body = token_beats(params, shape) - head - blocks * (x + gains)
    return Sizes(params.lanes, shape.vocab, blocks, head, x, gains, body)


def place(params: CoreParams, shape: Shape, memory_bytes: int) -> Plan:
    """Where a model goes in a memory; records are left out where they have no room.

    Raises
    ------
    TritforgeError
        Where not even the body has room, or the machine cannot count its beats.
    """
    found = sizes(params, shape)
    total = memory_bytes // found.beat_bytes
    left = total - found.least_beats
    if left < 0:
        raise TritforgeError(
            f"The model takes {found.least_beats * found.beat_bytes / 1e6:.1f} MB and the board has "
            f"{memory_bytes / 1e6:.1f} MB; take a smaller model or a board with more memory."
        )
    # records and row blocks are within what is counted, whatever the core
    if found.body_beats >> BEATS_BITS:
        raise TritforgeError(
            f"The model's body has {found.body_beats:,} beats, and a board's machine counts to "
            f"{(1 << BEATS_BITS) - 1:,}; take a smaller model or a core with more lanes."
        )
    gains = DIRECTORY_BYTES // found.beat_bytes
    body = gains + found.blocks * found.gains_beats
    behind, with_records = body + found.body_beats, found.records_beats <= left
    scratch = behind + (found.records_beats if with_records else 0)
    results = scratch + found.record_beats(MAX_BATCH)
    return Plan(
        **asdict(found),
        gains=gains,
        body=body,
        records=behind if with_records else None,
        scratch=scratch,
        results=results,
        results_beats=total - results,
    )
