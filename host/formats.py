# SPDX-License-Identifier: Apache-2.0
"""Ternary tensors from other projects' files, one at a time."""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from numpy.typing import NDArray

from golden import TritforgeError
from golden.arrays import FLOAT32
from golden.preternary import dequantise
from golden.ternary import Ternary, ternarise
from hw.trits import CODES, positional

GGUF_KINDS = (Kind.TQ1_0, Kind.TQ2_0)
"""Ternary types of llama.cpp: blocks of 256 values of a row with one float16 scale, 1.69 and 2.06 bits a value."""


def read_gguf(path: Path | str) -> Iterator[tuple[str, Ternary]]:
    """Yield name and value of every tensor of a GGUF file that is stored as TQ1_0 or TQ2_0; others are left out.

    Raises
    ------
    TritforgeError
        For a file that is no GGUF, and what `from_gguf` raises.
    """
    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, IndexError, KeyError) as error:
        raise TritforgeError(f"{path} is no whole GGUF file ({error}); fetch it again.") from error
    for tensor in reader.tensors:
        if tensor.tensor_type in GGUF_KINDS:
            yield tensor.name, from_gguf(tensor.data, tensor.tensor_type, tensor.name)


def from_gguf(data: NDArray, kind: Kind, name: str = "The tensor") -> Ternary:
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
        For another type, or blocks whose scales differ: this core has one scale a tensor.
    """
    if kind not in GGUF_KINDS:
        raise TritforgeError(f"{name} is of type {Kind(kind).name}; ternary types are TQ1_0 and TQ2_0.")
    values = gguf.dequantize(data, kind)
    ternary = ternarise(values)
    if not np.array_equal(dequantise(ternary, FLOAT32), values):
        raise TritforgeError(
            f"{name} has blocks of different scales, as latent weights get them; quantise trits times one scale, "
            "as `tritforge ternarise` writes them."
        )
    return ternary


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
    return positional(np.moveaxis(groups, -1, 0)).astype(np.uint8)
