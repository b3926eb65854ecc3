# SPDX-License-Identifier: Apache-2.0
"""What is put into a board's memory, and the directory that says what is there; `hw.board.layout` has the places."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tritforge.golden import TritforgeError
from tritforge.host.image.image import Image
from tritforge.host.image.layout import Bytes
from tritforge.host.image.stream import TokenStream
from tritforge.hw.board.layout import DIRECTORY_BYTES, Plan, place
from tritforge.hw.board.machine_map import Identity
from tritforge.hw.packet import Context

MAGIC = 0x31444654
"""'TFD1', little-endian."""
CHUNK_TOKENS = 256
"""Records that are made at a time."""


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
        Where it has no room, or the machine cannot play it.
    """
    if image.params.lanes != identity.beat_bytes:
        raise TritforgeError(
            f"The image has beats of {image.params.lanes} bytes, the board of {identity.beat_bytes}; pack the "
            "checkpoint for it."
        )
    return place(image.params, image.shape, identity.memory_bytes)


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
