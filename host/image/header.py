# SPDX-License-Identifier: Apache-2.0
"""The header of an image (docs/image.md): what it is made of and how it is checked."""

import struct
import zlib
from dataclasses import dataclass, field, replace

from tritforge.golden import TritforgeError
from tritforge.golden.model.formats import Formats
from tritforge.hw import schedule as sc
from tritforge.hw.params import CoreParams, limits_for
from tritforge.hw.trits import CODES, NUMBERS

MAGIC = b"\x93TFI\r\n\x1a\n"
"""Changed by whatever takes the file for text."""
VERSION = 3
HEADER_BYTES = 512
ALIGNMENT = 4096
"""Sections start at multiples of it, so that a DMA engine can map them."""
SECTIONS = ("config", "tokenizer", "codes", "scales", "entry", "body")

_FIELDS = struct.Struct("<8sII8sIIIIIIIIIIIiQII")
_SECTION = struct.Struct("<16sQQII")
_TABLE = 96
_CRC = struct.Struct("<I")


class ImageError(TritforgeError):
    """An image that cannot be used; the message says why and what helps."""


@dataclass(frozen=True)
class Section:
    """Offset and length in bytes, and the CRC-32 of the bytes up to the next section."""

    offset: int
    length: int
    crc: int = 0


@dataclass(frozen=True)
class Header:
    """What the header says.

    Attributes
    ----------
    lanes, element_bytes
        Geometry of the cores that take the image.
    code
        Name of its trit code.
    formats
        Widths that its scales and constants are for.
    shape
        Dimensions of the model.
    embedding_bits, embedding_group
        8 or 16; values that share a scale.
    residual_frac
        Fraction bits of the residual.
    sections
        By name, in the order of the file.
    size
        Bytes of the file.
    """

    lanes: int
    element_bytes: int
    code: str
    formats: Formats
    shape: sc.Shape
    embedding_bits: int
    embedding_group: int
    residual_frac: int
    sections: dict[str, Section] = field(default_factory=dict)
    size: int = 0

    @property
    def params(self) -> CoreParams:
        """A core of the image's geometry that is just large enough for its model."""
        return CoreParams(
            lanes=self.lanes,
            element_bytes=self.element_bytes,
            code=self.code,
            formats=self.formats,
            **limits_for(self.shape),
        )

    def lengths(self) -> dict[str, int]:
        """Bytes that the dimensions ask for, of the sections that depend on them alone."""
        shape, params = self.shape, self.params
        side = sc.side_beats(params, sc.HEADER_WORDS) + sc.group_beats(params, shape, sc.Group.EMBED, 0)
        return {
            "codes": shape.vocab * shape.hidden * self.embedding_bits // 8,
            "scales": 4 * shape.vocab * (shape.hidden // self.embedding_group),
            "entry": 4 * (sc.CONSTANT_WORDS + 3 * shape.hidden),
            "body": params.lanes * (sc.token_beats(params, shape) - side),
        }

    def place(self, lengths: dict[str, int]) -> "Header":
        """A copy whose sections, of the given lengths, lie one behind the other, each aligned."""
        sections, end = {}, HEADER_BYTES
        for name in SECTIONS:
            start = -(-end // ALIGNMENT) * ALIGNMENT
            sections[name] = Section(start, lengths[name])
            end = start + lengths[name]
        return replace(self, sections=sections, size=end)

    def reach(self, name: str) -> slice:
        """The bytes that a section's CRC covers: its own and the padding behind it."""
        ends = [*[section.offset for section in self.sections.values()][1:], self.size]
        return slice(self.sections[name].offset, dict(zip(self.sections, ends, strict=True))[name])

    def pack(self) -> bytes:
        """The header as bytes."""
        fmt, shape = self.formats, self.shape
        fixed = _FIELDS.pack(
            *(MAGIC, VERSION, CODES[self.code].number, self.code.encode()),  # the name is cut to eight characters
            *(self.lanes, self.element_bytes, fmt.wide_bits, fmt.frac, fmt.mantissa),
            *(shape.hidden, shape.layers, shape.intermediate, shape.vocab),
            *(self.embedding_bits, self.embedding_group, self.residual_frac),
            *(self.size, len(self.sections), sc.STREAM_VERSION),
        )
        table = b"".join(_SECTION.pack(n.encode(), s.offset, s.length, s.crc, 0) for n, s in self.sections.items())
        body = (fixed.ljust(_TABLE, b"\0") + table).ljust(HEADER_BYTES - _CRC.size, b"\0")
        return body + _CRC.pack(zlib.crc32(body))

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """Read a header; raise ImageError where it is not one that this release can use."""
        if data[: len(MAGIC)] != MAGIC:
            raise ImageError("it is no tritforge image; make one with `tritforge pack`.")
        if len(data) < HEADER_BYTES:
            raise ImageError(f"it is truncated within its header of {HEADER_BYTES} bytes; copy it again.")
        (_, version, code, name, lanes, element_bytes, wide, frac, mantissa, *dimensions) = _FIELDS.unpack_from(data)
        if version != VERSION:
            remedy = "update tritforge" if version > VERSION else "pack the checkpoint again"
            raise ImageError(f"it has image version {version}, but this release reads {VERSION}; {remedy}.")
        if zlib.crc32(data[: HEADER_BYTES - _CRC.size]) != _CRC.unpack_from(data, HEADER_BYTES - _CRC.size)[0]:
            raise ImageError("its header was altered (CRC); copy the file again.")
        if code not in NUMBERS:
            told = name.rstrip(b"\0").decode("ascii", "replace")
            known = ", ".join(CODES)
            raise ImageError(f"its trits use the code '{told}', but this release reads {known}; pack it again.")
        hidden, layers, intermediate, vocab, bits, group, residual_frac, size, count, stream = dimensions
        if stream != sc.STREAM_VERSION:
            raise ImageError(
                f"its body has stream version {stream}, this release sends {sc.STREAM_VERSION}; pack anew."
            )
        entries = [_SECTION.unpack_from(data, _TABLE + n * _SECTION.size) for n in range(min(count, len(SECTIONS)))]
        try:
            header = cls(
                lanes=lanes,
                element_bytes=element_bytes,
                code=NUMBERS[code].name,
                formats=Formats(wide, frac, mantissa),
                shape=sc.Shape(hidden, layers, intermediate, vocab),
                embedding_bits=bits,
                embedding_group=group,
                residual_frac=residual_frac,
                sections={e[0].rstrip(b"\0").decode(): Section(*e[1:4]) for e in entries},
                size=size,
            )
            header._check()
        except (ValueError, TritforgeError, ZeroDivisionError) as error:
            raise ImageError(f"its header contradicts itself ({error}); pack the checkpoint again.") from error
        return header

    def _check(self) -> None:
        """Raise ValueError where sections are missing, out of bounds or not as long as the dimensions ask."""
        if tuple(self.sections) != SECTIONS:
            raise ValueError(f"the sections are {', '.join(self.sections)}")
        end = HEADER_BYTES
        for name, section in self.sections.items():
            if section.offset < end or section.offset + section.length > self.size:
                raise ValueError(f"section {name} is out of bounds")
            end = section.offset + section.length
        for name, length in self.lengths().items():
            if self.sections[name].length != length:
                raise ValueError(f"section {name} has {self.sections[name].length} bytes instead of {length}")
