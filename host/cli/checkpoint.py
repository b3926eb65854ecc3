# SPDX-License-Identifier: Apache-2.0
"""Commands that make checkpoints: of random weights, and of weights stored as trits times scale."""

import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from tritforge.golden import TritforgeError
from tritforge.golden.arrays import BFLOAT16
from tritforge.golden.checkpoints.config import CONFIG
from tritforge.golden.checkpoints.preternary import write_preternary
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.host.cli.console import by_kind, heed, out, print_json, progress
from tritforge.host.cli.options import LARGEST_SEED, SHAPES, Json, parse_shape
from tritforge.hw.schedule import Shape


class Precision(StrEnum):
    """A type of stored weights (`golden.arrays.STORED`)."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


def random_checkpoint(
    shape: Annotated[str, typer.Option(help=f"{SHAPES}.", metavar="SHAPE")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.", metavar="DIR")],
    seed: Annotated[int, typer.Option(help="Of the weights.", min=0, max=LARGEST_SEED)] = 0,
    as_json: Json = False,
) -> None:
    """Write a checkpoint with random BF16 weights in the public layout, to try a shape at its full size.

    It has no tokenizer: pack it, or run it with logits.

    Example: tritforge random-checkpoint --shape 370M -o build/370M
    """
    from tritforge.golden.checkpoints.synthetic import write_random_checkpoint

    config, started = parse_shape(shape), time.perf_counter()
    if (output / CONFIG).exists():
        raise TritforgeError(f"{output} already holds a checkpoint; name another folder.")
    with progress(f"Writing {output}") as advance:
        paths = write_random_checkpoint(output, config, seed, BFLOAT16, advance)
    files = {path.name: path.stat().st_size for path in paths}
    facts = {
        "checkpoint": str(output),
        "model": asdict(Shape.of(config)),
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


def ternarise(
    checkpoint: Annotated[Path, typer.Argument(help="A folder in the public layout.", metavar="CHECKPOINT")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.", metavar="DIR")],
    precision: Annotated[
        Precision | None,
        typer.Option("--dtype", help="How to store the values; as the checkpoint does if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a checkpoint anew with every ternary weight as trits times scale, in the public layout.

    Loading it gives the same trits; with --dtype float32 also the same scales, so the same logits bit for bit.
    In 16 bits each scale rounds once. An already ternary checkpoint keeps what it has.

    Example: tritforge ternarise models/tales -o build/tales-ternary --dtype float32
    """
    started = time.perf_counter()
    source, dtype = Checkpoint(checkpoint), np.dtype(precision) if precision else None
    warnings = heed(source.warnings)
    with progress(f"Writing {output}") as advance:
        tensors, paths = write_preternary(source, output, dtype, advance)
    files, seconds = {path.name: path.stat().st_size for path in paths}, time.perf_counter() - started
    if as_json:
        facts = {"checkpoint": str(output), "tensors": [asdict(t) for t in tensors], "files": files}
        print_json({**facts, "seconds": seconds, "warnings": warnings})
        return
    table = Table("tensor", "number", "non-zeros", "largest change of a scale")
    for kind, group in by_kind(tensors).items():
        share = sum(t.nonzeros for t in group) / len(group)
        change = max(abs(t.stored / t.scale - 1) for t in group)
        table.add_row(kind, str(len(group)), f"{share:.1%}", f"{change:.2%}")
    out.print(table)
    out.print(f"{output}: {sum(files.values()):,} bytes in {seconds:.1f} s", highlight=False)
