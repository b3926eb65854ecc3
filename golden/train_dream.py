# SPDX-License-Identifier: Apache-2.0
"""Text sampled from an ensemble of trained models: `python -m golden.train_dream --help`.

Several models agree better with unseen text than any one of them. A model trained on their text besides
the corpus takes over much of that, and overfits the corpus less.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import torch
import typer
from rich.console import Console
from rich.progress import track

from golden.checkpoint import Checkpoint
from golden.text import TOKENIZER, TextCodec
from golden.train_model import TrainModel, pick_device


@torch.no_grad()
def dream(models: Sequence[TrainModel], streams: int, length: int, seed: int) -> torch.Tensor:
    """Return int64 [streams, length]: what follows bos under the mean of the models' distributions."""
    device = models[0].model.embeddings.weight.device
    random = torch.Generator(device).manual_seed(seed)
    token = torch.full((streams, 1), models[0].config.bos, device=device)
    states: list[torch.Tensor | None] = [None] * len(models)
    tokens = []
    for _ in track(range(length), "dreaming", disable=not Console().is_terminal):
        chance = torch.zeros(1, device=device)
        for n, model in enumerate(models):
            logits, states[n] = model(token, states[n])
            chance = chance + logits[:, -1].softmax(-1)
        token = torch.multinomial(chance, 1, generator=random)
        tokens.append(token)
    return torch.cat(tokens, 1)


def whole_paragraphs(text: str) -> str:
    """Return `text` up to its last newline."""
    return text[: text.rfind("\n") + 1]


def main(
    teacher: Annotated[list[Path], typer.Option(help="Folder of a trained model; all with one tokenizer.")],
    out: Annotated[Path, typer.Option(help="Text file to write.")],
    streams: int = 8192,
    length: Annotated[int, typer.Option(help="Tokens of each stream.")] = 1024,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    compiled: Annotated[bool, typer.Option("--compile/--no-compile")] = False,
) -> None:
    """Sample text from trained models together."""
    torch.set_float32_matmul_precision("high")
    models = []
    try:
        for checkpoint in map(Checkpoint, teacher):
            model = TrainModel(checkpoint.config).to(pick_device(device)).eval()
            model.load_state_dict({name: checkpoint.tensor(name) for name in checkpoint.names()})
            models.append(model)
        codec = TextCodec.from_folder(teacher[0])
        if len({(folder / TOKENIZER).read_bytes() for folder in teacher}) > 1:
            raise ValueError("The teachers have different tokenizers; take models trained on one corpus.")
    except ValueError as error:
        Console().print(f"[red]Error:[/red] {error}")
        raise typer.Exit(2) from error
    for model in models if compiled else ():
        model.compile_parts()
    rows = dream(models, streams, length, seed).tolist()
    texts = codec.tokenizer.decode_batch(rows, skip_special_tokens=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".tmp")
    temporary.write_text("".join(map(whole_paragraphs, texts)))
    os.replace(temporary, out)


if __name__ == "__main__":
    typer.run(main)
