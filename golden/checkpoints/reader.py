# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of MatMul-free language models in their public Hugging Face layout."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from tritforge.golden.arrays import STORED, as_tensor
from tritforge.golden.checkpoints.config import (
    CONFIG,
    GENERATION,
    INDEX,
    WEIGHTS,
    CheckpointError,
    ModelConfig,
    read_json,
)
from tritforge.golden.checkpoints.naming import match, some
from tritforge.golden.checkpoints.writer import write_checkpoint
from tritforge.golden.chunks import by_rows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Checkpoint", "CheckpointError", "ModelConfig", "write_checkpoint"]


class _Place(NamedTuple):
    """Where a tensor is stored: the file, its name there, shape and type."""

    shard: str
    name: str
    shape: tuple[int, ...]
    dtype: str


class Checkpoint:
    """Lazy access to a checkpoint folder: no values are kept, a tensor is read whenever it is asked for.

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
    warnings
        Sentences on what else is in its files, for who uses it to print.

    Raises
    ------
    CheckpointError
        At once for a file or tensor that is missing, unreadable or of the wrong shape or type, and for tensors that
        belong to the model but not to its configuration; from `stored` and `tensor` for a value that is not finite.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder} is no folder; give the folder that holds {CONFIG}.")
        self.config = ModelConfig.from_json(self.folder / CONFIG)
        self.warnings: list[str] = []
        self._files: dict[str, Any] = {}
        places = self._locate()
        if self.config.layers > len(places):
            raise CheckpointError(
                f"{self.folder / CONFIG} asks for {self.config.layers} layers, more than there are tensors "
                f"({len(places)}); take both from the same checkpoint."
            )
        shapes = self.config.tensor_shapes()
        self._places = self._match(places, shapes)
        self.dtypes = {self._check(name, shape) for name, shape in shapes.items()}

    def names(self) -> list[str]:
        """Return the names of the model's tensors in model order."""
        return list(self._places)

    def files(self) -> list[Path]:
        """Return all files that it is read from."""
        names = [CONFIG, GENERATION, INDEX, *sorted({place.shard for place in self._places.values()})]
        return [path for path in (self.folder / name for name in names) if path.is_file()]

    def tensor(self, name: str) -> "Tensor":
        """What `values` returns, for PyTorch."""
        return as_tensor(self.values(name))

    def values(self, name: str) -> NDArray[np.float32]:
        """Return a tensor upcast to float32; raise CheckpointError where a value is NaN or infinite."""
        return self.stored(name).astype(np.float32, copy=False)

    def stored(self, name: str) -> NDArray[Any]:
        """Return a tensor in the type it is stored in; raise CheckpointError as `values` does."""
        if name not in self._places:
            raise CheckpointError(f"The model has no tensor {name}; names() lists those it has.")
        place = self._places[name]
        value = self._read(place)
        if not all(_finite(part) for (part,) in by_rows(value)):
            with np.errstate(invalid="ignore"):  # NumPy warns of signalling ones
                what = "NaN" if np.isnan(value).any() else "an infinite value"
            raise CheckpointError(f"{self._told(place)} holds {what}; fetch or export the file again.")
        return value

    def _read(self, place: _Place) -> NDArray[Any]:
        try:
            array: NDArray[Any] = self._open(place.shard).get_tensor(place.name)
            return array
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{self._told(place)} is unreadable ({error}); fetch it again.") from error

    def _told(self, place: _Place) -> str:
        return f"{place.name} in {self.folder / place.shard}"

    def _open(self, shard: str) -> Any:
        """Open a file once: that reads the names of all tensors in it.

        Read and not mapped: pages of a mapping count as memory in use beside what is made of them.
        """
        if shard not in self._files:
            path = self.folder / shard
            if not path.is_file():
                raise CheckpointError(f"{path} is missing; fetch every file of the checkpoint, in safetensors form.")
            try:
                self._files[shard] = safe_open(path, framework="np", backend="pread")
            except (SafetensorError, OSError) as error:
                raise CheckpointError(f"{path} is no whole safetensors file ({error}); fetch it again.") from error
        return self._files[shard]

    def _locate(self) -> dict[str, _Place]:
        """Return the place of every stored tensor by its name there; each file is opened once."""
        index, shard_of = self.folder / INDEX, dict[str, str]()
        if not (self.folder / WEIGHTS).is_file() and index.is_file():
            shard_of = read_json(index).get("weight_map") or {}
            if not isinstance(shard_of, dict) or not shard_of:
                raise CheckpointError(f"{index} has no weight_map; fetch it again.")
            for shard in shard_of.values():
                if not isinstance(shard, str) or Path(shard).name != shard:
                    raise CheckpointError(
                        f"{index} names the shard {shard!r}, which is no plain file name; fetch it again."
                    )
        places = {}
        for shard in dict.fromkeys(shard_of.values()) or (WEIGHTS,):
            opened = self._open(shard)
            for name in opened.keys():  # noqa: SIM118 (no mapping)
                if shard_of.get(name, shard) == shard:
                    piece = opened.get_slice(name)
                    places[name] = _Place(shard, name, tuple(piece.get_shape()), piece.get_dtype())
        for name, shard in shard_of.items():
            if name not in places:
                raise CheckpointError(f"{self.folder / shard} lacks the tensor {name} of {INDEX}; fetch both again.")
        return places

    def _match(self, places: dict[str, _Place], shapes: dict[str, tuple[int, ...]]) -> dict[str, _Place]:
        """Return the places of the model's tensors in model order; judge what else is there."""
        result = match(places, shapes)
        missing = [name for name in shapes if name not in result.found]
        if missing:
            where = {place.shard for place in places.values()}
            path = self.folder / (where.pop() if len(where) == 1 else INDEX)
            # the ones without a substitute first: with those of another name they are the whole story
            told = f"{path} lacks the tensor {some(sorted(missing, key=lambda name: name in result.instead))}"
            if not result.instead:
                raise CheckpointError(f"{told}; is {CONFIG} that of this checkpoint?")
            wanted, stored = next(iter(result.instead.items()))
            raise CheckpointError(
                f"{told}; it has {stored} in place of {result.prefix}{wanted}, so export the whole model, with its "
                "head, under the names of the public layout."
            )
        neutral = [name for name in result.harmful if self._adds_nothing(places[name])]
        if len(neutral) < len(result.harmful):
            changing = [name for name in result.harmful if name not in neutral]
            raise CheckpointError(
                f"{self.folder} holds tensors that {CONFIG} does not account for and that would change the result: "
                f"{some(changing)}; is it that of this checkpoint, and the model one without biases, "
                "convolutions and quantised weights?"
            )
        for name, own in result.copies.items():
            one, other = places[result.found[own]], places[name]
            same = one[2:] == other[2:]
            if same and one.dtype in STORED:  # others are refused below
                same = self._read(one).tobytes() == self._read(other).tobytes()
            if not same:
                raise CheckpointError(
                    f"{self.folder} holds two tensors {own} that differ, {one.name} and {name}; remove one of them."
                )
        if result.removed:
            self.warnings.append(
                f"Names of tensors in {self.folder} have {some(result.removed)} too much, such as "
                f"{next(stored for own, stored in result.found.items() if stored != own)}; they are read without."
            )
        unused = [*result.harmless, *neutral, *result.copies]
        if unused:
            self.warnings.append(f"{self.folder} holds tensors that the model does not use: {some(unused)}.")
        return {name: places[result.found[name]] for name in shapes}

    def _adds_nothing(self, place: _Place) -> bool:
        """Whether it is a bias of zeros."""
        return place.name.split(".")[-1] == "bias" and place.dtype in STORED and not self._read(place).any()

    def _check(self, name: str, wanted: tuple[int, ...]) -> np.dtype:
        place = self._places[name]
        if place.shape != wanted:
            raise CheckpointError(
                f"{self._told(place)} has shape {list(place.shape)}, but {CONFIG} asks for {list(wanted)}; "
                "take both from the same checkpoint."
            )
        if place.dtype not in STORED:
            kinds = ", ".join(STORED)
            raise CheckpointError(f"{self._told(place)} is stored as {place.dtype}; store it as one of {kinds}.")
        return STORED[place.dtype]


def _finite(values: NDArray[Any]) -> bool:
    """Whether all values are."""
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum is finite only if all values are, and faster; it may overflow, hence the second look.
        return bool(np.isfinite(values.astype(np.float32).sum()) or np.isfinite(values).all())
