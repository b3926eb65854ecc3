# SPDX-License-Identifier: Apache-2.0
"""Random checkpoints with lifelike weights, for tests, co-simulation and shapes that nobody has trained."""

from pathlib import Path

import torch
from torch import Tensor

from golden.checkpoint import ModelConfig, write_checkpoint

OUTLIER_SHARE, OUTLIER_SCALE = 0.02, 12.0


def random_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """One tensor of the public layout: gains around one, some negative, embeddings with outlier channels."""
    values = torch.randn(shape, generator=generator)
    if "norm" in name:
        return 1 + 0.4 * values
    if "embeddings" in name:
        loud = torch.rand(shape[-1], generator=generator) < OUTLIER_SHARE
        return 0.3 * values * torch.where(loud, OUTLIER_SCALE, 1.0)
    return values if "lower_bounds" in name else 0.05 * values


def write_random_checkpoint(folder: Path, config: ModelConfig, seed: int = 0) -> None:
    """Write a random float32 checkpoint; the same seed gives the same weights."""
    generator = torch.Generator().manual_seed(seed)
    shapes = config.tensor_shapes()
    write_checkpoint(folder, config, {n: random_tensor(n, s, generator) for n, s in shapes.items()})
