# SPDX-License-Identifier: Apache-2.0
"""Training text: files, the tokenizer made from them, and random windows."""

import json
import lzma
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.text import TextCodec
from tritforge.golden.files import make_folder, replacing

SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
SPACE = "▁"


def read_text(path: Path) -> str:
    """Read a UTF-8 text, or one compressed as .xz; raise TritforgeError where there is none."""
    try:
        data = path.read_bytes()
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise TritforgeError(f"{path} is no readable text ({error}); give a .txt or .txt.xz in UTF-8.") from error
    if not text:
        raise TritforgeError(f"{path} is empty; give a file with text.")
    return text


def train_tokenizer(text: str, vocab: int) -> Tokenizer:
    """Return a byte-pair tokenizer of `vocab` pieces, laid out as LLaMA's: specials, bytes, pieces.

    Spaces belong to the word after them; newlines, punctuation and words do not merge with one
    another. Decoding gives the text back exactly.
    """
    room = vocab - len(SPECIAL) - len(BYTES)
    if room < len(set(text)):
        raise TritforgeError(f"A vocabulary of {vocab} has no room for the text's characters; give 512 or more.")
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
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


class Labelled(NamedTuple):
    """A text with what its teachers expected at each of N tokens.

    Attributes
    ----------
    tokens
        int64 [N].
    pieces
        int16 [N, K], likely tokens in this place.
    chances
        float16 [N, K], their probabilities; together 1.
    """

    tokens: torch.Tensor
    pieces: torch.Tensor
    chances: torch.Tensor

    def save(self, path: Path) -> None:
        """Write the file, atomically."""
        make_folder(path.parent)
        with replacing(path) as temporary:
            torch.save(self._asdict(), temporary)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> "Labelled":
        """Read files, one text after the other; raise TritforgeError for one that is none of these."""
        parts = []
        for path in paths:
            try:
                parts.append(cls(**torch.load(path, weights_only=True, mmap=True)))
            except (OSError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
                raise TritforgeError(
                    f"{path} is no labelled text ({error}); make it with tritforge train dream."
                ) from error
        return cls(*map(torch.cat, zip(*parts, strict=True)))


class Streams:
    """A batch of random streams of a text, read window by window.

    A stream begins with bos and a paragraph, goes on where its last window ended, and gives way to a
    new one at random, or at the text's end. So a model that keeps each stream's state learns both to
    begin and to go on for thousands of tokens.

    Parameters
    ----------
    tokens
        int64 [N], the corpus, on the device that trains.
    newline
        The token that ends a paragraph.
    bos
        The token before each stream.
    batch, window
        Streams, and tokens of each a step.
    seed
        With the step number it decides what begins where.
    restart
        Chance that a stream ends with a window.

    Attributes
    ----------
    at
        int64 [B], the next token of each stream: all there is to save and restore.
    """

    def __init__(
        self,
        tokens: torch.Tensor,
        newline: int,
        bos: int,
        batch: int,
        window: int,
        seed: int,
        restart: float = 0.1,
    ):
        if len(tokens) <= window:
            raise TritforgeError(f"The corpus has {len(tokens)} tokens, too few for a window of {window}.")
        self._tokens, self._bos, self._window, self._seed, self._restart = tokens, bos, window, seed, restart
        starts = (tokens[: len(tokens) - window] == newline).nonzero().flatten().cpu() + 1
        self._paragraphs = torch.cat((starts.new_zeros(1), starts))
        self.at = torch.full((batch,), len(tokens))

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return inputs [B, T] of a step, the places of their targets [B, T], and which streams are new [B]."""
        random = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        fresh = torch.rand(len(self.at), generator=random) < self._restart
        fresh |= self.at + self._window > len(self._tokens)
        pick = self._paragraphs[torch.randint(len(self._paragraphs), self.at.shape, generator=random)]
        at = torch.where(fresh, pick, self.at)
        self.at = at + self._window
        fresh, at = (value.to(self._tokens.device, non_blocking=True) for value in (fresh, at))
        targets = at[:, None] + torch.arange(self._window, device=at.device)
        inputs = self._tokens[(targets - 1).clamp(min=0)]
        inputs[:, 0] = torch.where(fresh, self._bos, inputs[:, 0])
        return inputs, targets, fresh


def stream(tokens: torch.Tensor, bos: int, window: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield inputs and targets [1, T] of consecutive windows of `tokens`, the first begun by bos."""
    inputs = torch.cat((tokens.new_tensor([bos]), tokens[:-1]))
    for start in range(0, len(tokens), window):
        yield inputs[None, start : start + window], tokens[None, start : start + window]


def encode_variants(codec: TextCodec, text: str, noise: float, noisy: int = 3) -> list[int]:
    """Return the ids of `text` and, where `noise` is not 0, of `noisy` copies of it.

    The copies skip each merge with probability `noise`, so the same words come in other pieces. Lines
    are encoded in parallel, which changes nothing: no piece spans a newline.
    """
    lines, tokenizer = text.splitlines(keepends=True), codec.tokenizer
    rows = tokenizer.encode_batch(lines, add_special_tokens=False)
    if noise:
        tokenizer.model.dropout = noise
        rows += tokenizer.encode_batch(lines * noisy, add_special_tokens=False)
        tokenizer.model.dropout = None
    return [token for row in rows for token in row.ids]


def neighbours(codec: TextCodec) -> torch.Tensor:
    """Return bool [V, V]: whether the tokenizer ever leaves piece b after piece a; row bos: whether it begins with b.

    A sequence is the encoding of its text where that is true of each two neighbours (a property of byte-pair
    encodings). Copies with skipped merges have others, and so has what a model of them samples. Bytes that are
    parts of a character may stand beside everything: alone they are no text.
    """
    tokenizer = codec.tokenizer
    texts = [tokenizer.decode([piece], skip_special_tokens=True) for piece in range(codec.vocab)]
    partial = torch.tensor(["\ufffd" in text for text in texts])
    rows = []
    for piece, text in enumerate(texts):
        before = [] if piece < len(SPECIAL) else [piece]
        encodings = tokenizer.encode_batch([text + after for after in texts], add_special_tokens=False)
        rows.append([encoding.ids == [*before, after] for after, encoding in enumerate(encodings)])
    return torch.tensor(rows) | partial | partial[:, None]
