# SPDX-License-Identifier: Apache-2.0
"""A model as sure as it is right: `python -m tritforge.golden.train.calibrate --help`.

What learnt a text by heart, or from teachers who did, is too sure of itself on other texts. Dividing its logits by a
temperature mends that. Logits are proportional to the last gain (the int8 codes are the same whatever its scale), so
the temperature goes into that gain, and neither model nor core knows of it.
"""

import math
import shutil
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from tritforge.golden import TritforgeError
from tritforge.golden.arrays import as_tensor
from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint
from tritforge.golden.checkpoints.text import TOKENIZER, TextCodec
from tritforge.golden.train.corpus import read_text, stream
from tritforge.golden.train.network import TrainModel

LAST_GAIN = "lm_head.norm.weight"
WINDOW = 4096
STEPS = 20
"""Newton steps at most; the cost is convex in the sharpness, 1/temperature, so three are usual."""


def cost(model: TrainModel, tokens: torch.Tensor, sharpness: float, quiet: bool = True) -> tuple[float, float, float]:
    """Return the mean cost in nats of `tokens` [N] with all logits times `sharpness`, and its two derivatives."""
    sums, state = torch.zeros(3, dtype=torch.float64), None
    windows = list(stream(tokens, model.bos, WINDOW))
    with torch.inference_mode():
        for inputs, targets in track(windows, f"sharpness {sharpness:.4f}", disable=quiet, transient=True):
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


def best_sharpness(model: TrainModel, tokens: torch.Tensor, quiet: bool = True) -> tuple[float, float, float]:
    """Return the sharpness of least cost, by Newton's method, and the mean costs in nats before and after."""
    sharpness, costs = 1.0, list[float]()
    for _ in range(STEPS):
        value, slope, curvature = cost(model, tokens, sharpness, quiet)
        costs.append(value)
        step = slope / curvature
        if abs(step) < 1e-3 * sharpness:
            break
        # Half at most: the first step from a model that is far off would overshoot.
        sharpness = max(sharpness - step, sharpness / 2)
    return sharpness, costs[0], costs[-1]


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    text: Annotated[Path, typer.Option(help="Text that it was not trained on.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
) -> None:
    """Find the temperature that suits a text best and write the model with it."""
    console = Console()
    try:
        source, codec = Checkpoint(checkpoint), TextCodec.from_folder(checkpoint)
        tokens = torch.tensor(codec.encode(characters := read_text(text)))
        weights = {name: as_tensor(source.stored(name)) for name in source.names()}
    except TritforgeError as error:
        console.print(f"[red]Error:[/red] {escape(str(error))}")
        raise typer.Exit(2) from error
    model = TrainModel(source.config).eval()
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    sharpness, *costs = best_sharpness(model, tokens, not console.is_terminal)
    weights[LAST_GAIN] = (weights[LAST_GAIN].float() * sharpness).to(weights[LAST_GAIN].dtype)
    write_checkpoint(out, source.config, weights)
    if out.resolve() != checkpoint.resolve():
        shutil.copyfile(checkpoint / TOKENIZER, out / TOKENIZER)
    before, after = (len(tokens) * nats / math.log(2) / len(characters) for nats in costs)
    console.print(f"temperature {1 / sharpness:.4f}: {before:.4f} -> {after:.4f} bits per character")


if __name__ == "__main__":
    typer.run(main)
