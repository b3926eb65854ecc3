# SPDX-License-Identifier: Apache-2.0
"""Train small models with ternary weights, teach them with others, and calibrate them; needs PyTorch.

Example: tritforge train model --corpus tales.txt --val other.txt -o build/tales --minutes 20
"""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.files import check_writable, make_folder
from tritforge.golden.train.recipe import Recipe
from tritforge.host.cli.console import err, out, print_json, progress
from tritforge.host.cli.options import Json


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


Texts = "UTF-8 or .xz of it"
DeviceKind = Annotated[Device, typer.Option("--device", help="Where to compute; auto: on a GPU if there is one.")]
Compiled = Annotated[bool, typer.Option("--compile/--no-compile", help="Compile the model first; pays on a GPU.")]


def model(
    corpus: Annotated[Path, typer.Option(help=f"Text to train on, {Texts}, one paragraph a line.", metavar="FILE")],
    val: Annotated[
        Path, typer.Option(help=f"Text that decides which checkpoint is the best, {Texts}.", metavar="FILE")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the best checkpoint.", metavar="DIR")],
    hidden: Annotated[int, typer.Option(help="Size of the model's vectors.")] = 256,
    layers: Annotated[int, typer.Option(help="Its layers.")] = 6,
    intermediate: Annotated[int, typer.Option(help="Size of the vectors between gate, up and down.")] = 768,
    vocab: Annotated[int, typer.Option(help="Pieces of the tokenizer that is made of the corpus.")] = 1024,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes.")] = None,
    batch: Annotated[int, typer.Option(help="Texts side by side in a step.")] = Recipe.batch,
    window: Annotated[int, typer.Option(help="Tokens of each in a step.")] = Recipe.window,
    lr: Annotated[float, typer.Option(help="Highest learning rate.")] = Recipe.lr,
    decay: Annotated[float, typer.Option(help="Weight decay of the matrices.")] = Recipe.decay,
    settle: Annotated[
        float, typer.Option(help="Share of the run, at its end, in which the ternary matrices rest.")
    ] = Recipe.settle,
    muon: Annotated[
        bool, typer.Option("--muon", help="Step the matrices of the layers with Muon, not AdamW.")
    ] = Recipe.muon,
    drop: Annotated[float, typer.Option(help="Dropout.")] = Recipe.drop,
    noise: Annotated[
        float, typer.Option(help="Share of the tokenizer's merges that copies of the corpus skip; 0: no copies.")
    ] = Recipe.noise,
    seed: Annotated[int, typer.Option(help="Of weights, windows and dropout.")] = Recipe.seed,
    plain: Annotated[
        bool, typer.Option("--plain", help="Train a teacher in bfloat16, not quantised.")
    ] = Recipe.plain,
    labelled: Annotated[
        list[Path] | None,
        typer.Option(help="Train on what train dream wrote instead of the corpus; repeatable.", metavar="FILE"),
    ] = None,
    every: Annotated[int, typer.Option(help="Steps between evaluations.")] = Recipe.every,
    device: DeviceKind = Device.AUTO,
    compiled: Compiled = False,
    init: Annotated[
        Path | None, typer.Option(help="Begin with the weights of this checkpoint.", metavar="DIR")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Where the run's state is kept; build/OUTPUT.train.pt if not given.", metavar="FILE"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the state.")] = False,
    as_json: Json = False,
) -> None:
    """Train a MatMul-free language model on a text and keep the best checkpoint.

    Give either --steps or --minutes; the learning rate falls to zero by then.

    Example: tritforge train model --corpus tales.txt --val other.txt -o build/tales --steps 2000
    """
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
    from tritforge.golden.train.train import train

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("Training", total=1.0)

        def report(share: float, line: str, kept: bool) -> None:
            if kept:
                err.print(line, highlight=False)
            else:
                bar.update(task, completed=share, description=line)

        best = train(
            config,
            recipe,
            corpus,
            val,
            output,
            labelled=labelled or (),
            init=init,
            state=state,
            resume=resume,
            device=device,
            compiled=compiled,
            report=report,
        )
    if as_json:
        print_json({"checkpoint": str(output), "bits_per_character": best, "recipe": asdict(recipe)})
    else:
        out.print(f"{output}: {best:.4f} bits per character", highlight=False)


def calibrate(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a trained model.", metavar="CHECKPOINT")],
    text: Annotated[Path, typer.Option(help=f"Text that it was not trained on, {Texts}.", metavar="FILE")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.", metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Make a model as sure of itself as it is right: find the temperature that suits a text best.

    The temperature goes into the last gain, so neither the model nor a core knows of it.

    Example: tritforge train calibrate build/tales --text other.txt -o build/calibrated
    """
    from tritforge.golden.train.calibrate import calibrate as run

    with progress(f"Reading {text}") as advance:
        found = run(checkpoint, text, output, advance)
    if as_json:
        print_json({"checkpoint": str(output), **found._asdict()})
    else:
        out.print(
            f"temperature {found.temperature:.4f}: {found.before:.4f} -> {found.after:.4f} bits per character",
            highlight=False,
        )


def dream(
    teacher: Annotated[
        list[Path],
        typer.Option(help="Folder of a trained model; repeatable, all with one tokenizer.", metavar="DIR"),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write, for --labelled of train model.", metavar="FILE")
    ],
    text: Annotated[
        Path | None, typer.Option(help=f"Label this text, {Texts}, instead of sampling one.", metavar="FILE")
    ] = None,
    streams: Annotated[int, typer.Option(help="Texts sampled, or read, at a time.", min=1)] = 8192,
    length: Annotated[int, typer.Option(help="Tokens of each sampled text.", min=1)] = 1024,
    keep: Annotated[int, typer.Option(help="Tokens kept of each distribution.", min=2)] = 32,
    plain: Annotated[bool, typer.Option("--plain", help="The teachers were trained with --plain.")] = False,
    seed: Annotated[int, typer.Option(help="Of the choices.")] = 0,
    device: DeviceKind = Device.AUTO,
    compiled: Compiled = False,
    as_json: Json = False,
) -> None:
    """Sample a text from trained models together, or label one, with what they expect at every token.

    Example: tritforge train dream --teacher build/a --teacher build/b -o build/dream.lab
    """
    make_folder(output.parent)
    check_writable(output)
    from tritforge.golden.train.dream import dream as run

    with progress(f"Labelling {text}" if text else "Dreaming") as advance:
        found = run(
            teacher,
            text,
            streams=streams,
            length=length,
            keep=keep,
            plain=plain,
            seed=seed,
            device=device,
            compiled=compiled,
            progress=advance,
        )
    found.save(output)
    if as_json:
        print_json({"file": str(output), "tokens": len(found.tokens)})
    else:
        out.print(f"{output}: {len(found.tokens):,} tokens", highlight=False)
