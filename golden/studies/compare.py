# SPDX-License-Identifier: Apache-2.0
"""How far variants of a model are from its float32 reference."""

from typing import Protocol

import torch
from torch import Tensor

from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.text import TextCodec, bits_per_character
from tritforge.golden.model.integer import IntegerLogits
from tritforge.golden.model.reference import ReferenceModel

TOKENS = 256
"""Random ones, if nothing else is said."""
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
