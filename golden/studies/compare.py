# SPDX-License-Identifier: Apache-2.0
"""How far variants of a model are from its float32 reference: what `repeated` and `rows` print."""

import argparse
import json
from pathlib import Path
from typing import Protocol

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.text import TextCodec, bits_per_character
from tritforge.golden.model.integer import IntegerLogits
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.train.corpus import read_text

TOKENS = 256
Row = dict[str, float | int | str]


class Variant(Protocol):
    """A float or integer model."""

    config: ModelConfig

    def forward(self, ids: Tensor, state: Tensor | None = None) -> tuple[Tensor | IntegerLogits, Tensor]: ...


class Yardstick:
    """The reference on random tokens, and a text to score.

    Parameters
    ----------
    checkpoint
        Of the model; its tokenizer is needed for a text only.
    text
        To score; None for none.
    model
        The reference; None takes the usual one.
    tokens
        How many random ones.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        text: str | None = None,
        model: ReferenceModel | None = None,
        tokens: int = TOKENS,
    ) -> None:
        self.model = model or ReferenceModel.from_checkpoint(checkpoint)
        self._ids = torch.randint(self.model.config.vocab, (tokens,), generator=torch.Generator().manual_seed(0))
        self._expected, _ = self.model.forward(self._ids)
        self._text = (TextCodec.from_folder(checkpoint.folder), text) if text else None

    def measure(self, variant: Variant) -> Row:
        """Rms logit error over the rms of the logits, share of equal argmaxes, bits per character."""
        floats = _Floats(variant)
        logits, _ = floats.forward(self._ids)
        error = (logits - self._expected).square().mean() / self._expected.square().mean()
        equal = (logits.argmax(-1) == self._expected.argmax(-1)).double().mean()
        row: Row = {"logit error": error.sqrt().item(), "equal argmax": equal.item()}
        if self._text:
            row["bits/char"] = bits_per_character(floats, *self._text).bits_per_character
        return row


class _Floats:
    """A variant whose logits are float32."""

    def __init__(self, variant: Variant) -> None:
        self.config, self._variant = variant.config, variant

    def forward(self, ids: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        logits, state = self._variant.forward(ids, state)
        return (logits.logits() if isinstance(logits, IntegerLogits) else logits), state


def parser(what: str | None) -> argparse.ArgumentParser:
    """The arguments that all comparisons take."""
    found = argparse.ArgumentParser(description=what)
    found.add_argument("folder", type=Path, help="a checkpoint")
    found.add_argument("--text", type=Path, help="a text to score, UTF-8 or .xz of it")
    found.add_argument("--characters", type=int, default=8000, help="how many of its first characters")
    found.add_argument("--json", action="store_true", help="print JSON")
    return found


def given_text(given: argparse.Namespace) -> str | None:
    """The text to score."""
    return read_text(given.text)[: given.characters] if given.text else None


def print_rows(rows: list[Row], as_json: bool) -> None:
    """Print a table or JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(
            *(f"{v:.5g}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else v for v in row.values())
        )
    Console().print(table)
