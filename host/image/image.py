# SPDX-License-Identifier: Apache-2.0
"""Packed images of a model: opened as a memory map and streamed as they are.

A host that drives a core needs no more than NumPy.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import ModelConfig, listed
from tritforge.golden.model.embedding import Embedding
from tritforge.golden.model.formats import Formats
from tritforge.host.image.header import HEADER_BYTES, SECTIONS, Header, ImageError
from tritforge.host.image.layout import Bytes, GroupView, body_groups, group_view
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import CONSTANT_WORDS, Group, Shape

if TYPE_CHECKING:
    from tritforge.golden.checkpoints.text import TextCodec

__all__ = ["Image", "ImageError", "Progress"]

CHUNK = 1 << 24
Progress = Callable[[int, int], None]
"""Called with the bytes done and their total."""


class Image:
    """An opened image. `host.image.decode` has it as integers.

    Attributes
    ----------
    path
        The file.
    header
        Its header.
    params
        A core of the image's geometry, just large enough for the model.
    shape, config, fmt, embedding
        The model's dimensions and configuration, the widths of the vector path and the embedding.
    cores, shares
        Linked cores that share the model, and what each has of it; a core without a link has what one has.
    """

    def __init__(self, path: Path, header: Header, data: Bytes) -> None:
        self.path = path
        self.header = header
        self._data = data
        self.params: CoreParams = header.params
        self.shape: Shape = header.shape
        self.fmt: Formats = header.formats
        self.config = self._read_config()
        self.cores, self.shares = header.cores, header.shares
        self._groups = [
            {(group, layer): reach for group, layer, reach in body_groups(self.params, share)}
            for share in self.shares
        ]

    @classmethod
    def open(cls, path: Path | str, verify: bool = False, progress: Progress | None = None) -> "Image":
        """Map an image into memory.

        Parameters
        ----------
        path
            The file.
        verify
            Read all of it and compare every section's CRC.
        progress
            Called while verifying.

        Raises
        ------
        ImageError
            Where the file is missing, no image, truncated, altered, or of another version or code.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                header = Header.parse(file.read(HEADER_BYTES))
            size = path.stat().st_size
            if size < header.size:
                raise ImageError(f"it is truncated to {size} of {header.size} bytes; copy it again.")
            if size > header.size:
                raise ImageError(f"it holds {size - header.size} bytes behind its end; copy it again.")
            # Copy on write: whatever is done to it, the file stays.
            image = cls(path, header, np.asarray(np.memmap(path, dtype=np.uint8, mode="c")))
            if verify:
                image.verify(progress)
        except OSError as error:
            raise ImageError(f"{path} cannot be read ({error.strerror}); give an image file.") from error
        except ImageError as error:
            raise ImageError(f"{path} cannot be used: {error}") from error
        return image

    def verify(self, progress: Progress | None = None) -> None:
        """Compare every section with its CRC; raise ImageError naming the first that was altered."""
        for name in SECTIONS:
            reach, crc = self.header.reach(name), 0
            for start in range(reach.start, reach.stop, CHUNK):
                stop = min(start + CHUNK, reach.stop)
                crc = zlib.crc32(self._data[start:stop].data, crc)
                if progress is not None:
                    progress(stop, self.header.size)
            if crc != self.header.sections[name].crc:
                raise ImageError(f"its section {name} was altered (CRC); copy the file again.")

    @cached_property
    def bodies(self) -> tuple[Bytes, ...]:
        """What each core consumes after the EMBED group, in stream order; views of the file."""
        section = self._section("body")
        return tuple(section[reach] for reach in self.header.bodies)

    @property
    def body(self) -> Bytes:
        """That of one core which has the whole model; ImageError where several share it."""
        if self.cores > 1:
            raise ImageError(
                f"{self.path} is packed for {self.cores} linked cores; pack the checkpoint without --cores."
            )
        return self.bodies[0]

    @property
    def entry(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The constants of the EMBED group [CONSTANT_WORDS] and its gain words [hidden, 3]."""
        words = self._section("entry").view(np.uint32)
        return words[:CONSTANT_WORDS], words[CONSTANT_WORDS:].reshape(-1, 3)

    @cached_property
    def embedding(self) -> Embedding:
        """Codes and scales, mapped."""
        vocab, stored = self.shape.vocab, self._section("codes")
        codes = stored.view(np.int8) if self.header.embedding_bits == 8 else stored.view(np.int16)
        scales = self._section("scales").view(np.float32).reshape(vocab, -1)
        return Embedding(codes.reshape(vocab, -1), scales, self.header.residual_frac)

    def codec(self) -> "TextCodec":
        """The tokenizer; raise ImageError where the checkpoint had none."""
        from tokenizers import Tokenizer

        from tritforge.golden.checkpoints.text import TextCodec

        raw = self._section("tokenizer")
        if not len(raw):
            raise ImageError(f"{self.path} holds no tokenizer; pack a checkpoint that has a tokenizer.json.")
        try:
            return TextCodec(Tokenizer.from_str(raw.tobytes().decode()))
        except Exception as error:  # the library raises nothing narrower
            raise ImageError(f"The tokenizer in {self.path} is unreadable ({error}); pack it again.") from error

    def views(self, group: Group, layer: int) -> list[GroupView]:
        """Words and codes of one group, mapped, of each core."""
        return [
            group_view(body[groups[group, layer]], self.params, share, group, layer)
            for body, groups, share in zip(self.bodies, self._groups, self.shares, strict=True)
        ]

    def _section(self, name: str) -> Bytes:
        section = self.header.sections[name]
        return self._data[section.offset : section.offset + section.length]

    def _read_config(self) -> ModelConfig:
        try:
            given = json.loads(self._section("config").tobytes())
            if "eos" in given:
                given["eos"] = listed(given["eos"])
            config = ModelConfig(**given)
        except (TypeError, ValueError, RecursionError, TritforgeError) as error:
            raise ImageError(f"its configuration is unreadable ({error}); pack the checkpoint again.") from error
        if Shape.of(config) != self.shape:
            raise ImageError("its header and configuration disagree; pack the checkpoint again.")
        return config


def config_bytes(config: ModelConfig) -> bytes:
    """The section `config`."""
    return json.dumps(asdict(config) | {"eos": config.public_eos}).encode()


def image_header(config: ModelConfig, params: CoreParams, bits: int, group: int, tokenizer: int = 0) -> Header:
    """The sections of an image, without CRCs.

    Parameters
    ----------
    config
        The model's shape.
    params
        Its geometry and code decide the padding.
    bits, group
        8 or 16 bits of an embedding value; values that share a scale.
    tokenizer
        Bytes of its tokenizer.
    """
    header = Header(
        lanes=params.lanes,
        element_bytes=params.element_bytes,
        code=params.code,
        formats=params.formats,
        shape=Shape.of(config),
        embedding_bits=bits,
        embedding_group=group,
        residual_frac=0,
    )
    return header.place(header.lengths() | {"config": len(config_bytes(config)), "tokenizer": tokenizer})
