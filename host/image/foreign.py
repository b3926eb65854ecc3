# SPDX-License-Identifier: Apache-2.0
"""Ternary tensors from other projects' files, one at a time."""

import logging
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from numpy import typing as npt
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.golden.ternary import SCALE_FLOOR, Ternary
from tritforge.hw.trits import CODES, positional

_LOG = logging.getLogger(__name__)

GGUF_KINDS = (Kind.TQ1_0, Kind.TQ2_0)
"""Ternary types of llama.cpp: blocks of 256 values of a row with one float16 scale, 1.69 and 2.06 bits a value."""
_PLAIN = (Kind.F32, Kind.F16, Kind.BF16, Kind.F64)
_SCALE_BYTES = 2
_TAIL_BYTES = 4
"""Last code bytes of a TQ1_0 block, of four trits each; the others have five."""


class _Bitnet(IntEnum):
    """Types that bitnet.cpp's files have and llama.cpp's do not, or have otherwise."""

    I2_S = 36
    I8_S = 37
    TL1 = 38
    TL2 = 39


class _Reader(gguf.GGUFReader):
    """Reads the ternary tensors of a file; of others only name and type, whether or not the library knows it.

    What a file claims to hold and does not is refused: the library would go on to count it.
    """

    def _get(self, offset: int, dtype: npt.DTypeLike, count: int = 1, *more: Any, **named: Any) -> NDArray[Any]:
        found: NDArray[Any] = super()._get(offset, dtype, count, *more, **named)
        if len(found) < count:
            raise ValueError(f"it ends before {count} values at byte {offset}")
        return found

    def _build_tensors(self, start_offs: int, fields: list[gguf.ReaderField]) -> None:
        kinds = [int(field.parts[4][0]) for field in fields]
        self.others = {f.name: kind for f, kind in zip(fields, kinds, strict=True) if kind not in GGUF_KINDS}
        super()._build_tensors(start_offs, [field for field in fields if field.name not in self.others])


def read_gguf(path: Path | str, warn: Callable[[str], None] = _LOG.warning) -> Iterator[tuple[str, Ternary]]:
    """Yield name and value of every tensor of a GGUF file that is stored as TQ1_0 or TQ2_0; others are left out.

    Parameters
    ----------
    path
        The file.
    warn
        Told, before the first tensor, which others are quantised and how; by default the log.

    Raises
    ------
    TritforgeError
        For a file that is no GGUF, and what `from_gguf` raises.
    """
    try:
        reader = _Reader(path)
    except OSError as error:
        raise TritforgeError(f"{path} cannot be read ({error.strerror}); give a GGUF file.") from error
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, RecursionError) as error:
        raise TritforgeError(f"{path} is no whole GGUF file ({error}); fetch it again.") from error
    if reader.byte_order == "S":
        raise TritforgeError(f"{path} is for machines of the other byte order; convert it first.")
    others = [f"{name} of type {_named(kind)}" for name, kind in reader.others.items() if kind not in _PLAIN]
    if others:
        known = " and ".join(kind.name for kind in GGUF_KINDS)
        warn(f"Tensors of {path} that are not of the types {known} are left out: {', '.join(others)}.")
    for tensor in reader.tensors:
        yield tensor.name, from_gguf(tensor.data, tensor.tensor_type, tensor.name)


def from_gguf(data: NDArray[Any], kind: Kind, name: str = "The tensor") -> Ternary:
    """Return the trits and the scale of TQ1_0 or TQ2_0 blocks.

    Parameters
    ----------
    data
        uint8 [..., bytes], the blocks of each row.
    kind
        Their type.
    name
        For the message.

    Raises
    ------
    TritforgeError
        For another type, codes that are no trits, scales that no writer makes, or blocks whose scales differ: this
        core has one scale a tensor.
    """
    if kind not in GGUF_KINDS:
        raise TritforgeError(f"{name} is of type {_named(kind)}; ternary types are TQ1_0 and TQ2_0.")
    size = gguf.GGML_QUANT_SIZES[kind][1]
    if not data.size or data.shape[-1] % size:  # of no values there is no scale
        raise TritforgeError(
            f"{name} has rows of {data.shape[-1]} bytes, which are no blocks of {size}; fetch it again."
        )
    blocks = np.array(data).reshape(-1, size)
    codes, scales = blocks[:, :-_SCALE_BYTES], blocks[:, -_SCALE_BYTES:].view(np.float16).astype(np.float32)[:, 0]
    wrong = _no_trits(codes, kind)
    if len(wrong):
        raise TritforgeError(f"{name} has the byte {wrong[0]}, which stands for no trits; the file is damaged.")
    odd = scales[~(np.isfinite(scales) & (scales >= 0))]
    if len(odd):
        raise TritforgeError(f"{name} has a block with the scale {odd[0]:.3g}; the file is damaged.")
    blocks[:, -_SCALE_BYTES:] = np.float16(1).reshape(1).view(np.uint8)
    trits = gguf.dequantize(blocks, kind).astype(np.int8)
    used = np.unique(scales[trits.any(-1)])
    if len(used) and not used[0]:
        raise TritforgeError(f"{name} has a block with weights and the scale 0; the file is damaged.")
    if len(used) > 1:
        raise TritforgeError(
            f"{name} has blocks of different scales, as latent weights get them; quantise trits times one scale, "
            "as `tritforge ternarise` writes them."
        )
    return Ternary(trits.reshape(*data.shape[:-1], -1), float(used[0] if len(used) else np.float32(SCALE_FLOOR)))


def _no_trits(codes: NDArray[np.uint8], kind: Kind) -> NDArray[np.uint8]:
    """The bytes among the codes [blocks, bytes] that stand for no trits."""
    if kind is Kind.TQ2_0:
        wrong: NDArray[np.uint8] = codes[(codes & codes >> 1 & 0x55) != 0]
        return wrong
    # a number of five base three digits as a fraction of 243, in 256ths, rounded up; of four the last is 0
    valid = (np.arange(3**5) * 256 + 3**5 - 1) // 3**5
    known = np.isin(np.arange(256), valid), np.isin(np.arange(256), valid[::3])
    bulk, tail = np.hsplit(codes, [-_TAIL_BYTES])
    return np.concatenate([bulk[~known[0][bulk]], tail[~known[1][tail]]])


def _named(kind: int) -> str:
    """The name of a type, or its number where it has none, or one in bitnet.cpp."""
    own = [Kind(kind).name] if kind in list(Kind) else []
    foreign = [f"{_Bitnet(kind).name} of bitnet.cpp"] if kind in list(_Bitnet) else []
    if own and not foreign:
        return own[0]
    return str(int(kind)) + (f" ({' or '.join(own + foreign)})" if own or foreign else "")


def from_positional(data: NDArray[np.uint8], columns: int) -> NDArray[np.int8]:
    """Return the trits of rows packed five to a byte, lowest power of three first; five zeros are byte 121.

    Parameters
    ----------
    data
        uint8 [..., ceil(columns / 5)]; what the last byte has beyond the columns is left out.
    columns
        Trits of a row. Where the bytes run on from row to row, give all values as one row and reshape.

    Returns
    -------
    int8 [..., columns].

    Raises
    ------
    TritforgeError
        For another number of bytes, or one above 242, which stands for nothing.
    """
    code = CODES["positional"]
    if data.shape[-1] != -(-columns // code.trits):
        raise TritforgeError(
            f"{columns} trits are {-(-columns // code.trits)} bytes, not {data.shape[-1]}; give the shape as packed."
        )
    if data.size and data.max() >= 3**code.trits:
        raise TritforgeError(f"The byte {data.max()} is no five trits, which reach 242; is the layout another one?")
    return np.ascontiguousarray(code.decode_table[data].reshape(*data.shape[:-1], -1)[..., :columns])


def to_positional(trits: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Return what `from_positional` reads: trits [..., columns] as bytes, each row padded with zero trits."""
    count = CODES["positional"].trits
    padding = [(0, 0)] * (trits.ndim - 1) + [(0, -trits.shape[-1] % count)]
    groups = np.pad(trits.astype(np.int16), padding).reshape(*trits.shape[:-1], -1, count)
    found: NDArray[np.int16] = positional(np.moveaxis(groups, -1, 0))
    return found.astype(np.uint8)
