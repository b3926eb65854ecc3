# SPDX-License-Identifier: Apache-2.0
"""The integer model against the float32 reference."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.integer import IntegerModel, analyse
from tritforge.golden.model.quantise import IntegerCheckpoint, fold_norm
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.studies.fidelity import fed_codes

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"


def reference(name: str) -> Path:
    folder = REFERENCE / name
    if not folder.is_dir():
        pytest.skip("the public implementation's vectors are not part of this repository")
    return folder


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_random_checkpoint(folder, ModelConfig(hidden=96, layers=3, intermediate=160, vocab=300), seed=3)
    return folder


def rms_logit_error(folder: Path, ids: torch.Tensor, expected: torch.Tensor) -> float:
    logits, _ = IntegerModel(IntegerCheckpoint(Checkpoint(folder))).forward(ids)
    return float((logits.logits() - expected).square().mean().sqrt())


@pytest.mark.parametrize(("name", "limit"), [("a_h64_l2", 0.0104), ("b_h128_l4_bf16", 0.0231)])
def test_logits_are_closer_than_half_precision(name: str, limit: float) -> None:
    folder = reference(name)
    vectors = np.load(folder / "vectors.npz")
    ids = torch.from_numpy(vectors["input_ids"]).long().reshape(-1)
    assert rms_logit_error(folder, ids, torch.from_numpy(vectors["logits"]).reshape(len(ids), -1)) < limit


def test_logits_track_the_float_reference(synthetic: Path) -> None:
    ids = torch.randint(300, (64,), generator=torch.Generator().manual_seed(0))
    expected, _ = ReferenceModel.from_checkpoint(Checkpoint(synthetic)).forward(ids)
    assert rms_logit_error(synthetic, ids, expected) < 0.04 * float(expected.square().mean().sqrt())


def test_tokens_one_by_one_equal_tokens_at_once(synthetic: Path) -> None:
    model = IntegerModel(IntegerCheckpoint(Checkpoint(synthetic)))
    ids = torch.randint(300, (12,), generator=torch.Generator().manual_seed(1))
    together, final = model.forward(ids)
    state = None
    for position, token in enumerate(ids):
        one, state = model.forward(token[None], state)
        assert torch.equal(one.raw[0], together.raw[position])
    assert torch.equal(state, final)


@pytest.mark.parametrize("name", ["a_h64_l2", "b_h128_l4_bf16"])
def test_codes_equal_the_reference_on_its_own_inputs(name: str) -> None:
    """99.9 % of all codes are equal and none is off by more than one."""
    pairs = fed_codes(reference(name)).values()
    difference = torch.cat([(ours - theirs).abs().flatten() for ours, theirs in pairs])
    assert difference.max() <= 1
    assert (difference == 0).double().mean() >= 0.999


def test_a_zero_vector_has_zero_codes_and_scales_exist() -> None:
    fmt = Formats()
    folded = fold_norm(np.ones(8), [np.ones(8)], fmt.frac, True, fmt)
    zero = torch.zeros(1, 8, dtype=torch.int64)
    scales = analyse(zero, zero, folded.norm, fmt)
    assert not scales.codes[0].any()
    assert scales.root > 0
