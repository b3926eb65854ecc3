# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of MatMul-free language models in their public Hugging Face layout."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from golden.config import CheckpointError, ModelConfig, read_json

__all__ = ["Checkpoint", "CheckpointError", "ModelConfig", "write_checkpoint", "write_json"]

CONFIG = "config.json"
GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPE_NAMES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


class Checkpoint:
    """Lazy, memory-mapped access to a checkpoint folder.

    Parameters
    ----------
    folder
        Holds `config.json` and `model.safetensors`, or shards with `model.safetensors.index.json`.

    Attributes
    ----------
    folder
        The folder.
    config
        The model's shape.

    Raises
    ------
    CheckpointError
        At once for a file or tensor that is missing, unreadable or of the wrong shape or type;
        from `tensor` for a value that is not finite.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is no folder; give the folder that holds {CONFIG}.")
        self.config = ModelConfig.from_json(self.folder / CONFIG)
        self._shapes = self.config.tensor_shapes()
        self._handles: dict[str, Any] = {}
        self._shard_of = self._locate()
        for name in self._shapes:
            self._check(name)

    def names(self) -> list[str]:
        """Return the names of the model's tensors in model order."""
        return list(self._shapes)

    def tensor(self, name: str) -> torch.Tensor:
        """Return a tensor upcast to float32; raise CheckpointError where a value is NaN or infinite."""
        if name not in self._shapes:
            raise CheckpointError(f"The model has no tensor {name}; names() lists those it has.")
        try:
            value = self._handle(self._shard_of[name]).get_tensor(name).to(torch.float32)
        except (SafetensorError, OSError, RuntimeError) as error:
            raise CheckpointError(f"{name} in {self._file(name)} is unreadable ({error}); fetch it again.") from error
        if not torch.isfinite(value).all():
            what = "NaN" if torch.isnan(value).any() else "an infinite value"
            raise CheckpointError(f"{name} in {self._file(name)} holds {what}; fetch or export the file again.")
        return value

    def _file(self, name: str) -> Path:
        return self.folder / self._shard_of[name]

    def _handle(self, shard: str) -> Any:
        if shard not in self._handles:
            path = self.folder / shard
            if not path.is_file():
                raise CheckpointError(f"{path} is missing; fetch every file of the checkpoint, in safetensors form.")
            try:
                self._handles[shard] = safe_open(path, framework="pt")
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path} is no whole safetensors file ({error}); fetch it again.") from error
        return self._handles[shard]

    def _locate(self) -> dict[str, str]:
        """Return the file name of every stored tensor."""
        index = self.folder / INDEX
        if (self.folder / WEIGHTS).is_file() or not index.is_file():
            return dict.fromkeys(self._handle(WEIGHTS).keys(), WEIGHTS)
        shard_of = read_json(index).get("weight_map")
        if not isinstance(shard_of, dict) or not shard_of:
            raise CheckpointError(f"{index} has no weight_map; fetch it again.")
        for shard in shard_of.values():
            if not isinstance(shard, str) or Path(shard).name != shard:
                raise CheckpointError(
                    f"{index} names the shard {shard!r}, which is no plain file name; fetch it again."
                )
        return shard_of

    def _check(self, name: str) -> None:
        shard = self._shard_of.get(name)
        if shard is None or name not in self._handle(shard).keys():  # noqa: SIM118 (no mapping)
            where = self.folder / (shard or WEIGHTS)
            raise CheckpointError(f"{where} lacks the tensor {name}; is {CONFIG} that of this checkpoint?")
        piece = self._handle(shard).get_slice(name)
        shape, dtype = tuple(piece.get_shape()), piece.get_dtype()
        if shape != self._shapes[name]:
            raise CheckpointError(
                f"{name} in {self._file(name)} has shape {list(shape)}, but {CONFIG} asks for "
                f"{list(self._shapes[name])}; take both from the same checkpoint."
            )
        if dtype not in _DTYPES:
            kinds = ", ".join(_DTYPES)
            raise CheckpointError(f"{name} in {self._file(name)} is stored as {dtype}; store it as one of {kinds}.")


def write_checkpoint(
    folder: Path | str, config: ModelConfig, tensors: Mapping[str, torch.Tensor], shards: int = 1
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
    folder, shapes = Path(folder), config.tensor_shapes()
    for name in shapes.keys() ^ tensors.keys():
        raise CheckpointError(f"The tensor {name} is {'missing' if name in shapes else 'not one of this model'}.")
    dtypes = {value.dtype for value in tensors.values()}
    if len(dtypes) != 1 or not dtypes <= _DTYPE_NAMES.keys():
        raise CheckpointError(f"The tensors must be of one type among {list(_DTYPE_NAMES.values())}, not {dtypes}.")
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(f"{name} has shape {list(tensors[name].shape)}, the config asks for {list(shape)}.")
    folder.mkdir(parents=True, exist_ok=True)
    shard_of = _write_weights(folder, {name: tensors[name].contiguous() for name in shapes}, shards)
    if shards > 1:
        size = sum(value.nbytes for value in tensors.values())
        write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": shard_of})
    for stale in {WEIGHTS, INDEX} - {WEIGHTS if shards == 1 else INDEX}:
        (folder / stale).unlink(missing_ok=True)
    write_json(folder / CONFIG, config.to_json(_DTYPE_NAMES[dtypes.pop()]))
    write_json(folder / GENERATION, {"bos_token_id": config.bos, "eos_token_id": config.eos})


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(temporary, path)


def _write_weights(folder: Path, tensors: dict[str, torch.Tensor], shards: int) -> dict[str, str]:
    names, shard_of = list(tensors), {}
    for n in range(shards):
        part = names[n * len(names) // shards : (n + 1) * len(names) // shards]
        file = WEIGHTS if shards == 1 else f"model-{n + 1:05d}-of-{shards:05d}.safetensors"
        save_file({name: tensors[name] for name in part}, folder / f"{file}.tmp", metadata={"format": "pt"})
        os.replace(folder / f"{file}.tmp", folder / file)
        shard_of |= dict.fromkeys(part, file)
    return shard_of
