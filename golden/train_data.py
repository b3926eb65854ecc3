# SPDX-License-Identifier: Apache-2.0
"""Training text: files, the tokenizer made from them, and random windows."""

import json
import lzma
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from golden.text import TextCodec

SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
SPACE = "▁"


def read_text(path: Path) -> str:
    """Read a UTF-8 text, or one compressed as .xz; raise ValueError where there is none."""
    try:
        data = path.read_bytes()
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no readable text ({error}); give a .txt or .txt.xz in UTF-8.") from error
    if not text:
        raise ValueError(f"{path} is empty; give a file with text.")
    return text


def train_tokenizer(text: str, vocab: int) -> Tokenizer:
    """Return a byte-pair tokenizer of `vocab` pieces, laid out as LLaMA's: specials, bytes, pieces.

    Spaces belong to the word after them; newlines, punctuation and words do not merge with one
    another. Decoding gives the text back exactly.
    """
    room = vocab - len(SPECIAL) - len(BYTES)
    if room < len(set(text)):
        raise ValueError(f"A vocabulary of {vocab} has no room for the text's characters; give 512 or more.")
    tokenizer = _assemble(models.BPE())
    trainer = trainers.BpeTrainer(vocab_size=room, show_progress=False)
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    pieces = (*SPECIAL, *BYTES, *sorted(learnt["vocab"], key=learnt["vocab"].get))
    final = _assemble(
        models.BPE(
            vocab={piece: n for n, piece in enumerate(pieces)},
            merges=[tuple(pair) for pair in learnt["merges"]],
            unk_token=SPECIAL[0],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    final.add_special_tokens(list(SPECIAL))
    return final


def _assemble(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?[A-Za-z]+|\n| ?[^A-Za-z\n ]+| "), "isolated"),
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="never", split=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


class Windows:
    """Random windows of a text, each from a fresh state: bos, then `window` tokens of the stream.

    Half of them begin with a paragraph, so that a prompt after bos is nothing new to the model.

    Parameters
    ----------
    tokens
        int64 [N], the corpus, on the device that trains.
    newline
        The token that ends a paragraph.
    bos
        The token before each window.
    batch, window
        B and T.
    seed
        With the step number it decides the windows, so a resumed run sees what it would have seen.
    """

    def __init__(self, tokens: torch.Tensor, newline: int, bos: int, batch: int, window: int, seed: int):
        if len(tokens) <= window:
            raise ValueError(f"The corpus has {len(tokens)} tokens, too few for a window of {window}.")
        self._tokens, self._bos = tokens, bos
        self._batch, self._window, self._seed = batch, window, seed
        starts = (tokens[: len(tokens) - window] == newline).nonzero().flatten() + 1
        self._paragraphs = torch.cat((starts.new_zeros(1), starts)).cpu()

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the inputs and targets [B, T] of a step."""
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        anywhere = torch.randint(len(self._tokens) - self._window, (self._batch,), generator=random)
        pick = torch.randint(len(self._paragraphs), (self._batch // 2,), generator=random)
        anywhere[: len(pick)] = self._paragraphs[pick]
        at = anywhere.to(self._tokens.device)[:, None] + torch.arange(
            self._window, device=self._tokens.device
        )
        targets = self._tokens[at]
        bos = targets.new_full((self._batch, 1), self._bos)
        return torch.cat((bos, targets[:, :-1]), 1), targets


def stream(tokens: torch.Tensor, bos: int, window: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield inputs and targets [1, T] of consecutive windows of `tokens`, the first begun by bos."""
    inputs = torch.cat((tokens.new_tensor([bos]), tokens[:-1]))
    for start in range(0, len(tokens), window):
        yield inputs[None, start : start + window], tokens[None, start : start + window]


def encode_lines(codec: TextCodec, text: str) -> list[int]:
    """Return the ids of `text`, encoded line by line in parallel: no piece spans a newline."""
    return [token for line in codec.encode_batch(text.splitlines(keepends=True)) for token in line]
