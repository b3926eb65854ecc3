# SPDX-License-Identifier: Apache-2.0
"""Quantisation-aware training of a small model: `python -m tritforge.golden.train.command --help`."""

from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.checkpoints.text import TOKENIZER, TextCodec
from tritforge.golden.files import make_folder, replacing
from tritforge.golden.train.corpus import Labelled, read_text, train_tokenizer
from tritforge.golden.train.loop import Trainer
from tritforge.golden.train.network import pick_device
from tritforge.golden.train.recipe import Recipe


def main(
    corpus: Annotated[Path, typer.Option(help="Training text, .txt or .txt.xz, one paragraph a line.")],
    val: Annotated[Path, typer.Option(help="Validation text.")],
    out: Annotated[Path, typer.Option(help="Folder for the best checkpoint.")],
    hidden: int = 256,
    layers: int = 6,
    intermediate: int = 768,
    vocab: int = 1024,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes.")] = None,
    batch: int = Recipe.batch,
    window: int = Recipe.window,
    lr: float = Recipe.lr,
    decay: float = Recipe.decay,
    settle: Annotated[
        float, typer.Option(help="Share of the run, at its end, in which the ternary matrices rest.")
    ] = Recipe.settle,
    muon: Annotated[bool, typer.Option(help="Step the matrices of the layers with Muon, not AdamW.")] = Recipe.muon,
    drop: float = Recipe.drop,
    noise: float = Recipe.noise,
    seed: int = Recipe.seed,
    plain: Annotated[bool, typer.Option(help="Train a teacher in bfloat16, not quantised.")] = Recipe.plain,
    labelled: Annotated[
        list[Path] | None,
        typer.Option(help="Train on this file of tritforge.golden.train.dream instead of the corpus; repeatable."),
    ] = None,
    every: Annotated[int, typer.Option(help="Steps between evaluations.")] = Recipe.every,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    compiled: Annotated[bool, typer.Option("--compile/--no-compile")] = False,
    init: Annotated[Path | None, typer.Option(help="Begin with the weights of this checkpoint.")] = None,
    state: Annotated[Path | None, typer.Option(help="State file [build/OUT.train.pt].")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the state file.")] = False,
) -> None:
    """Train a MatMul-free language model on a text and keep the best checkpoint."""
    console = Console(soft_wrap=True)
    torch.set_float32_matmul_precision("high")
    try:
        recipe = Recipe(
            steps,
            minutes,
            batch,
            window,
            lr,
            decay=decay,
            settle=settle,
            muon=muon,
            drop=drop,
            noise=noise,
            plain=plain,
            seed=seed,
            every=every,
        )
        config = ModelConfig(hidden, layers, intermediate, vocab)
        train, validation = read_text(corpus), read_text(val)
        tokenizer = train_tokenizer(train, vocab)
        if init is not None and TextCodec.from_folder(init).tokenizer.to_str() != tokenizer.to_str():
            raise TritforgeError(f"{init} has another tokenizer; give the corpus that it was trained on.")
        make_folder(out)
        with replacing(out / TOKENIZER) as temporary:
            tokenizer.save(str(temporary))
        trainer = Trainer(
            config,
            recipe,
            Labelled.load(labelled) if labelled else train,
            validation,
            TextCodec(tokenizer),
            out,
            state or Path("build") / f"{out.name}.train.pt",
            pick_device(device),
            compiled,
        )
        if init is not None:
            trainer.start_from(init)
        if resume:
            trainer.resume()
        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console) as progress:
            trainer.run(progress)
    except TritforgeError as error:
        console.print(f"[red]Error:[/red] {escape(str(error))}")
        raise typer.Exit(2) from error


if __name__ == "__main__":
    typer.run(main)
