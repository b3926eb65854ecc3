# SPDX-License-Identifier: Apache-2.0
"""Random checkpoints with lifelike weights, for tests, co-simulation and shapes that nobody has trained."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tritforge.golden.arrays import FLOAT32
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.checkpoints.writer import split_by_size, stream_checkpoint

OUTLIER_SHARE, OUTLIER_SCALE = 0.02, 12.0


def random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """One tensor of the public layout: gains around one, some negative, embeddings with outlier channels."""
    values = torch.randn(shape, generator=generator)
    if "norm" in name:
        return values.mul_(0.4).add_(1)
    if "embeddings" in name:
        loud = torch.rand(shape[-1], generator=generator) < OUTLIER_SHARE
        return values.mul_(0.3).mul_(torch.where(loud, OUTLIER_SCALE, 1.0))
    return values if "lower_bounds" in name else values.mul_(0.05)


def write_random_checkpoint(
    folder: Path,
    config: ModelConfig,
    seed: int = 0,
    dtype: np.dtype = FLOAT32,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write a random checkpoint with one tensor at a time in memory; the same seed gives the same weights.

    Files and `progress` are those of `golden.checkpoints.writer.stream_checkpoint`, which see.
    """
    generator, shapes = torch.Generator().manual_seed(seed), config.tensor_shapes()
    parts = split_by_size(config, dtype)
    return stream_checkpoint(
        folder, config, dtype, lambda name: random_tensor(name, shapes[name], generator).numpy(), parts, progress
    )
