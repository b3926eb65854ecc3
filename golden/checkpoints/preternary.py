# SPDX-License-Identifier: Apache-2.0
"""Checkpoints whose ternary weights are stored as trits times scale, in the public layout."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritforge.golden.arrays import FLOAT32
from tritforge.golden.checkpoints.reader import Checkpoint, CheckpointError
from tritforge.golden.checkpoints.writer import split_by_size, stream_checkpoint
from tritforge.golden.chunks import by_rows
from tritforge.golden.files import replacing_folder
from tritforge.golden.ternary import Ternary, ternarise

TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
"""What a checkpoint folder may hold of its tokenizer."""


@dataclass(frozen=True)
class Stored:
    """What became of a ternary tensor.

    Attributes
    ----------
    tensor, shape
        Its name and dimensions.
    scale, stored
        As it was found and as the file holds it: equal in float32, else rounded once.
    nonzeros
        Share of values that are not zero: by so much a mean taken again would shrink the scale.
    """

    tensor: str
    shape: tuple[int, ...]
    scale: float
    stored: float
    nonzeros: float


def write_preternary(
    checkpoint: Checkpoint,
    folder: Path | str,
    dtype: np.dtype | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Stored], list[Path]]:
    """Write `checkpoint` with every ternary weight as trits times scale; all else stays as it is.

    Parameters
    ----------
    checkpoint
        Latent or already ternary.
    folder
        Absent or empty; it appears with all files in it when they are complete.
    dtype
        The type to store, float32, float16 or bfloat16; None keeps the checkpoint's, float32 where it has several.
    progress
        Called with the bytes written and their total after every tensor.

    Returns
    -------
    The ternary tensors, and the files with the weights.

    Raises
    ------
    CheckpointError
        For a folder that holds something, or a value that the type cannot hold.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder} is not empty; name another folder.")
    kind = dtype or (next(iter(checkpoint.dtypes)) if len(checkpoint.dtypes) == 1 else FLOAT32)
    latent = {f"{name}.weight" for name in checkpoint.config.linear_shapes()}
    report = []

    def tensor(name: str) -> NDArray[Any]:
        value = checkpoint.stored(name)
        if name not in latent:
            return _stored(value, name, kind)
        ternary = ternarise(value)
        value = dequantise(ternary, kind)
        stored = float(_stored(np.float32(ternary.scale), name, kind))
        nonzeros = int(np.count_nonzero(ternary.trits)) / value.size
        if nonzeros and not stored:
            raise CheckpointError(f"{name} has the scale {ternary.scale:.3g}, {_NARROW.format(kind)}")
        report.append(Stored(name, value.shape, ternary.scale, stored, nonzeros))
        return value

    with replacing_folder(folder) as temporary:
        parts = split_by_size(checkpoint.config, kind)
        files = stream_checkpoint(temporary, checkpoint.config, kind, tensor, parts, progress)
        for pattern in TOKENIZER_FILES:
            for file in filter(Path.is_file, checkpoint.folder.glob(pattern)):
                shutil.copyfile(file, temporary / file.name)
    return report, [folder / file.name for file in files]


def dequantise(ternary: Ternary, dtype: np.dtype) -> NDArray[Any]:
    """Return `trits * scale`, the scale rounded to `dtype`; `ternarise` gives the trits and that scale again."""
    weight = np.empty(ternary.trits.shape, dtype)
    for trits, out in by_rows(ternary.trits, weight):
        with np.errstate(over="ignore"):
            out[...] = trits * np.float32(ternary.scale)
    return weight


_NARROW = "which {} cannot hold; store float32."


def _stored(value: NDArray[Any] | np.float32, name: str, dtype: np.dtype) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        value = np.asarray(value).astype(dtype, copy=False)
    if not np.isfinite(value).all():
        raise CheckpointError(f"{name} holds a value {_NARROW.format(dtype)}")
    return value
