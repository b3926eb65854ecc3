# SPDX-License-Identifier: Apache-2.0
"""Tensors that are not as the model's configuration has them: what is read, what is told and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.checkpoints import SMALL, random_checkpoint
from tests.command_line import invoke
from tritforge.golden.checkpoints.reader import Checkpoint, CheckpointError
from tritforge.golden.checkpoints.writer import write_checkpoint

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Tensors:
    return load_file(random_checkpoint(tmp_path_factory.mktemp("model")) / "model.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_checkpoint(tmp_path / "model")


def store(folder: Path, tensors: Tensors) -> Path:
    save_file(tensors, folder / "model.safetensors")
    return folder


HARMFUL: dict[str, tuple[int, ...]] = {
    "model.layers.0.attn.i_proj.bias": (24,),
    "lm_head.bias": (301,),
    "model.layers.0.attn.i_conv1d.weight": (24, 1, 4),
    "model.layers.1.attn.q_proj.weight": (24, 24),
    "model.layers.2.attn_norm.weight": (24,),
    "model.layers.0.mlp.down_proj.weight_scale": (1,),
    "model.layers.0.mlp.down_proj.SCB": (24,),
    "model.layers.0.attn_norm.bias": (24,),
    "model.norm.bias": (24,),
    "model.embeddings.scale": (1,),
    "module.model.layers.1.mlp.gate_proj.bias": (88,),
    "lm_head.weight_scale": (1,),
}
HARMLESS: dict[str, tuple[int, ...]] = {
    "model.layers.0.attn.rotary_emb.inv_freq": (12,),
    "model.layers.0.attn.rotary.cos_cached": (8, 12),
    "model.inv_freq": (12,),
    "model.embeddings.position_ids": (1, 8),
    "value_head.weight": (1, 24),
    "ema.lm_head.weight": (301, 24),
    "optimizer.step": (1,),
    "total_params": (1,),
    "model.layers.0.mlp.total_ops": (1,),
}


@pytest.mark.parametrize("name", HARMFUL)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_tensors_that_would_change_the_result_are_refused(
    folder: Path, tensors: Tensors, name: str, prefix: str
) -> None:
    store(folder, {prefix + n: v for n, v in (tensors | {name: torch.ones(HARMFUL[name])}).items()})
    with pytest.raises(CheckpointError, match=rf"that would change the result: {prefix}{name};"):
        Checkpoint(folder)


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_others_are_told_and_left_out(folder: Path, tensors: Tensors, name: str, prefix: str) -> None:
    store(folder, {prefix + n: v for n, v in (tensors | {name: torch.ones(HARMLESS[name])}).items()})
    checkpoint = Checkpoint(folder)
    assert checkpoint.warnings[-1] == f"{folder} holds tensors that the model does not use: {prefix}{name}."
    assert len(checkpoint.warnings) == 1 + bool(prefix) and name not in checkpoint.names()


def test_of_many_tensors_a_few_are_named(folder: Path, tensors: Tensors) -> None:
    names = [f"{n}.bias" for n in SMALL.linear_shapes()]
    store(folder, tensors | {name: torch.ones(1) for name in names})
    with pytest.raises(CheckpointError, match=f"and {len(names) - 3} more;"):
        Checkpoint(folder)


def test_more_layers_than_the_config_says_are_refused(folder: Path) -> None:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"num_hidden_layers": 1, "use_lower_bound": False}))
    with pytest.raises(CheckpointError, match=r"model\.lower_bounds, model\.layers\.1\..* more;"):
        Checkpoint(folder)


@pytest.mark.parametrize("config", [{"use_lower_bound": False}, {"use_short_conv": None}])
def test_bounds_of_a_model_that_says_it_has_none_are_refused(folder: Path, config: dict) -> None:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | config))
    if "use_lower_bound" in config:
        with pytest.raises(CheckpointError, match=r"change the result: model\.lower_bounds;"):
            Checkpoint(folder)
    else:
        assert not Checkpoint(folder).warnings


RENAMED: dict[str, tuple[Callable[[str], str], str]] = {
    "data parallel": (lambda n: f"module.{n}", "module."),
    "compiled": (lambda n: f"_orig_mod.{n}", "_orig_mod."),
    "both": (lambda n: f"module._orig_mod.{n}", "_orig_mod., module."),
    "layers compiled": (lambda n: n.replace(".layers.1.", ".layers.1._orig_mod."), "_orig_mod."),
    "sharded": (lambda n: n.replace("model.", "model._fsdp_wrapped_module."), "_fsdp_wrapped_module."),
    "inside of something": (lambda n: f"student.net.{n}", "student.net."),
    "compiled inside": (lambda n: f"_orig_mod.student.{n}", "_orig_mod., student."),
    "a second model": (lambda n: f"model.{n}", "model."),
}


@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("shards", [1, 3])
def test_names_with_too_much_are_read_and_told(tmp_path: Path, tensors: Tensors, name: str, shards: int) -> None:
    rename, removed = RENAMED[name]
    write_checkpoint(tmp_path, SMALL, tensors, shards)
    for file in tmp_path.glob("*.safetensors"):
        save_file({rename(n): v for n, v in load_file(file).items()}, file)
    index = tmp_path / "model.safetensors.index.json"
    if shards > 1:
        found = json.loads(index.read_text())["weight_map"]
        index.write_text(json.dumps({"weight_map": {rename(n): file for n, file in found.items()}}))
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.names() == list(SMALL.tensor_shapes())
    assert all(torch.equal(checkpoint.tensor(n), value) for n, value in tensors.items())
    (warning,) = checkpoint.warnings
    assert f"have {removed} too much, such as " in warning and warning.endswith("; they are read without.")


@pytest.mark.parametrize("prefix", ["", "student."])
def test_of_two_models_the_plain_one_is_taken(folder: Path, tensors: Tensors, prefix: str) -> None:
    other = {f"ema.{n}": v + 1 for n, v in tensors.items()}
    store(folder, {prefix + n: v for n, v in tensors.items()} | other)
    if prefix:
        with pytest.raises(CheckpointError, match=r"holds two tensors .* that differ"):
            Checkpoint(folder)
    else:
        checkpoint = Checkpoint(folder)
        assert torch.equal(checkpoint.tensor("lm_head.weight"), tensors["lm_head.weight"])
        assert "does not use: ema." in checkpoint.warnings[0]


@pytest.mark.parametrize("name", ["module.lm_head.weight", "model.lm_head.weight", "model.module.norm.weight"])
@pytest.mark.parametrize("same", [True, False])
def test_a_second_copy_must_be_the_same(folder: Path, tensors: Tensors, name: str, same: bool) -> None:
    own = "lm_head.weight" if "head" in name else "model.norm.weight"
    value = tensors[own].clone()
    value.view(torch.int32)[..., -1] ^= not same
    store(folder, tensors | {name: value})
    if same:
        (warning,) = Checkpoint(folder).warnings
        assert name in warning
    else:
        with pytest.raises(CheckpointError, match=f"two tensors {own} that differ, {own} and {name}; remove"):
            Checkpoint(folder)


def test_a_tensor_that_is_only_under_another_prefix_is_missing(folder: Path, tensors: Tensors) -> None:
    store(folder, {("ema." if n == "lm_head.weight" else "") + n: v for n, v in tensors.items()})
    with pytest.raises(
        CheckpointError, match=r"lacks the tensor lm_head\.weight; it has ema\.lm_head\.weight in place"
    ):
        Checkpoint(folder)


@pytest.mark.parametrize(
    ("rename", "missing", "cause"),
    [
        (lambda n: n.removeprefix("model."), "model", "embeddings.weight in place of model.embeddings.weight"),
        (
            lambda n: n.replace("model.", "model.model."),
            "lm_head",
            "has lm_head.norm.weight in place of model.lm_head.norm.weight,",
        ),
        (lambda n: n.replace("model.", "core."), "model", "core.embeddings.weight in place of model.emb"),
        (lambda n: "" if "head" in n else n[6:], "lm_head", "embeddings.weight in place of model.embeddings.weight"),
        (lambda n: "" if n == "model.norm.weight" else n, "model.norm", "is config.json that of"),
    ],
    ids=["inner model", "prefix on some", "another name", "inner model without a head", "none instead"],
)
def test_why_a_tensor_is_missing_is_told(
    folder: Path, tensors: Tensors, rename: Callable[[str], str], missing: str, cause: str
) -> None:
    store(folder, {rename(n): v for n, v in tensors.items()})
    with pytest.raises(CheckpointError, match=rf"lacks the tensor {missing}\.") as caught:
        Checkpoint(folder)
    assert cause in str(caught.value)


@pytest.mark.parametrize("name", [n for n in HARMFUL if n.endswith("bias")])
@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45])
def test_a_bias_of_zeros_is_told_and_left_out(folder: Path, tensors: Tensors, name: str, value: float) -> None:
    bias = torch.zeros(HARMFUL[name])
    bias[-1] = value
    store(folder, tensors | {name: bias})
    if value:
        with pytest.raises(CheckpointError, match=f"would change the result: {name};"):
            Checkpoint(folder)
    else:
        assert Checkpoint(folder).warnings == [f"{folder} holds tensors that the model does not use: {name}."]


def test_copies_of_a_type_that_nobody_reads_are_refused(folder: Path, tensors: Tensors) -> None:
    copies = {
        n: tensors["lm_head.weight"].to(torch.float8_e4m3fn) for n in ("lm_head.weight", "module.lm_head.weight")
    }
    store(folder, tensors | {n: v.clone() for n, v in copies.items()})
    with pytest.raises(CheckpointError, match=r"lm_head\.weight .* is stored as F8_E4M3"):
        Checkpoint(folder)


@pytest.mark.parametrize(
    "command",
    [
        ("generate", "--prompt", "a", "--max-new-tokens", "1"),
        ("eval", "--text", "text.txt"),
        ("logits", "--ids", "ids.npy", "--out", "x.npz"),
        ("pack", "-o", "x.tfi"),
        ("ternarise", "-o", "new"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_commands_tell_once(
    folder: Path, tensors: Tensors, command: tuple[str, ...], as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("text.txt").write_text("abc")
    np.save("ids.npy", np.array([1, 2]))
    store(folder, tensors | {"value_head.weight": torch.ones(1)})
    first, *others = command
    result = invoke(first, str(folder), *others, *(["--json"] if as_json else []))
    assert result.exit_code == 0, result.output
    told = f"{folder} holds tensors that the model does not use: value_head.weight."
    assert result.stderr.count("Warning: ") == result.stderr.count(told) == 1
    if as_json:
        assert json.loads(result.stdout)["warnings"] == [told]
