# SPDX-License-Identifier: Apache-2.0
"""The command that makes a checkpoint for shapes that nobody has trained, or whose weights are not at hand."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table

from golden.config import CONFIG, PUBLISHED, ModelConfig
from golden.synthetic import write_random_checkpoint
from host.console import Json, out, print_json, progress
from host.image import config_shape

_NAMES = ", ".join(PUBLISHED)


def random_checkpoint(
    shape: Annotated[
        str,
        typer.Option(help=f"{_NAMES}, or hidden,layers,intermediate,vocab.", metavar="SHAPE"),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.", metavar="DIR")],
    seed: Annotated[int, typer.Option(help="Of the weights.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Write a checkpoint with random BF16 weights in the public layout, to try a shape at its full size.

    It has no tokenizer: pack it, or run it with logits.

    Example: tritforge random-checkpoint --shape 370M -o build/370M
    """
    config, started = parse_shape(shape), time.perf_counter()
    if (output / CONFIG).exists():
        raise ValueError(f"{output} already holds a checkpoint; name another folder.")
    with progress(f"Writing {output}") as advance:
        paths = write_random_checkpoint(output, config, seed, torch.bfloat16, advance)
    files = {path.name: path.stat().st_size for path in paths}
    facts = {
        "checkpoint": str(output),
        "model": asdict(config_shape(config)),
        "parameters": config.parameters(),
        "seed": seed,
        "files": files,
        "seconds": time.perf_counter() - started,
    }
    if as_json:
        print_json(facts)
        return
    table = Table("file", "bytes")
    for name, size in files.items():
        table.add_row(name, f"{size:,}")
    out.print(table)
    out.print(f"{output}: {config.parameters():,} parameters in {facts['seconds']:.1f} s", highlight=False)


def parse_shape(text: str) -> ModelConfig:
    """The model of a published name or of four dimensions; ValueError for anything else."""
    if text in PUBLISHED:
        return PUBLISHED[text]
    try:
        hidden, layers, intermediate, vocab = map(int, text.split(","))
    except ValueError:
        raise ValueError(
            f"--shape takes {_NAMES}, or hidden,layers,intermediate,vocab such as 1024,24,2816,32000, not '{text}'."
        ) from None
    return ModelConfig(hidden, layers, intermediate, vocab)
