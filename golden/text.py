# SPDX-License-Identifier: Apache-2.0
"""Text in and out of a model: tokenizer, streaming decoder, bits per character."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from golden import TritforgeError
from golden.config import CheckpointError, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

TOKENIZER = "tokenizer.json"


class Model(Protocol):
    """Anything that turns token ids [T] and a state into logits [T, V] and the next state."""

    config: ModelConfig

    def forward(self, ids: "Tensor", state: "Tensor | None" = None) -> "tuple[Tensor, Tensor]": ...


class Score(NamedTuple):
    """How well a model predicts a text.

    Attributes
    ----------
    bits_per_character
        Total -log2 p of the tokens over the characters of the raw text.
    perplexity
        exp of the mean -ln p per token.
    tokens
        Number of tokens predicted, all of the text's.
    """

    bits_per_character: float
    perplexity: float
    tokens: int


class TextCodec:
    """Text to token ids and back.

    Parameters
    ----------
    tokenizer
        With byte fallback, so that any text can be encoded.

    Attributes
    ----------
    tokenizer
        The same.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        # In a text, "<s>" is three characters, not the token.
        self.tokenizer.encode_special_tokens = True

    @classmethod
    def from_folder(cls, folder: Path | str) -> "TextCodec":
        """Load `tokenizer.json`; raise CheckpointError where it is missing or unreadable."""
        path = Path(folder) / TOKENIZER
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; fetch it with the checkpoint.")
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # the library raises nothing narrower
            raise CheckpointError(f"{path} is no readable tokenizer ({error}); fetch it again.") from error

    @property
    def vocab(self) -> int:
        """Number of pieces."""
        return self.tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, with no token before or after."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """Return the text of `ids`, special tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def stream(self, prompt: list[int] | None = None) -> Callable[[int], str]:
        """Return a function that takes the token ids after `prompt` one by one.

        It returns the text that each completes, which is empty inside a multi-byte character.
        """
        decoder = DecodeStream(ids=prompt or [], skip_special_tokens=True)
        return lambda token: decoder.step(self.tokenizer, token) or ""


def bits_per_character(
    model: Model,
    codec: TextCodec,
    text: str,
    window: int = 512,
    progress: Callable[[int, int], None] | None = None,
) -> Score:
    """Score `text` as one stream: begin with bos and carry the state to the end.

    Parameters
    ----------
    model
        Float or integer; its logits must be in natural-log units.
    codec
        The model's tokenizer.
    text
        At least one token long.
    window
        Tokens per call of `forward`; it changes the memory needed, not the result.
    progress
        Called with the tokens done and their total after every window.

    Raises
    ------
    TritforgeError
        For an empty text.
    """
    import torch  # a host that only needs the tokenizer does without

    targets = torch.tensor(codec.encode(text), dtype=torch.int64)
    if not len(targets):
        raise TritforgeError("There is no text to score; give a file that holds some.")
    inputs = torch.cat((torch.tensor([model.config.bos]), targets[:-1]))
    state, nats = None, 0.0
    for start in range(0, len(targets), window):
        part = slice(start, start + window)
        logits, state = model.forward(inputs[part], state)
        nats += torch.nn.functional.cross_entropy(logits.double(), targets[part], reduction="sum").item()
        if progress is not None:
            progress(min(start + window, len(targets)), len(targets))
    return Score(nats / math.log(2) / len(text), math.exp(nats / len(targets)), len(targets))
