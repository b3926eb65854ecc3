# SPDX-License-Identifier: Apache-2.0
"""A model as sure as it is right.

What learnt a text by heart, or from teachers who did, is too sure of itself on other texts. Dividing its logits by a
temperature mends that. Logits are proportional to the last gain (the int8 codes are the same whatever its scale), so
the temperature goes into that gain, and neither model nor core knows of it.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from tritforge.golden.arrays import as_tensor
from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint
from tritforge.golden.checkpoints.text import TOKENIZER, TextCodec
from tritforge.golden.files import write_bytes
from tritforge.golden.train.corpus import read_text, stream
from tritforge.golden.train.network import TrainModel

LAST_GAIN = "lm_head.norm.weight"
WINDOW = 4096
STEPS = 20
"""Newton steps at most; the cost is convex in the sharpness, 1/temperature, so three are usual."""


Progress = Callable[[int, int], None]
"""Told the windows of text that were read, and their number."""


class Calibration(NamedTuple):
    """What was found: the temperature, and bits per character before and after."""

    temperature: float
    before: float
    after: float


def cost(
    model: TrainModel, tokens: torch.Tensor, sharpness: float, progress: Progress | None = None
) -> tuple[float, float, float]:
    """Return the mean cost in nats of `tokens` [N] with all logits times `sharpness`, and its two derivatives."""
    sums, state = torch.zeros(3, dtype=torch.float64), None
    windows = list(stream(tokens, model.bos, WINDOW))
    with torch.inference_mode():
        for done, (inputs, targets) in enumerate(windows):
            if progress:
                progress(done, len(windows))
            logits, state = model(inputs, state)
            scaled = (logits[0] * sharpness).log_softmax(-1)
            chance = scaled.exp()
            mean = (chance * logits[0]).sum(-1)
            there = targets[0][:, None]
            sums[0] -= scaled.gather(1, there).double().sum()
            sums[1] += (mean - logits[0].gather(1, there)[:, 0]).double().sum()
            sums[2] += ((chance * logits[0].square()).sum(-1) - mean.square()).double().sum()
    value, slope, curvature = (sums / len(tokens)).tolist()
    return value, slope, curvature


def best_sharpness(
    model: TrainModel, tokens: torch.Tensor, progress: Progress | None = None
) -> tuple[float, float, float]:
    """Return the sharpness of least cost, by Newton's method, and the mean costs in nats before and after."""
    sharpness, costs = 1.0, list[float]()
    for _ in range(STEPS):
        value, slope, curvature = cost(model, tokens, sharpness, progress)
        costs.append(value)
        step = slope / curvature
        if abs(step) < 1e-3 * sharpness:
            break
        # Half at most: the first step from a model that is far off would overshoot.
        sharpness = max(sharpness - step, sharpness / 2)
    return sharpness, costs[0], costs[-1]


def calibrate(checkpoint: Path, text: Path, output: Path, progress: Progress | None = None) -> Calibration:
    """Find the temperature that suits a text best and write the model with it.

    Parameters
    ----------
    checkpoint
        Folder of a trained model.
    text
        That it was not trained on, UTF-8 or .xz of it.
    output
        Folder to write; it may be the same.
    progress
        Called again and again from the text's begin to its end.
    """
    source, codec = Checkpoint(checkpoint), TextCodec.from_folder(checkpoint)
    tokens = torch.tensor(codec.encode(characters := read_text(text)))
    weights = {name: as_tensor(source.stored(name)) for name in source.names()}
    model = TrainModel(source.config).eval()
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    sharpness, *costs = best_sharpness(model, tokens, progress)
    weights[LAST_GAIN] = (weights[LAST_GAIN].float() * sharpness).to(weights[LAST_GAIN].dtype)
    write_checkpoint(output, source.config, weights)
    if output.resolve() != checkpoint.resolve():
        write_bytes(output / TOKENIZER, (checkpoint / TOKENIZER).read_bytes())
    return Calibration(1 / sharpness, *(len(tokens) * nats / math.log(2) / len(characters) for nats in costs))
