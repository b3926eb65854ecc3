# SPDX-License-Identifier: Apache-2.0
"""Simulated cores and models for the tests of the whole core."""

from dataclasses import replace
from pathlib import Path

from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.hw.params import CoreParams

SMALL_LIMITS = {"max_hidden": 256, "max_intermediate": 768, "max_layers": 8, "max_vocab": 1024}
CORES = {
    "4x1": CoreParams(lanes=4, element_bytes=1, **SMALL_LIMITS),
    "4x2": CoreParams(lanes=4, batch=3, **SMALL_LIMITS),
    "16x2": CoreParams(lanes=16, **SMALL_LIMITS),
    "64x4": CoreParams(lanes=64, element_bytes=4, code="two_bit", vector_rows=4, batch=2, **SMALL_LIMITS),
    "256x4": CoreParams(lanes=256, element_bytes=4, act_bits=12, vector_rows=2, **SMALL_LIMITS),
    "narrow": CoreParams(
        lanes=8,
        code="positional",
        act_bits=10,
        vector_rows=2,
        batch=8,
        formats=Formats(wide_bits=24, frac=13, mantissa=14),
        **SMALL_LIMITS,
    ),
}
"""Geometries, codes and widths that the whole core is compared in, by name."""
MODEL = ModelConfig(hidden=43, layers=3, intermediate=71, vocab=101)
"""No dimension is a multiple of anything, so every last beat and row block is padded."""


def packed(params: CoreParams, folder: Path, config: ModelConfig = MODEL, seed: int = 0, cores: int = 1) -> Image:
    """An image of a random model, for one core or several that share it."""
    write_random_checkpoint(folder / "checkpoint", config, seed)
    return packed_checkpoint(params, folder / "checkpoint", folder / "image", cores)


def packed_checkpoint(params: CoreParams, checkpoint: Path, path: Path, cores: int = 1) -> Image:
    """An image of a checkpoint."""
    pack(IntegerCheckpoint(Checkpoint(checkpoint), params.formats), params, path, cores=cores)
    return Image.open(path)


def with_taps(params: CoreParams) -> CoreParams:
    """The same core with debug ports."""
    return replace(params, taps=True)
