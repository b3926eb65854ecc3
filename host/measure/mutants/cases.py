# SPDX-License-Identifier: Apache-2.0
"""Small models and tokens with all that the golden integer model says of them, for the checks of a mutated core."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig, write_checkpoint
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.model.activations import activations
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.host.run.golden_backends import Cached
from tritforge.hw.params import CoreParams

ODD = ModelConfig(hidden=43, layers=3, intermediate=71, vocab=101)
"""No dimension is a multiple of anything, so every last beat and row block is padded."""
LEAST = ModelConfig(hidden=8, layers=1, intermediate=9, vocab=3)
WHOLE = ModelConfig(hidden=20, layers=2, intermediate=40, vocab=16, use_lower_bound=False)
SHORT = ModelConfig(hidden=12, layers=1, intermediate=14, vocab=9)
"""For packets that are refused: of a few hundred beats."""
MOST_WEIGHTS = 1_500_000
"""Of a model at all limits of a core at once: so many are simulated in a second or so a token."""
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Said:
    """What the golden integer model says after tokens [T] from a zero state, bit for bit.

    Attributes
    ----------
    raw : logits [T, vocab]. mantissa, shift : their scales [T]. tokens : [T]. state : [L, d], the last.
    saturations : values that were cut.
    """

    raw: NDArray[np.int64]
    mantissa: NDArray[np.int64]
    shift: NDArray[np.int64]
    tokens: NDArray[np.int64]
    state: NDArray[np.int64]
    saturations: int


@dataclass(frozen=True)
class Case:
    """A model in an image, and some tokens of it."""

    image: Image
    ids: NDArray[np.int64]
    threshold: float | None = None
    """Of outliers, see `golden.model.activations.activations`."""
    bits: int = 8

    @cached_property
    def said(self) -> Said:
        """Of the tokens, all from a zero state."""
        return self.after(self.ids)

    def after(self, ids: NDArray[np.int64]) -> Said:
        """Of other tokens."""
        model = IntegerModel(Cached(DecodedImage(self.image)), activations=activations(self.bits, self.threshold))
        expected, state = model.forward(torch.from_numpy(ids))
        raw = expected.raw.numpy()
        return Said(
            raw,
            expected.mantissa.numpy(),
            expected.shift.numpy(),
            raw.argmax(-1),
            state.numpy(),
            int(model.saturations),
        )


class Cases:
    """The cases of a core, made in a folder as they are asked for.

    Parameters
    ----------
    params : of the core. folder : for checkpoints and images.
    """

    def __init__(self, params: CoreParams, folder: Path) -> None:
        self._params, self._folder = params, folder
        self._images: dict[str, Image] = {}
        self._cases: dict[str, Case] = {}

    def case(
        self,
        name: str,
        config: ModelConfig,
        tokens: int,
        change: Callable[[Tensors], Tensors] | None = None,
        threshold: float | None = None,
        cores: int = 1,
    ) -> Case:
        """The case of that name: random weights, as they are or changed; the dimensions are cut to the core's."""
        if name not in self._cases:
            image = self._image(name.partition(":")[0], fitted(config, self._params), change, cores)
            ids = np.random.default_rng(len(self._cases)).integers(image.shape.vocab, size=tokens)
            self._cases[name] = Case(image, ids, threshold, self._params.act_bits)
        return self._cases[name]

    def _image(
        self, name: str, config: ModelConfig, change: Callable[[Tensors], Tensors] | None, cores: int
    ) -> Image:
        if name not in self._images:
            folder = self._folder / name.replace(" ", "-")
            write_random_checkpoint(folder / "random", config, len(self._images))
            source = folder / "random"
            if change:
                checkpoint = Checkpoint(source)
                tensors = change({tensor: checkpoint.tensor(tensor) for tensor in checkpoint.names()})
                source = folder / "changed"
                write_checkpoint(source, config, tensors)
            weights = IntegerCheckpoint(Checkpoint(source), self._params.formats)
            pack(weights, self._params, folder / "image", cores=cores)
            self._images[name] = Image.open(folder / "image")
        return self._images[name]


def fitted(config: ModelConfig, params: CoreParams) -> ModelConfig:
    """The same model, none of its dimensions above the core's limits."""
    given: dict[str, Any] = asdict(config)
    return ModelConfig(**given | {name: min(given[name], most) for name, most in params.limits.items()})


def at_limits(params: CoreParams) -> dict[str, ModelConfig]:
    """Models at the core's limits: at all of them where that is small enough, else at one each."""
    limits: dict[str, Any] = params.limits
    most = ModelConfig(**limits)
    if weights(most) <= MOST_WEIGHTS:
        return {"limits": most}
    small: dict[str, Any] = {"hidden": 11, "layers": 1, "intermediate": 13, "vocab": 40}
    return {f"limit of {name}": ModelConfig(**small | {name: most}) for name, most in limits.items()}


def weights(config: ModelConfig) -> int:
    """Ternary weights that a token goes over."""
    layer = 4 * config.hidden**2 + 3 * config.hidden * config.intermediate
    return config.layers * layer + config.hidden * config.vocab


def louder(part: str, factor: float) -> Callable[[Tensors], Tensors]:
    """A change: all tensors with that part in their names times a factor."""
    return lambda tensors: {name: value * (factor if part in name else 1) for name, value in tensors.items()}


def nearly_tied(tensors: Tensors) -> Tensors:
    """A change: the rows of the head are equal but for one weight each."""
    head = tensors["lm_head.weight"][:1].expand(tensors["lm_head.weight"].shape[0], -1).contiguous()
    for row in range(head.shape[0]):
        head[row, row % head.shape[1]] *= -1
    return tensors | {"lm_head.weight": head}


def opposite(tensors: Tensors) -> Tensors:
    """A change: the head is all of one sign, so that all logits are; of which depends on the token."""
    head = tensors["lm_head.weight"]
    return tensors | {"lm_head.weight": -(head[:1].abs() + head.abs()) * head[:1].sign()}


def tied(tensors: Tensors) -> Tensors:
    """A change: all rows of the head are equal, so that every logit is."""
    head = tensors["lm_head.weight"]
    return tensors | {"lm_head.weight": head[:1].expand(head.shape[0], -1).contiguous()}
