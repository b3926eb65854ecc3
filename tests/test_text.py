# SPDX-License-Identifier: Apache-2.0
"""Text survives the tokenizer, and a score does not depend on how the text was cut."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from golden import TritforgeError
from golden.checkpoint import Checkpoint, CheckpointError
from golden.reference import ReferenceModel
from golden.text import TextCodec, bits_per_character
from golden.train_data import train_tokenizer
from tests.checkpoints import byte_tokenizer, random_checkpoint

TALE = "Once upon a time, there was a king.\n'Who are you?' said the king.\n" * 20
CODEC = TextCodec(train_tokenizer(TALE, 320))


@example("<s> and <unk></s>")
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
def test_any_text_comes_back(text: str) -> None:
    assert CODEC.decode(CODEC.encode(text)) == text


@given(st.text("aé☃𝄞 k'\n"), st.text("aé☃𝄞 k'\n", min_size=1))
def test_a_stream_gives_the_text_piece_by_piece(prompt: str, text: str) -> None:
    push = CODEC.stream(CODEC.encode(prompt))
    assert "".join(map(push, CODEC.encode(text))) == text


def test_pieces_are_learnt_after_specials_and_bytes() -> None:
    assert CODEC.vocab <= 320
    assert len(CODEC.encode("upon a king")) == 3
    assert CODEC.encode("\n") == [3 + 256]
    assert CODEC.encode("\x00é") == [3, 3 + 0xC3, 3 + 0xA9]
    assert CODEC.decode([1, *CODEC.encode("king"), 2]) == "king"


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(TritforgeError, match="no room"):
        train_tokenizer(TALE, 262)


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        TextCodec.from_folder(tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ReferenceModel:
    return ReferenceModel.from_checkpoint(Checkpoint(random_checkpoint(tmp_path_factory.mktemp("model"))))


@pytest.mark.parametrize("window", [1, 7, 100])
def test_a_score_is_that_of_one_stream(model: ReferenceModel, window: int) -> None:
    codec, text, seen = TextCodec(byte_tokenizer()), "A snow☃man.", []
    score = bits_per_character(model, codec, text, window, lambda done, total: seen.append((done, total)))
    ids = codec.encode(text)
    chances = model.forward(torch.tensor([1, *ids[:-1]]))[0].double().log_softmax(-1)
    nats = -sum(row[token].item() for row, token in zip(chances, ids, strict=True))
    assert score.tokens == len(ids) == 13
    assert score.bits_per_character == pytest.approx(nats / math.log(2) / 11)
    assert score.perplexity == pytest.approx(math.exp(nats / 13))
    assert seen[-1] == (13, 13) and len(seen) == -(-13 // window)


def test_an_empty_text_has_no_score(model: ReferenceModel) -> None:
    with pytest.raises(TritforgeError, match="no text"):
        bits_per_character(model, TextCodec(byte_tokenizer()), "")
