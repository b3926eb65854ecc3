# SPDX-License-Identifier: Apache-2.0
"""Text in and out of a model: tokenizer, streaming decoder, bits per character."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tokenizers import Tokenizer

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import CheckpointError, ModelConfig

if TYPE_CHECKING:
    from torch import Tensor

TOKENIZER = "tokenizer.json"
REPLACEMENT = "\ufffd"
BYTE_PIECE = 6
"""Length of a piece that stands for a byte, such as <0x0A>."""


class Model(Protocol):
    """Anything that turns token ids [T] and a state into logits [T, V] and the next state."""

    config: ModelConfig

    def forward(self, ids: "Tensor", state: "Tensor | None" = None) -> "tuple[Tensor, Tensor]": ...


class Score(NamedTuple):
    """How well a model predicts a text.

    Attributes
    ----------
    bits_per_character
        Total -log2 p of the predicted tokens over their characters in the raw text.
    perplexity
        exp of the mean -ln p per token.
    tokens, characters
        Number of each that were predicted: all of the text's, or those after the first token if there is no bos.
    """

    bits_per_character: float
    perplexity: float
    tokens: int
    characters: int


class TextCodec:
    """Text to token ids and back.

    Parameters
    ----------
    tokenizer
        With byte fallback, so that any text can be encoded. What its file still has from training, truncation,
        padding and dropout of merges, is switched off.

    Attributes
    ----------
    tokenizer
        The same.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        # In a text, "<s>" is three characters, not the token.
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        if getattr(tokenizer.model, "dropout", None):
            tokenizer.model.dropout = None
        self._special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}

    @classmethod
    def from_folder(cls, folder: Path | str) -> "TextCodec":
        """Load `tokenizer.json`; raise CheckpointError where it is missing or unreadable."""
        path = Path(folder) / TOKENIZER
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; fetch it with the checkpoint.")
        with _library(f"{path} is no readable tokenizer"):
            return cls(Tokenizer.from_file(str(path)))

    @property
    def vocab(self) -> int:
        """Number of pieces."""
        return self.tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, with no token before or after.

        TritforgeError for bytes of a command line that are no text in its encoding: Python keeps them as surrogates.
        """
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TritforgeError(
                f"The text is no valid UTF-8 (character {error.start}); give it in UTF-8."
            ) from error
        with _library("The tokenizer cannot encode the text"):
            return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: list[int]) -> str:
        """Return the text of `ids`, special tokens left out."""
        with _library("The tokenizer cannot decode the tokens"):
            return self.tokenizer.decode(ids, skip_special_tokens=True)

    def piece(self, token: int) -> str | None:
        """Return the piece of a token; None for a special or an unknown one, which `decode` leaves out."""
        piece = self.tokenizer.id_to_token(token)
        return None if piece in self._special else piece

    def stream(self, prompt: Iterable[int] = ()) -> "TextStream":
        """Return a decoder of the tokens after `prompt`, one by one."""
        return TextStream(self, prompt)


class TextStream:
    """Decodes tokens as they come: what it returns, put together, is what decoding them all at once gives.

    The library's own `DecodeStream` raises where a later token changes an earlier one's text: a run of byte pieces
    is text if it is UTF-8 as a whole and so many replacement characters if not. So a run is held back to its end.

    Parameters
    ----------
    codec
        Decodes.
    prompt
        The tokens before; the text of the others goes on after as many characters as `prompt` alone has.
    """

    CONTEXT = 8
    """Tokens decoded again before new ones: more than the bytes of a character, each of which may be a token."""

    def __init__(self, codec: TextCodec, prompt: Iterable[int] = ()):
        self._codec = codec
        self._window = [token for token in prompt if codec.piece(token) is not None]
        run = sum(1 for _ in takewhile(self._is_byte, reversed(self._window)))
        self._window = self._window[-run - self.CONTEXT :]
        self._shown = len(self._codec.decode(self._window))

    def push(self, token: int) -> str:
        """Return the text that a token completes; empty inside a run of bytes or a character."""
        if self._codec.piece(token) is None:
            return ""
        self._window.append(token)
        if self._is_byte(token):
            return ""
        settled = self._settled()
        text = self._take(settled)
        if len(self._window) > 2 * self.CONTEXT:
            self._window = self._window[-self.CONTEXT :]
            self._shown += len(self._settled()) - len(settled)
        return text

    def flush(self) -> str:
        """Return what was held back, at the end."""
        return self._take(self._codec.decode(self._window))

    def _take(self, text: str) -> str:
        new = text[self._shown :]
        self._shown = max(self._shown, len(text))
        return new

    def _settled(self) -> str:
        """The window's text without a last replacement character, which may be a character's beginning."""
        return self._codec.decode(self._window).removesuffix(REPLACEMENT)

    def _is_byte(self, token: int) -> bool:
        piece = self._codec.piece(token)
        return (
            piece is not None
            and len(piece.encode()) == BYTE_PIECE
            and piece.startswith("<0x")
            and piece.endswith(">")
        )


@contextmanager
def _library(what: str) -> Iterator[None]:
    """Make a sentence of what the library raises: nothing narrower than Exception, and a panic is not even that."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise CheckpointError(f"{what} ({error}); fetch tokenizer.json again.") from error


def bits_per_character(
    model: Model,
    codec: TextCodec,
    text: str,
    window: int = 512,
    progress: Callable[[int, int], None] | None = None,
) -> Score:
    """Score `text` as one stream: begin with bos, or the text's own first token, and carry the state to the end.

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
        For a text that is empty, too short or has a token outside the model's vocabulary.
    """
    import torch  # a host that only needs the tokenizer does without

    ids, characters, vocab = codec.encode(text), len(text), model.config.vocab
    if not ids:
        raise TritforgeError("There is no text to score; give a file that holds some.")
    if max(ids) >= vocab:
        raise TritforgeError(
            f"The text has token {max(ids)}, but the model's vocabulary 0 to {vocab - 1}; take the model's tokenizer."
        )
    if model.config.bos is None:
        characters -= len(codec.decode(ids[:1]))
    else:
        ids = [model.config.bos, *ids]
    if len(ids) < 2:
        raise TritforgeError("A text of one token cannot be scored by a model without bos; give a longer one.")
    inputs, targets = torch.tensor(ids[:-1]), torch.tensor(ids[1:])
    state, nats = None, 0.0
    for start in range(0, len(targets), window):
        part = slice(start, start + window)
        logits, state = model.forward(inputs[part], state)
        nats += torch.nn.functional.cross_entropy(logits.double(), targets[part], reduction="sum").item()
        if progress is not None:
            progress(min(start + window, len(targets)), len(targets))
    bits = nats / math.log(2) / max(characters, 1)
    return Score(bits, math.exp(nats / len(targets)), len(targets), characters)
