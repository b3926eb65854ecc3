# SPDX-License-Identifier: Apache-2.0
"""What storing ternary weights again and again does to a model: ``python -m golden.repeated CHECKPOINT``.

*Kept*: values that are already -s, 0 and s keep s. *Mean again*: the scale is the mean magnitude of whatever is
found, as for latent weights, so it shrinks by the share of non-zeros each time.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from golden.checkpoint import Checkpoint
from golden.preternary import dequantise
from golden.reference import ReferenceModel
from golden.ternary import STORED, Ternary, ternarise, ternarise_latent
from golden.text import TextCodec, bits_per_character
from golden.train_data import read_text

Step = Callable[[Ternary], Ternary]
TOKENS = 256


def keep(dtype: torch.dtype, ternary: Ternary) -> Ternary:
    """Store trits times scale in a type and load them."""
    return ternarise(dequantise(ternary, dtype))


def mean_again(ternary: Ternary) -> Ternary:
    """Store trits times scale in float32 and take them for latent weights."""
    trits, scale = ternarise_latent(dequantise(ternary, torch.float32))
    return Ternary(trits.to(torch.int8), scale.item())


ROUTES: dict[str, Step] = {f"kept, {str(t).removeprefix('torch.')}": partial(keep, t) for t in STORED}
ROUTES["mean again"] = mean_again


def repeated(model: ReferenceModel, step: Step, times: int) -> ReferenceModel:
    """A copy of the model whose products went through ``step`` so many times."""
    linears = dict(model.linears)
    for _ in range(times):
        linears = {name: step(ternary) for name, ternary in linears.items()}
    return ReferenceModel(model.config, model.tensors, linears)


def measure(checkpoint: Checkpoint, times: list[int], text: str | None) -> list[dict[str, float | str]]:
    """For every route and number of times: scales, logits on random tokens, and bits per character of a text."""
    model = ReferenceModel.from_checkpoint(checkpoint)
    ids = torch.randint(model.config.vocab, (TOKENS,), generator=torch.Generator().manual_seed(0))
    expected, _ = model.forward(ids)
    codec = TextCodec.from_folder(checkpoint.folder) if text else None

    def row(name: str, count: int, found: ReferenceModel) -> dict[str, float | str]:
        logits, _ = found.forward(ids)
        ratios = Tensor([found.linears[n].scale / ternary.scale for n, ternary in model.linears.items()])
        facts = {
            "route": name,
            "times": count,
            "mean scale left": ratios.mean().item(),
            "rms logit error": ((logits - expected).square().mean() / expected.square().mean()).sqrt().item(),
            "equal argmaxes": (logits.argmax(-1) == expected.argmax(-1)).double().mean().item(),
        }
        if text:
            facts["bits per character"] = bits_per_character(found, codec, text).bits_per_character
        return facts

    rows = [row("as it is", 0, model)]
    return rows + [row(name, n, repeated(model, step, n)) for name, step in ROUTES.items() for n in times]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a checkpoint")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 3], help="how often to store and load")
    parser.add_argument("--text", type=Path, help="a text to score, UTF-8 or .xz of it")
    parser.add_argument("--characters", type=int, default=8000, help="how many of its first characters")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    text = read_text(given.text)[: given.characters] if given.text else None
    rows = measure(Checkpoint(given.folder), given.times, text)
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
