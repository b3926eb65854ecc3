# SPDX-License-Identifier: Apache-2.0
"""A training run from its files: texts, the tokenizer made of them, the checkpoint to begin with, the best one."""

from collections.abc import Sequence
from pathlib import Path

import torch

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.checkpoints.text import TOKENIZER, TextCodec
from tritforge.golden.files import make_folder, replacing
from tritforge.golden.train.corpus import Labelled, read_text, train_tokenizer
from tritforge.golden.train.loop import Report, Trainer
from tritforge.golden.train.network import pick_device
from tritforge.golden.train.recipe import Recipe


def train(
    config: ModelConfig,
    recipe: Recipe,
    corpus: Path,
    validation: Path,
    output: Path,
    *,
    labelled: Sequence[Path] = (),
    init: Path | None = None,
    state: Path | None = None,
    resume: bool = False,
    device: str = "auto",
    compiled: bool = False,
    report: Report | None = None,
) -> float:
    """Train a model on a text and keep the best checkpoint; return its bits per character.

    Parameters
    ----------
    config, recipe
        The model and how to train it.
    corpus, validation
        Texts: the tokenizer is made of the first, the second decides which checkpoint is the best.
    output
        Folder for the checkpoint.
    labelled
        Texts that teachers labelled (`golden.train.dream`), to train on instead of the corpus.
    init
        A checkpoint to begin with.
    state
        File that every evaluation replaces and ``resume`` goes on from; build/OUTPUT.train.pt if not given.
    device
        "auto", "cpu" or "cuda".
    compiled
        See `Trainer`.
    report
        Told how it goes.

    Raises
    ------
    TritforgeError
        For files that are missing or do not fit one another, and for a run that diverges.
    """
    torch.set_float32_matmul_precision("high")
    text, check = read_text(corpus), read_text(validation)
    tokenizer = train_tokenizer(text, config.vocab)
    if init is not None and TextCodec.from_folder(init).tokenizer.to_str() != tokenizer.to_str():
        raise TritforgeError(f"{init} has another tokenizer; give the corpus that it was trained on.")
    make_folder(output)
    with replacing(output / TOKENIZER) as temporary:
        tokenizer.save(str(temporary))
    trainer = Trainer(
        config,
        recipe,
        Labelled.load(labelled) if labelled else text,
        check,
        TextCodec(tokenizer),
        output,
        state or Path("build") / f"{output.name}.train.pt",
        pick_device(device),
        compiled,
    )
    if init is not None:
        trainer.start_from(init)
    if resume:
        trainer.resume()
    return trainer.run(report)
