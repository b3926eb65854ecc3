# SPDX-License-Identifier: Apache-2.0
"""What lies where in a board's memory.

::

    directory   what is loaded, DIRECTORY_BYTES
    gains       of the embedding, row block after row block
    body        of the image: what all packets end with
    records     of each token of the vocabulary {header, constants, x words of row block after row block}, of a packet
                with one context that goes on from its state and sends no logits. Missing where there is no room
    scratch     the same of a packet that the host makes
    results     up to the end

All addresses and sizes are beats. Everything follows from image and memory, so that only the directory has to be
kept: its words are those of `Directory`.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tritforge.golden import TritforgeError
from tritforge.host.image.image import Image
from tritforge.host.image.layout import Bytes
from tritforge.host.image.stream import TokenStream
from tritforge.hw.board.machine_map import Identity
from tritforge.hw.packet import Context, trailer_words
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
MAGIC = 0x31444654
"""'TFD1', little-endian."""
CHUNK_TOKENS = 256
"""Records that are made at a time."""
LEAST_RESULTS = 1 << 16
"""Bytes that are left for results, at least; more where all the logits of a packet are."""


@dataclass(frozen=True)
class Plan:
    """Where everything is, in beats of ``beat_bytes``.

    Attributes
    ----------
    blocks : row blocks of the embedding. head_beats : of header and constants. x_beats : of a row block's x words of
        one context. gains_beats : of its gain words.
    gains, body, scratch, results : where they begin. records : None where they are left out.
    body_beats, results_beats : their lengths.
    """

    beat_bytes: int
    blocks: int
    head_beats: int
    x_beats: int
    gains_beats: int
    gains: int
    body: int
    body_beats: int
    records: int | None
    scratch: int
    results: int
    results_beats: int

    def record_beats(self, contexts: int = 1) -> int:
        """Of a record."""
        return self.head_beats + self.blocks * self.x_beats * contexts

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


@dataclass(frozen=True)
class Directory:
    """What a memory holds: of which image (a digest), how many beats behind the directory are loaded, and whether all
    of them were read back and found right."""

    digest: bytes
    loaded: int
    verified: bool

    def pack(self) -> bytes:
        """The directory's bytes; its last word is their CRC-32."""
        words = np.zeros(DIRECTORY_BYTES // 4 - 1, dtype="<u4")
        words[0], words[1], words[2] = MAGIC, self.loaded, self.verified
        words[3:11] = np.frombuffer(self.digest, dtype="<u4")
        content = words.tobytes()
        return content + zlib.crc32(content).to_bytes(4, "little")

    @classmethod
    def parse(cls, content: bytes) -> "Directory | None":
        """None where there is none."""
        words = np.frombuffer(content, dtype="<u4")
        if words[0] != MAGIC or zlib.crc32(content[:-4]) != words[-1]:
            return None
        return cls(words[3:11].tobytes(), int(words[1]), bool(words[2]))


def plan(image: Image, identity: Identity) -> Plan:
    """Where an image goes in a memory; records are left out where they have no room.

    Raises
    ------
    TritforgeError
        Where not even the body has room, or the beats do not fit.
    """
    return stream_plan(image.params, image.shape, identity)


def stream_plan(params: CoreParams, shape: Shape, identity: Identity) -> Plan:
    """The same for a model of that shape; see `plan`."""
    beat, total = params.lanes, identity.memory_bytes // identity.beat_bytes
    if beat != identity.beat_bytes:
        raise TritforgeError(
            f"The image has beats of {beat} bytes, the board of {identity.beat_bytes}; pack the checkpoint for it."
        )
    blocks = params.blocks(shape.hidden)
    head = side_beats(params, HEADER_WORDS) + side_beats(params, CONSTANT_WORDS)
    x, gains_beats = params.gain_beats, block_side_beats(params, Group.EMBED, False, 0)
    gains = DIRECTORY_BYTES // beat
    body = gains + blocks * gains_beats
    body_beats = token_beats(params, shape) - head - blocks * (x + gains_beats)
    records_beats = (head + blocks * x) * shape.vocab
    scratch_beats = head + blocks * x * MAX_BATCH
    least = max(LEAST_RESULTS, 4 * (MAX_BATCH * shape.vocab + trailer_words(MAX_BATCH) + 1))
    left = total - body - body_beats - scratch_beats - -(-least // beat)
    if left < 0:
        raise TritforgeError(
            f"The model takes {(total - left) * beat / 1e6:.1f} MB and the board has "
            f"{identity.memory_bytes / 1e6:.1f} MB; take a smaller model or a board with more memory."
        )
    records = body + body_beats if records_beats <= left else None
    scratch = body + body_beats + (records_beats if records is not None else 0)
    results = scratch + scratch_beats
    places = (gains, body, body_beats, records, scratch, results, total - results)
    return Plan(beat, blocks, head, x, gains_beats, *places)


def content(image: Image, where: Plan) -> Iterator[Bytes]:
    """Gains, body and records, part after part, as they lie in the memory."""
    stream = TokenStream(image)
    yield where.split(stream.packet([Context(0)]), 1)[1]
    yield image.body
    if where.records is None:
        return
    for first in range(0, image.shape.vocab, CHUNK_TOKENS):
        tokens = range(first, min(first + CHUNK_TOKENS, image.shape.vocab))
        yield np.concatenate([where.split(stream.packet([Context(token)]), 1)[0] for token in tokens])


def digest(image: Image, where: Plan) -> bytes:
    """Names everything that is loaded."""
    found = hashlib.sha256(repr((where, image.params, image.shape)).encode())
    for name, section in sorted(image.header.sections.items()):
        found.update(repr((name, section.crc)).encode())
    return found.digest()
