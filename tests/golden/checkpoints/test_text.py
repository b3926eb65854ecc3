# SPDX-License-Identifier: Apache-2.0
"""Text survives the tokenizer, and a score does not depend on how the text was cut."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tests.checkpoints import SMALL, byte_tokenizer, random_checkpoint
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint, CheckpointError
from tritforge.golden.checkpoints.text import TextCodec, bits_per_character
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.train.corpus import train_tokenizer
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.hw.params import preset

TALE = "Once upon a time, there was a king.\n'Who are you?' said the king.\n" * 20
CODEC = TextCodec(train_tokenizer(TALE, 320))


@example("<s> and <unk></s>")
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁")))
def test_any_text_comes_back(text: str) -> None:
    assert CODEC.decode(CODEC.encode(text)) == text


@given(st.text("aé☃𝄞 k'\n"), st.text("aé☃𝄞 k'\n", min_size=1))
def test_a_stream_gives_the_text_piece_by_piece(prompt: str, text: str) -> None:
    stream = CODEC.stream(CODEC.encode(prompt))
    assert "".join(map(stream.push, CODEC.encode(text))) + stream.flush() == text


def byte_level() -> Tokenizer:
    """Every byte is a piece, as in GPT-2; what is no UTF-8 is replaced character by character."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={piece: index for index, piece in enumerate(pieces)}, merges=[]))
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def with_decoder(decoder: decoders.Decoder | None) -> Tokenizer:
    """The trained pieces, put together in another way."""
    tokenizer = Tokenizer.from_str(CODEC.tokenizer.to_str())
    tokenizer.decoder = decoder
    return tokenizer


LLAMA = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
CODECS = {
    "trained": CODEC,
    "bytes": TextCodec(byte_tokenizer()),
    "byte level": TextCodec(byte_level()),
    "LLaMA": TextCodec(with_decoder(decoders.Sequence(LLAMA))),
    "Metaspace": TextCodec(with_decoder(decoders.Metaspace("▁", "always"))),
    "WordPiece": TextCodec(with_decoder(decoders.WordPiece())),
    "none": TextCodec(with_decoder(None)),
}
A, Q, LEAD, TAIL, WRONG = 3 + 0x41, 3 + 0x71, 3 + 0xC3, 3 + 0xA9, 3 + 0xFF
PIECE = CODEC.vocab - 1
TOKENS = st.one_of(st.integers(0, 340), st.integers(0, 262), st.sampled_from([A, LEAD, TAIL, WRONG, 1, 2, PIECE]))


@pytest.mark.parametrize("name", CODECS)
@example([], [A, WRONG, PIECE])
@example([], [WRONG] * 60 + [A] + [WRONG] * 60)
@example([], [LEAD, 2, TAIL, PIECE, LEAD])
@example([PIECE, LEAD], [TAIL, PIECE] * 20)
@example([Q], [WRONG, PIECE])
@example([1], [341, PIECE, 5000, A])
@settings(max_examples=1000, deadline=None)
@given(st.lists(TOKENS, max_size=30), st.lists(TOKENS, max_size=60))
def test_a_stream_of_any_tokens_gives_what_decoding_them_at_once_does(
    name: str, prompt: list[int], tokens: list[int]
) -> None:
    codec = CODECS[name]
    stream = codec.stream(prompt)
    text = "".join(map(stream.push, tokens)) + stream.flush()
    assert text == codec.decode(prompt + tokens)[len(codec.decode(prompt)) :]
    assert stream.flush() == ""


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("kind", [[A], [WRONG], [PIECE], [A, WRONG, PIECE, LEAD]], ids=str)
def test_the_work_of_a_stream_is_linear(name: str, kind: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    codec, decoded = CODECS[name], 0
    decode = codec.decode

    def counting(ids: list[int]) -> str:
        nonlocal decoded
        decoded += len(ids)
        return decode(ids)

    monkeypatch.setattr(codec, "decode", counting)
    count = 4000 // len(kind)
    stream = codec.stream(kind * 25)
    for token in kind * count:
        stream.push(token)
    stream.flush()
    assert decoded < 40 * 4000


SECTIONS = {
    "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 3},
    "stride": {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 9},
    "padding": {
        **{"strategy": {"Fixed": 4096}, "direction": "Left", "pad_to_multiple_of": 8},
        **{"pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"},
    },
}


@pytest.mark.parametrize("name", [*SECTIONS, "dropout"])
def test_what_a_tokenizer_has_from_training_is_off(tmp_path: Path, name: str) -> None:
    """In a checkpoint's folder and in an image."""
    folder = random_checkpoint(tmp_path / "model", replace(SMALL, vocab=320), tokenizer=False)
    raw = json.loads(CODEC.tokenizer.to_str())
    if name == "dropout":
        raw["model"]["dropout"] = 0.5
    else:
        raw["truncation" if name == "stride" else name] = SECTIONS[name]
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    params = preset("tiny")
    pack(IntegerCheckpoint(Checkpoint(folder), params.formats), params, tmp_path / "image")
    for codec in (TextCodec.from_folder(folder), Image.open(tmp_path / "image").codec()):
        assert [codec.encode(TALE) for _ in range(3)] == [CODEC.encode(TALE)] * 3


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


UNUSABLE = {
    "a piece that is missing": ("model", {"unk_token": "none", "byte_fallback": False}, "encode the text"),
    "a panic of the library": (
        "decoder",
        {
            "type": "Sequence",
            "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "k", "start": 0, "stop": 1}],
        },
        "decode the tokens",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_tokenizer_that_fails_is_told_in_a_sentence(name: str) -> None:
    part, changes, what = UNUSABLE[name]
    raw = json.loads(CODEC.tokenizer.to_str())
    raw[part] = (raw[part] if part == "model" else {}) | changes
    codec = TextCodec(Tokenizer.from_str(json.dumps(raw)))
    with pytest.raises(CheckpointError, match=f"The tokenizer cannot {what} .*; fetch tokenizer.json again"):
        codec.encode("é")
        codec.decode([1])


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
