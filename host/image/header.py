# SPDX-License-Identifier: Apache-2.0
"""The header of an image (docs/image.md): what it is made of and how it is checked."""

import struct
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property

from tritforge.golden import TritforgeError
from tritforge.golden.model.formats import Formats
from tritforge.host.image.layout import body_groups
from tritforge.hw import schedule as sc
from tritforge.hw.params import LIMITS, CoreParams, limits_for
from tritforge.hw.trits import CODES, NUMBERS

MAGIC = b"\x93TFI\r\n\x1a\n"
"""Changed by whatever takes the file for text."""
VERSION = 3
SHARED_VERSION = 4
"""Of an image that several linked cores share."""
HEADER_BYTES = 512
ALIGNMENT = 4096
"""Sections start at multiples of it, so that a DMA engine can map them."""
SECTIONS = ("config", "tokenizer", "codes", "scales", "entry", "body")

_FIELDS = struct.Struct("<8sII8sIIIIIIIIIIIiQIIII")
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
    cores, granule
        Linked cores that share the model, each with a body of its own, and the rows that stay together (`Share`).
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
    cores: int = 1
    granule: int = 1
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

    @cached_property
    def shares(self) -> tuple[sc.Share, ...]:
        """What each core has; TritforgeError where the model cannot be shared so."""
        return sc.shares(self.shape, self.cores, self.granule)

    @cached_property
    def bodies(self) -> tuple[slice, ...]:
        """The bytes of each core in the section body, aligned as sections are."""
        params, found, end = self.params, [], 0
        for share in self.shares:
            start = -(-end // ALIGNMENT) * ALIGNMENT
            *_, (_, _, last) = body_groups(params, share)
            end = start + last.stop
            found.append(slice(start, end))
        return tuple(found)

    def lengths(self) -> dict[str, int]:
        """Bytes that the dimensions ask for, of the sections that depend on them alone."""
        shape = self.shape
        return {
            "codes": shape.vocab * shape.hidden * self.embedding_bits // 8,
            "scales": 4 * shape.vocab * (shape.hidden // self.embedding_group),
            "entry": 4 * (sc.CONSTANT_WORDS + 3 * shape.hidden),
            "body": self.bodies[-1].stop,
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
        fmt, shape, shared = self.formats, self.shape, self.cores > 1
        fixed = _FIELDS.pack(
            *(MAGIC, SHARED_VERSION if shared else VERSION),
            *(CODES[self.code].number, self.code.encode()),  # the name is cut to eight characters
            *(self.lanes, self.element_bytes, fmt.wide_bits, fmt.frac, fmt.mantissa),
            *(shape.hidden, shape.layers, shape.intermediate, shape.vocab),
            *(self.embedding_bits, self.embedding_group, self.residual_frac),
            *(self.size, len(self.sections), sc.STREAM_VERSION),
            *((self.cores, self.granule) if shared else (0, 0)),
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
        if version not in (VERSION, SHARED_VERSION):
            remedy = "update tritforge" if version > VERSION else "pack the checkpoint again"
            known = f"{VERSION} and {SHARED_VERSION}"
            raise ImageError(f"it has image version {version}, but this release reads {known}; {remedy}.")
        if zlib.crc32(data[: HEADER_BYTES - _CRC.size]) != _CRC.unpack_from(data, HEADER_BYTES - _CRC.size)[0]:
            raise ImageError("its header was altered (CRC); copy the file again.")
        if code not in NUMBERS:
            told = name.rstrip(b"\0").decode("ascii", "replace")
            known = ", ".join(CODES)
            raise ImageError(f"its trits use the code '{told}', but this release reads {known}; pack it again.")
        hidden, layers, intermediate, vocab, bits, group, residual_frac, size, count, stream, *shared = dimensions
        if stream != sc.STREAM_VERSION:
            raise ImageError(
                f"its body has stream version {stream}, this release sends {sc.STREAM_VERSION}; pack anew."
            )
        entries = [_SECTION.unpack_from(data, _TABLE + n * _SECTION.size) for n in range(min(count, len(SECTIONS)))]
        cores, granule = shared if version == SHARED_VERSION else (1, 1)
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
                cores=cores,
                granule=granule,
                sections={e[0].rstrip(b"\0").decode(): Section(*e[1:4]) for e in entries},
                size=size,
            )
            header._check()
        except (ValueError, TritforgeError, ZeroDivisionError) as error:
            raise ImageError(f"its header contradicts itself ({error}); pack the checkpoint again.") from error
        return header

    def _check(self) -> None:
        """Raise ValueError where a dimension is none, and where sections are missing, out of bounds or not as long as
        the dimensions ask."""
        for name, (_, most) in LIMITS.items():
            value = getattr(self.shape, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name} is {value}, not 1 to {most}")
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
