# SPDX-License-Identifier: Apache-2.0
"""What a config.json may say: which token begins and which end a text, and values that make no sense."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints import SMALL, random_checkpoint
from tritforge.golden.checkpoints.config import CheckpointError, ModelConfig
from tritforge.golden.checkpoints.preternary import write_preternary
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.hw.params import preset

LEFT_OUT = object()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("model"))


def write(folder: Path, name: str, content: dict[str, Any]) -> None:
    kept = {key: value for key, value in content.items() if value is not LEFT_OUT}
    (folder / name).write_text(json.dumps(kept))


def config_json(tmp_path: Path, **changes: Any) -> Path:
    write(tmp_path, "config.json", SMALL.to_json("float32") | changes)
    return tmp_path / "config.json"


TOKENS = {
    "one": (2, None, 1, (2,)),
    "several": ([5, 2, 5], None, 1, (5, 2)),
    "none": (None, None, 1, ()),
    "an empty list": ([], None, 1, ()),
    "not mentioned": (LEFT_OUT, None, 1, (2,)),
    "only beside": (LEFT_OUT, {"eos_token_id": [7, 8]}, 1, (7, 8)),
    "null and beside": (None, {"eos_token_id": 7}, 1, (7,)),
    "in both": (2, {"eos_token_id": [7, 2], "bos_token_id": 9}, 1, (2, 7)),
    "null in both": (None, {"eos_token_id": None}, 1, ()),
    "nothing beside": ([5, 6], {"temperature": 1.0}, 1, (5, 6)),
}


@pytest.mark.parametrize("name", TOKENS)
def test_the_tokens_that_end_a_text_come_from_both_files(tmp_path: Path, name: str) -> None:
    eos, beside, bos, wanted = TOKENS[name]
    path = config_json(tmp_path, eos_token_id=eos)
    if beside is not None:
        write(tmp_path, "generation_config.json", beside)
    config = ModelConfig.from_json(path)
    assert (config.bos, config.eos) == (bos, wanted)


@pytest.mark.parametrize(
    ("bos", "beside", "wanted"),
    [(None, {}, None), (None, {"bos_token_id": 9}, None), (LEFT_OUT, {"bos_token_id": 9}, 9), (LEFT_OUT, {}, 1)],
)
def test_the_token_that_begins_a_text_may_be_none(tmp_path: Path, bos: Any, beside: dict, wanted: int | None) -> None:
    write(tmp_path, "generation_config.json", beside)
    assert ModelConfig.from_json(config_json(tmp_path, bos_token_id=bos)).bos == wanted


@pytest.mark.parametrize(("bos", "eos"), [(1, 2), (None, None), (0, [300, 2]), (None, [4])])
def test_they_stay_in_images_and_in_checkpoints_written_anew(
    folder: Path, tmp_path: Path, bos: int | None, eos: Any
) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write(tmp_path, "config.json", SMALL.to_json("float32") | {"bos_token_id": bos, "eos_token_id": eos})
    (tmp_path / "generation_config.json").unlink()
    checkpoint, params = Checkpoint(tmp_path), preset("tiny")
    pack(IntegerCheckpoint(checkpoint, params.formats), params, tmp_path / "image")
    write_preternary(checkpoint, tmp_path / "new")
    wanted = bos, tuple(eos if isinstance(eos, list) else [eos] if eos else [])
    for config in (checkpoint.config, Image.open(tmp_path / "image").config, Checkpoint(tmp_path / "new").config):
        assert (config.bos, config.eos) == wanted
    # one token is one number, so that earlier releases read it and the bytes of images are those of before
    form = eos[0] if eos == [4] else eos
    for name in ("config.json", "generation_config.json"):
        assert json.loads((tmp_path / "new" / name).read_text())["eos_token_id"] == form
    assert f'"bos": {json.dumps(bos)}, "eos": {json.dumps(form)}'.encode() in (tmp_path / "image").read_bytes()


DEEP = "[" * 200_000
SENSELESS = {
    "sizes as text": ({"hidden_size": "24"}, "hidden size must be a positive integer, not '24'"),
    "sizes as floats": ({"num_hidden_layers": 2.0}, "layers size must be a positive integer, not 2.0"),
    "sizes that are true": ({"vocab_size": True}, "vocab size must be a positive integer, not True"),
    "negative sizes": ({"intermediate_size": -44}, "intermediate size must be a positive integer, not -44"),
    "no intermediate size": ({"intermediate_size": 0}, "intermediate size must be a positive integer, not 0"),
    "lists": ({"hidden_size": [24]}, r"hidden size must be a positive integer, not \[24\]"),
    "infinite sizes": ({"hidden_size": float("inf")}, "hidden size must be a positive integer, not inf"),
    "huge sizes": ({"hidden_size": 10**400}, "hidden size must be at most 2147483647, not 1000"),
    "a size that is missing": ({"hidden_size": None}, "gives no hidden_size"),
    **{
        f"a ratio of {ratio!r}": (
            {"hidden_ratio": ratio, "intermediate_size": None},
            "hidden_ratio must be a positive number, not ",
        )
        for ratio in ("4", [4], True, 0, -4, float("nan"), float("inf"), 10**400, {})
    },
    "a ratio and a bad size": ({"intermediate_size": None, "hidden_size": "24"}, "hidden size must be a positive"),
    "bounds as text": ({"use_lower_bound": "false"}, "use_lower_bound must be true or false, not 'false'"),
    "bounds as null": ({"use_lower_bound": None}, "use_lower_bound must be true or false, not None"),
    "an eps as text": ({"rms_norm_eps": "1e-6"}, "rms_norm_eps must be 1e-06, .* not '1e-6'"),
    "bos as text": ({"bos_token_id": "<s>"}, r"bos token id must lie in 0\.\.300, not '<s>'"),
    "bos as a list": ({"bos_token_id": [1]}, r"bos token id must lie in 0\.\.300, not \[1\]"),
    "bos beyond": ({"bos_token_id": 301}, r"bos token id must lie in 0\.\.300, not 301"),
    "eos beyond": ({"eos_token_id": [2, 301]}, r"eos token id must lie in 0\.\.300, not 301"),
    "negative eos": ({"eos_token_id": -1}, r"eos token id must lie in 0\.\.300, not -1"),
    "eos that is true": ({"eos_token_id": [True]}, r"eos token id must lie in 0\.\.300, not True"),
    "eos within lists": ({"eos_token_id": [[2]]}, r"eos token id must lie in 0\.\.300, not \[2\]"),
    "short convolutions as text": ({"use_short_conv": "false"}, "asks for use_short_conv = 'false'"),
    "a deep type": ({"model_type": [[[[]]]]}, "asks for model_type = "),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_senseless_values_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    changes, message = SENSELESS[name]
    path = config_json(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        ModelConfig.from_json(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("tokens", [{"eos_token_id": [2, 301]}, {"eos_token_id": "2"}, {"bos_token_id": True}])
def test_a_token_that_makes_no_sense_is_of_the_file_that_has_it(tmp_path: Path, tokens: dict[str, Any]) -> None:
    path = config_json(tmp_path, bos_token_id=LEFT_OUT)
    write(tmp_path, "generation_config.json", tokens)
    with pytest.raises(CheckpointError, match=r"/generation_config\.json cannot be used: The .os token id"):
        ModelConfig.from_json(path)


def test_a_ratio_that_nobody_needs_does_no_harm(tmp_path: Path) -> None:
    assert ModelConfig.from_json(config_json(tmp_path, hidden_ratio="4")) == SMALL


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("content", [DEEP.encode(), b'{"a":' * 200_000, b"\xff\xfe\x00", b"", b"[1]", b"\xc3"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = config_json(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name} .*JSON"):
        ModelConfig.from_json(path)


def test_a_config_of_a_billion_layers_is_refused_at_once(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config_json(tmp_path, num_hidden_layers=10**9, use_lower_bound=False)
    with pytest.raises(CheckpointError, match=r"asks for 1000000000 layers, more than there are tensors \(\d+\)"):
        Checkpoint(tmp_path)
