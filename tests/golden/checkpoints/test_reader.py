# SPDX-License-Identifier: Apache-2.0
"""Checkpoints come back as they were written; every fault is refused with the file or tensor by name."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tritforge.golden.checkpoints.reader import Checkpoint, CheckpointError, ModelConfig, write_checkpoint
from tritforge.golden.checkpoints.synthetic import random_tensor
from tritforge.golden.checkpoints.text import TextCodec
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.host.image.pack import pack
from tritforge.hw.params import CoreParams

CONFIG = ModelConfig(hidden=8, layers=2, intermediate=12, vocab=20)
GAIN = "model.layers.1.attn.g_norm.weight"


def tensors(config: ModelConfig = CONFIG, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {n: random_tensor(n, shape, generator).to(dtype) for n, shape in config.tensor_shapes().items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_checkpoint(tmp_path, CONFIG, tensors())
    return tmp_path


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tensors(folder: Path, **changes: Tensor | None) -> None:
    path = folder / "model.safetensors"
    save_file({n: v for n, v in (load_file(path) | changes).items() if v is not None}, path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shards", [1, 3])
def test_tensors_come_back_in_float32_and_model_order(tmp_path: Path, dtype: torch.dtype, shards: int) -> None:
    written = tensors(dtype=dtype)
    write_checkpoint(tmp_path, CONFIG, written, shards)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.config == CONFIG
    assert checkpoint.names() == list(written)
    for name, value in written.items():
        read = checkpoint.tensor(name)
        assert read.dtype == torch.float32 and torch.equal(read, value.float())
    assert len(list(tmp_path.glob("*.safetensors"))) == shards
    assert not list(tmp_path.glob("*.tmp"))


def test_a_new_checkpoint_replaces_an_old_one_with_other_files(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, CONFIG, tensors())
    write_checkpoint(tmp_path, CONFIG, {n: v + 1 for n, v in tensors().items()}, shards=2)
    assert torch.equal(Checkpoint(tmp_path).tensor(GAIN), tensors()[GAIN] + 1)


def test_a_model_without_lower_bounds_needs_none(tmp_path: Path) -> None:
    config = ModelConfig(8, 2, 12, 20, use_lower_bound=False)
    write_checkpoint(tmp_path, config, tensors(config))
    assert Checkpoint(tmp_path).config == config
    assert "model.lower_bounds" not in Checkpoint(tmp_path).names()


@pytest.mark.parametrize(("hidden", "size"), [(1024, 2816), (2048, 5632), (2560, 6912), (64, 256), (128, 512)])
def test_a_config_without_intermediate_size_follows_the_rule(folder: Path, hidden: int, size: int) -> None:
    edit_json(folder / "config.json", intermediate_size=None, hidden_size=hidden)
    assert ModelConfig.from_json(folder / "config.json").intermediate == size


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_short_conv", True),
        ("expand_ratio", 2),
        ("tie_word_embeddings", True),
        ("model_type", "llama"),
        ("hidden_act", "gelu"),
        ("rms_norm_eps", 1e-5),
    ],
)
def test_models_that_are_not_built_are_refused(folder: Path, key: str, value: Any) -> None:
    edit_json(folder / "config.json", **{key: value})
    with pytest.raises(CheckpointError, match=key):
        Checkpoint(folder)


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_a_config_without_a_size_is_refused(folder: Path, key: str) -> None:
    edit_json(folder / "config.json", **{key: None})
    with pytest.raises(CheckpointError, match=f"no {key}"):
        Checkpoint(folder)


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [("hidden_size", -8, "hidden"), ("vocab_size", "many", "vocab"), ("bos_token_id", 20, "bos")],
)
def test_senseless_configs_are_refused(folder: Path, key: str, value: Any, field: str) -> None:
    edit_json(folder / "config.json", **{key: value})
    with pytest.raises(CheckpointError, match=field):
        Checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_files_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        Checkpoint(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere is no folder"):
        Checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match="JSON"):
        Checkpoint(folder)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match="no whole safetensors file"):
        Checkpoint(folder)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    edit_tensors(folder, **{GAIN: None})
    with pytest.raises(CheckpointError, match=f"lacks the tensor {GAIN}"):
        Checkpoint(folder)


def test_a_tensor_of_another_shape_is_named(folder: Path) -> None:
    edit_tensors(folder, **{GAIN: torch.ones(9)})
    with pytest.raises(CheckpointError, match=rf"{GAIN} .*\[9\].*\[8\]"):
        Checkpoint(folder)


def test_a_tensor_of_another_type_is_named(folder: Path) -> None:
    edit_tensors(folder, **{GAIN: torch.ones(8, dtype=torch.int8)})
    with pytest.raises(CheckpointError, match=f"{GAIN} .* stored as I8"):
        Checkpoint(folder)


@pytest.mark.parametrize(("value", "word"), [("nan", "NaN"), ("inf", "infinite"), ("-inf", "infinite")])
def test_values_that_are_not_finite_are_named(folder: Path, value: str, word: str) -> None:
    gain = torch.ones(8)
    gain[3] = float(value)
    edit_tensors(folder, **{GAIN: gain})
    with pytest.raises(CheckpointError, match=f"{GAIN} .* holds .*{word}"):
        Checkpoint(folder).tensor(GAIN)


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_is_named_too(folder: Path) -> None:
    edit_tensors(folder, **{GAIN: torch.tensor([0x7F81] * 8, dtype=torch.int16).view(torch.bfloat16)})
    with pytest.raises(CheckpointError, match=f"{GAIN} .* holds NaN"):
        Checkpoint(folder).tensor(GAIN)


def test_large_finite_values_are_none_of_those(folder: Path) -> None:
    edit_tensors(folder, **{GAIN: torch.full((8,), 3e38)})
    assert torch.equal(Checkpoint(folder).tensor(GAIN), torch.full((8,), 3e38))


def test_an_unknown_tensor_is_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no tensor bias"):
        Checkpoint(folder).tensor("bias")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, CONFIG, tensors(), shards=2)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-00002"):
        Checkpoint(tmp_path)


NESTED = b"[" * 200_000, b'{"a":' * 200_000


@pytest.mark.parametrize("content", NESTED, ids=["lists", "objects"])
def test_json_nested_without_end_is_refused(tmp_path: Path, content: bytes) -> None:
    """In the index, in the header of a file with weights, and in a tokenizer; test_config has the others."""
    write_checkpoint(tmp_path, CONFIG, tensors(), shards=2)
    index = tmp_path / "model.safetensors.index.json"
    whole = index.read_bytes()
    index.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"index\.json is no readable JSON"):
        Checkpoint(tmp_path)
    index.write_bytes(whole)
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        (tmp_path / name).write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(CheckpointError, match="is no whole safetensors file"):
        Checkpoint(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is no readable tokenizer"):
        TextCodec.from_folder(tmp_path)


class Counting:
    """`safetensors.safe_open` that counts what it is asked for."""

    calls: ClassVar[Counter[str]] = Counter()

    def __init__(self, path: Path, **options: str) -> None:
        self._file = safe_open(path, **options)
        self.calls["open"] += 1

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._file, name)


@pytest.mark.parametrize("shards", [1, 4])
def test_the_names_in_a_file_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    """However many tensors there are: opening a checkpoint and packing it take time in proportion to them."""
    config = ModelConfig(hidden=8, layers=30, intermediate=8, vocab=16)
    write_checkpoint(tmp_path, config, tensors(config), shards)
    monkeypatch.setattr("tritforge.golden.checkpoints.reader.safe_open", Counting)
    Counting.calls.clear()
    checkpoint, count = Checkpoint(tmp_path), len(config.tensor_shapes())
    assert Counting.calls == {"open": shards, "keys": shards, "get_slice": count}
    pack(IntegerCheckpoint(checkpoint), CoreParams(max_layers=30), tmp_path / "image")
    read = Counting.calls.pop("get_tensor")
    assert Counting.calls == {"open": shards, "keys": shards, "get_slice": count} and read <= count + 3
    ReferenceModel.from_checkpoint(checkpoint)
    assert Counting.calls == {"open": shards, "keys": shards, "get_slice": count, "get_tensor": count}


@pytest.mark.parametrize("shards", [{}, {GAIN: "../model.safetensors"}, {GAIN: 3}])
def test_an_index_that_names_no_plain_files_is_refused(tmp_path: Path, shards: dict[str, Any]) -> None:
    write_checkpoint(tmp_path, CONFIG, tensors(), shards=2)
    edit_json(tmp_path / "model.safetensors.index.json", weight_map=shards)
    with pytest.raises(CheckpointError, match="index"):
        Checkpoint(tmp_path)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "types"])
def test_only_whole_models_are_written(tmp_path: Path, fault: str) -> None:
    values = tensors()
    faults = {
        "unknown": {"extra": torch.ones(1)},
        "shape": {GAIN: torch.ones(9)},
        "types": {GAIN: torch.ones(8).half()},
    }
    values |= faults.get(fault, {})
    if fault == "missing":
        del values[GAIN]
    with pytest.raises(CheckpointError):
        write_checkpoint(tmp_path / "new", CONFIG, values)
    assert not (tmp_path / "new").exists()
