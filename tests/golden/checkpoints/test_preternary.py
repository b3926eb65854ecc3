# SPDX-License-Identifier: Apache-2.0
"""Checkpoints stored as trits times scale: what is kept, what rounds once, and what the naive route would do."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import SMALL, random_checkpoint
from tests.command_line import invoke
from tritforge.golden.arrays import FLOAT32, STORED
from tritforge.golden.checkpoints.preternary import write_preternary
from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.studies.repeated import mean_again, repeated
from tritforge.golden.ternary import ternarise

LINEARS = [f"{name}.weight" for name in SMALL.linear_shapes()]
IDS = torch.randint(SMALL.vocab, (24,), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def latent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("latent"))


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_in_float32_trits_scales_and_logits_stay_bit_for_bit(latent: Path, tmp_path: Path) -> None:
    report, _ = write_preternary(Checkpoint(latent), tmp_path / "new", FLOAT32)
    before, after = Checkpoint(latent), Checkpoint(tmp_path / "new")
    for name in before.names():
        if name in LINEARS:
            old, new = ternarise(before.stored(name)), ternarise(after.stored(name))
            assert np.array_equal(old.trits, new.trits) and old.scale == new.scale
            assert set(np.unique(after.stored(name)).tolist()) == {-old.scale, 0, old.scale}
        else:
            assert np.array_equal(before.stored(name), after.stored(name))
    assert [one.tensor for one in report] == LINEARS and all(one.scale == one.stored for one in report)
    one, two = (ReferenceModel.from_checkpoint(c).forward(IDS) for c in (before, after))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    (raw, state), (other, last) = (IntegerModel(IntegerCheckpoint(c)).forward(IDS) for c in (before, after))
    assert torch.equal(raw.raw, other.raw) and torch.equal(raw.scale(), other.scale()) and torch.equal(state, last)


@pytest.mark.parametrize("dtype", STORED.values())
def test_scales_round_once_and_stay(latent: Path, tmp_path: Path, dtype: np.dtype) -> None:
    first, *others = (tmp_path / f"{n}" for n in range(4))
    report, _ = write_preternary(Checkpoint(latent), first, dtype)
    source, found = Checkpoint(latent), Checkpoint(first)
    assert found.dtypes == {dtype}
    for one in report:
        old, new = ternarise(source.stored(one.tensor)), ternarise(found.stored(one.tensor))
        assert np.array_equal(old.trits, new.trits)
        assert one.scale == old.scale and one.stored == new.scale == float(np.float32(old.scale).astype(dtype))
        assert one.nonzeros == np.count_nonzero(old.trits) / old.trits.size
    assert (dtype == FLOAT32) == all(one.scale == one.stored for one in report)
    for folder in others:
        write_preternary(Checkpoint(first), folder)
        assert weights(folder) == weights(first)
        first = folder


def test_a_mean_taken_again_shrinks_every_scale_by_the_share_of_nonzeros(latent: Path) -> None:
    """What happens to trits times scale where nothing tells them from latent weights."""
    model = ReferenceModel.from_checkpoint(Checkpoint(latent))
    damaged = repeated(model, mean_again, 2)
    for name, (trits, scale) in model.linears.items():
        share = np.count_nonzero(trits) / trits.size
        assert np.array_equal(damaged.linears[name].trits, trits)
        assert damaged.linears[name].scale == pytest.approx(scale * share**2, rel=1e-6) and share < 0.75
    assert not torch.equal(damaged.forward(IDS)[0], model.forward(IDS)[0])


def test_the_command_copies_the_tokenizer_and_tells_what_changed(latent: Path, tmp_path: Path) -> None:
    (latent / "tokenizer_config.json").write_text("{}")
    new = tmp_path / "deep" / "new"
    result = invoke("ternarise", str(latent), "-o", str(new), "--dtype", "bfloat16", "--json")
    facts = json.loads(result.stdout)
    assert [one["tensor"] for one in facts["tensors"]] == LINEARS and list(facts["files"]) == ["model.safetensors"]
    assert {path.name for path in new.iterdir()} == {path.name for path in latent.iterdir()}
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (new / name).read_bytes() == (latent / name).read_bytes()
    assert [path.name for path in new.parent.iterdir()] == ["new"]
    again = invoke("ternarise", str(new), "-o", str(tmp_path / "again"))
    assert "attn.o_proj.weight" in again.stdout and weights(tmp_path / "again") == weights(new)


def test_what_only_has_the_name_of_a_tokenizer_stays(latent: Path, tmp_path: Path) -> None:
    source = tmp_path / "model"
    shutil.copytree(latent, source)
    (source / "tokenizer_old").mkdir()
    (source / "tokenizer_old" / "tokenizer.json").touch()
    (source / "merges.txt").mkdir()
    (source / "tokenizer.model").symlink_to(tmp_path / "nowhere")
    os.mkfifo(source / "tokenizer.pipe")
    result = invoke("ternarise", str(source), "-o", str(source / "tokenizer_new"))
    assert result.exit_code == 0, result.output
    assert (source / "tokenizer_new" / "tokenizer.json").read_bytes() == (latent / "tokenizer.json").read_bytes()
    assert {path.name for path in (source / "tokenizer_new").iterdir()} == {
        path.name for path in latent.iterdir() if path.is_file()
    }


def test_progress_is_told_to_the_end(latent: Path, tmp_path: Path) -> None:
    told: list = []
    write_preternary(Checkpoint(latent), tmp_path / "new", progress=lambda *bytes: told.append(bytes))
    assert len(told) == len(SMALL.tensor_shapes()) and told[-1] == (4 * SMALL.parameters(),) * 2


def test_nothing_appears_unless_it_is_complete(latent: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_preternary(Checkpoint(latent), tmp_path / "new", progress=stop)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused(latent: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    for folder in (tmp_path, latent, tmp_path / "mine"):
        result = invoke("ternarise", str(latent), "-o", str(folder))
        assert result.exit_code == 2 and "is not empty; name another folder." in result.stderr


@pytest.mark.parametrize(("factor", "message"), [(1e-9, "has the scale"), (1e9, "holds a value which")])
def test_what_sixteen_bits_cannot_hold_is_refused(latent: Path, tmp_path: Path, factor: float, message: str) -> None:
    """A ternary tensor keeps its scale, however small or large."""
    source = Checkpoint(latent)
    tensors = {name: source.tensor(name) for name in source.names()}
    tensors[LINEARS[0]] = tensors[LINEARS[0]].sign() * factor
    write_checkpoint(tmp_path / "odd", SMALL, tensors)
    result = invoke("ternarise", str(tmp_path / "odd"), "-o", str(tmp_path / "new"), "--dtype", "float16")
    assert result.exit_code == 2 and message in result.stderr and "store float32." in result.stderr
    assert not (tmp_path / "new").exists()
