# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of MatMul-free language models in their public Hugging Face layout."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from golden.arrays import STORED, as_tensor
from golden.checkpoint_write import write_checkpoint
from golden.chunks import by_rows
from golden.config import CONFIG, INDEX, WEIGHTS, CheckpointError, ModelConfig, read_json

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "CheckpointError", "ModelConfig", "write_checkpoint"]


class Checkpoint:
    """Lazy access to a checkpoint folder: nothing is kept, a tensor is read whenever it is asked for.

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
    dtypes
        The types that its tensors are stored in, of `golden.arrays.STORED`; as a rule one of them.

    Raises
    ------
    CheckpointError
        At once for a file or tensor that is missing, unreadable or of the wrong shape or type;
        from `stored` and `tensor` for a value that is not finite.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is no folder; give the folder that holds {CONFIG}.")
        self.config = ModelConfig.from_json(self.folder / CONFIG)
        self._shapes = self.config.tensor_shapes()
        opened = cache(self._open)
        self._shard_of = self._locate(opened)
        self.dtypes = {self._check(name, opened) for name in self._shapes}

    def names(self) -> list[str]:
        """Return the names of the model's tensors in model order."""
        return list(self._shapes)

    def tensor(self, name: str) -> "Tensor":
        """What `values` returns, for PyTorch."""
        return as_tensor(self.values(name))

    def values(self, name: str) -> NDArray[np.float32]:
        """Return a tensor upcast to float32; raise CheckpointError where a value is NaN or infinite."""
        return self.stored(name).astype(np.float32, copy=False)

    def stored(self, name: str) -> NDArray:
        """Return a tensor in the type it is stored in; raise CheckpointError as `values` does."""
        if name not in self._shapes:
            raise CheckpointError(f"The model has no tensor {name}; names() lists those it has.")
        try:
            value = self._open(self._shard_of[name]).get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{name} in {self._file(name)} is unreadable ({error}); fetch it again.") from error
        if not all(_finite(part) for (part,) in by_rows(value)):
            what = "NaN" if np.isnan(value).any() else "an infinite value"
            raise CheckpointError(f"{name} in {self._file(name)} holds {what}; fetch or export the file again.")
        return value

    def _file(self, name: str) -> Path:
        return self.folder / self._shard_of[name]

    def _open(self, shard: str) -> Any:
        """Open a file. Read and not mapped: pages of a mapping count as memory in use beside what is made of them."""
        path = self.folder / shard
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; fetch every file of the checkpoint, in safetensors form.")
        try:
            return safe_open(path, framework="np", backend="pread")
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is no whole safetensors file ({error}); fetch it again.") from error

    def _locate(self, opened: Callable[[str], Any]) -> dict[str, str]:
        """Return the file name of every stored tensor."""
        index = self.folder / INDEX
        if (self.folder / WEIGHTS).is_file() or not index.is_file():
            return dict.fromkeys(opened(WEIGHTS).keys(), WEIGHTS)
        shard_of = read_json(index).get("weight_map")
        if not isinstance(shard_of, dict) or not shard_of:
            raise CheckpointError(f"{index} has no weight_map; fetch it again.")
        for shard in shard_of.values():
            if not isinstance(shard, str) or Path(shard).name != shard:
                raise CheckpointError(
                    f"{index} names the shard {shard!r}, which is no plain file name; fetch it again."
                )
        return shard_of

    def _check(self, name: str, opened: Callable[[str], Any]) -> np.dtype:
        shard = self._shard_of.get(name)
        if shard is None or name not in opened(shard).keys():  # noqa: SIM118 (no mapping)
            where = self.folder / (shard or WEIGHTS)
            raise CheckpointError(f"{where} lacks the tensor {name}; is {CONFIG} that of this checkpoint?")
        piece = opened(shard).get_slice(name)
        shape, dtype = tuple(piece.get_shape()), piece.get_dtype()
        if shape != self._shapes[name]:
            raise CheckpointError(
                f"{name} in {self._file(name)} has shape {list(shape)}, but {CONFIG} asks for "
                f"{list(self._shapes[name])}; take both from the same checkpoint."
            )
        if dtype not in STORED:
            kinds = ", ".join(STORED)
            raise CheckpointError(f"{name} in {self._file(name)} is stored as {dtype}; store it as one of {kinds}.")
        return STORED[dtype]


def _finite(values: NDArray) -> bool:
    """Whether all values are."""
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum is finite only if all values are, and faster; it may overflow, hence the second look.
        return bool(np.isfinite(values.astype(np.float32).sum()) or np.isfinite(values).all())
