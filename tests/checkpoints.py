# SPDX-License-Identifier: Apache-2.0
"""Small random checkpoints for tests, with a tokenizer where one is asked for."""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models

from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint

SMALL = ModelConfig(hidden=24, layers=2, intermediate=44, vocab=301)
"""No dimension is a multiple of the columns of a beat, nor the vocabulary of the rows of a block."""


def random_checkpoint(folder: Path, config: ModelConfig = SMALL, seed: int = 0, tokenizer: bool = True) -> Path:
    """Write a random checkpoint; return the folder."""
    write_random_checkpoint(folder, config, seed)
    if tokenizer:
        byte_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def byte_tokenizer() -> Tokenizer:
    """One token a byte, after unk, bos and eos."""
    pieces = ("<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)))
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
