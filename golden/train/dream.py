# SPDX-License-Identifier: Apache-2.0
"""Text with an ensemble's expectations at every token.

Several models agree better with unseen text than any one of them. A model that learns their probabilities, on text
sampled from them and on the corpus, takes over most of that, and has more text than it can overfit.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.text import TOKENIZER, TextCodec
from tritforge.golden.train.corpus import Labelled, neighbours, read_text
from tritforge.golden.train.network import TrainModel, pick_device

WINDOW = 256
"""Tokens that are read at a time."""

Progress = Callable[[int, int], None]
"""Told the tokens of each text that are done, and their number."""


class Ensemble:
    """The mean of several models' distributions.

    Parameters
    ----------
    models
        In evaluation mode, with one vocabulary.
    keep
        Number K of tokens to keep of each distribution.
    seed
        Of the random choices.
    pairs
        bool [V, V], which piece may follow which (`golden.train.corpus.neighbours`); the models' chances of all
        others, which they have from copies of their corpus with skipped merges, go to these. Without it, any.
    """

    def __init__(self, models: Sequence[TrainModel], keep: int, seed: int, pairs: torch.Tensor | None = None):
        self._models, self._keep = models, keep
        self._device = models[0].model.embeddings.weight.device
        self._random = torch.Generator(self._device).manual_seed(seed)
        self._pairs = None if pairs is None else pairs.to(self._device)

    @torch.no_grad()
    def dream(self, streams: int, length: int, progress: Progress | None = None) -> Labelled:
        """Return `streams` texts sampled after bos, `length` tokens each, tensors [streams, length, ...]."""
        token = torch.full((streams, 1), self._models[0].bos, device=self._device)
        read, steps = self._reader(), []
        for done in range(length):
            if progress:
                progress(done, length)
            chance = read(token)[:, 0]
            token = torch.multinomial(chance, 1, generator=self._random)
            steps.append([part.cpu() for part in (token[:, 0], *self._shortened(chance))])
        return Labelled(*(torch.stack(parts, 1) for parts in zip(*steps, strict=True)))

    @torch.no_grad()
    def label(self, tokens: torch.Tensor, streams: int, progress: Progress | None = None) -> Labelled:
        """Return `tokens` [N] labelled, up to a multiple of `streams`: read as so many texts side by side."""
        inputs = torch.cat((tokens.new_tensor([self._models[0].bos]), tokens[:-1]))
        rows = inputs[: len(inputs) // streams * streams].view(streams, -1)
        read, steps = self._reader(), []
        for index, window in enumerate(rows.split(WINDOW, 1)):
            if progress:
                progress(index * WINDOW, rows.shape[1])
            chance = read(window.to(self._device))
            steps.append([part.cpu().view(*window.shape, -1) for part in self._shortened(chance.flatten(0, 1))])
        parts = (torch.cat(parts, 1).flatten(0, 1) for parts in zip(*steps, strict=True))
        return Labelled(tokens[: rows.numel()], *parts)

    def _reader(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return a function from tokens [B, T], the next of each stream, to chances [B, T, V]."""
        states: list[torch.Tensor | None] = [None] * len(self._models)

        def read(tokens: torch.Tensor) -> torch.Tensor:
            chance = torch.zeros(1, device=self._device)
            for n, model in enumerate(self._models):
                logits, states[n] = model(tokens, states[n])
                chance = chance + logits.softmax(-1) / len(self._models)
            if self._pairs is None:
                return chance
            chance = chance * self._pairs[tokens]
            return chance / chance.sum(-1, keepdim=True)

        return read

    def _shortened(self, chance: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield K tokens [N, K] of each distribution [N, V] and their probabilities.

        They are the K - 1 likeliest and one drawn from the rest, which stands for all of it: so the
        gradient's expectation is that of the whole distribution.
        """
        top = chance.topk(self._keep - 1)
        rest = chance.scatter(-1, top.indices, 0.0).clamp(min=1e-30)
        drawn = torch.multinomial(rest, 1, generator=self._random)
        yield torch.cat((top.indices, drawn), -1).to(torch.int16)
        yield torch.cat((top.values, 1 - top.values.sum(-1, keepdim=True)), -1).to(torch.float16)


def whole_paragraphs(dreams: Labelled, newline: int) -> Labelled:
    """Return the texts [S, T] of a dream joined to one, each up to its last newline."""
    after = (dreams.tokens == newline).flip(1).to(torch.int8).cumsum(1).flip(1) > 0
    return Labelled(*(part[after] for part in dreams))


def dream(
    teachers: Sequence[Path],
    text: Path | None = None,
    *,
    streams: int,
    length: int,
    keep: int,
    plain: bool = False,
    seed: int = 0,
    device: str = "auto",
    compiled: bool = False,
    progress: Progress | None = None,
) -> Labelled:
    """A text that trained models sample together, or a given one, labelled by them.

    Parameters
    ----------
    teachers
        Folders of models with one tokenizer.
    text
        To label, UTF-8 or .xz of it; None samples one.
    streams, length
        Texts sampled or read at a time, and tokens of each that is sampled.
    keep, seed
        See `Ensemble`.
    plain
        Whether the teachers were trained without quantisation.
    device
        "auto", "cpu" or "cuda".
    compiled
        Whether to compile the models' parts.
    progress
        Told how far it is.

    Raises
    ------
    TritforgeError
        For models that are missing or have different tokenizers.
    """
    torch.set_float32_matmul_precision("high")
    models = []
    for checkpoint in map(Checkpoint, teachers):
        model = TrainModel(checkpoint.config, plain=plain).to(pick_device(device)).eval()
        model.load_state_dict({name: checkpoint.tensor(name) for name in checkpoint.names()})
        models.append(model)
    codec = TextCodec.from_folder(teachers[0])
    if len({(folder / TOKENIZER).read_bytes() for folder in teachers}) > 1:
        raise TritforgeError("The teachers have different tokenizers; take models trained on one corpus.")
    tokens = torch.tensor(codec.encode(read_text(text))) if text else None
    for model in models if compiled else ():
        model.compile_parts()
    ensemble = Ensemble(models, keep, seed, neighbours(codec))
    if tokens is not None:
        return ensemble.label(tokens, streams, progress)
    return whole_paragraphs(ensemble.dream(streams, length, progress), codec.encode("\n")[0])
