# SPDX-License-Identifier: Apache-2.0
"""Writes checkpoints in the public layout, tensor by tensor: one larger than memory can be written."""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tritforge.golden.arrays import STORED, as_array
from tritforge.golden.checkpoints.config import CONFIG, GENERATION, INDEX, WEIGHTS, CheckpointError, ModelConfig
from tritforge.golden.files import make_folder, replacing, write_text

if TYPE_CHECKING:
    from torch import Tensor

SHARD_BYTES = 2_000_000_000
"""Largest file, as of the published checkpoints."""
_ALIGNMENT = 8
_NAMES = {dtype: name for name, dtype in STORED.items()}


def write_checkpoint(
    folder: Path | str, config: ModelConfig, tensors: "Mapping[str, Tensor | NDArray[Any]]", shards: int = 1
) -> None:
    """Write `tensors`, in the type they have, as a checkpoint in the public layout, each file atomically.

    Parameters
    ----------
    folder
        Made where absent; other files in it stay.
    config
        Must agree with the tensors.
    tensors
        The whole state dict, of one type: float32, float16 or bfloat16.
    shards
        Number of files to spread the tensors over; with more than one an index is written.

    Raises
    ------
    CheckpointError
        For a tensor that is missing, unknown or of the wrong shape or type.
    """
    shapes = config.tensor_shapes()
    arrays = {name: value if isinstance(value, np.ndarray) else as_array(value) for name, value in tensors.items()}
    for name in shapes.keys() ^ tensors.keys():
        raise CheckpointError(f"The tensor {name} is {'missing' if name in shapes else 'not one of this model'}.")
    dtypes = {value.dtype for value in arrays.values()}
    if len(dtypes) != 1 or not dtypes <= _NAMES.keys():
        kinds = [dtype.name for dtype in _NAMES]
        raise CheckpointError(f"The tensors must be of one type among {kinds}, not {dtypes}.")
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise CheckpointError(f"{name} has shape {list(arrays[name].shape)}, the config asks for {list(shape)}.")
    names = list(shapes)
    parts = [names[n * len(names) // shards : (n + 1) * len(names) // shards] for n in range(shards)]
    stream_checkpoint(folder, config, dtypes.pop(), arrays.__getitem__, parts)


def stream_checkpoint(
    folder: Path | str,
    config: ModelConfig,
    dtype: np.dtype,
    tensor: Callable[[str], NDArray[Any]],
    parts: list[list[str]],
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write a checkpoint with one tensor at a time in memory; no file has its name before all are complete.

    Parameters
    ----------
    folder
        Made where absent; other files in it stay.
    config
        The model's shape.
    dtype
        The type to store: float32, float16 or bfloat16.
    tensor
        Gives each tensor, in the shape that `config` asks for; called once for each name, in order.
    parts
        The names in each file, all of them; with more than one file an index is written.
    progress
        Called with the bytes written and their total after every tensor.

    Returns
    -------
    The files with the weights.
    """
    folder, shapes, done = Path(folder), config.tensor_shapes(), 0
    make_folder(folder)
    count = len(parts)
    names = [WEIGHTS] if count == 1 else [f"model-{n + 1:05d}-of-{count:05d}.safetensors" for n in range(count)]
    size = dtype.itemsize * sum(map(math.prod, shapes.values()))
    with ExitStack() as stack:
        # all get their names when the last is complete
        files = [stack.enter_context(replacing(folder / name)) for name in names]
        for path, part in zip(files, parts, strict=True):
            with path.open("wb") as file:
                file.write(_header({name: shapes[name] for name in part}, dtype))
                for name in part:
                    done += file.write(np.ascontiguousarray(tensor(name), dtype).view(np.uint8).data)
                    if progress is not None:
                        progress(done, size)
    if count > 1:
        shard_of = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
        write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": shard_of})
    (folder / (INDEX if count == 1 else WEIGHTS)).unlink(missing_ok=True)
    write_json(folder / CONFIG, config.to_json(dtype.name))
    write_json(folder / GENERATION, {"bos_token_id": config.bos, "eos_token_id": config.public_eos})
    return [folder / name for name in names]


def split_by_size(config: ModelConfig, dtype: np.dtype, limit: int = SHARD_BYTES) -> list[list[str]]:
    """The names of the tensors in model order, in as many parts as keep each within `limit` bytes."""
    parts: list[list[str]] = []
    room = 0
    for name, shape in config.tensor_shapes().items():
        size = dtype.itemsize * math.prod(shape)
        if size > room:
            parts.append([])
            room = limit
        parts[-1].append(name)
        room -= size
    return parts


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def _header(shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype) -> bytes:
    """The header of a safetensors file; by hand since the library takes whole files only."""
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, shape in shapes.items():
        stop = start + dtype.itemsize * math.prod(shape)
        table[name] = {"dtype": _NAMES[dtype], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(table).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
