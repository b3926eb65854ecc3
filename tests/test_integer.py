# SPDX-License-Identifier: Apache-2.0
"""The integer model against the float32 reference."""

from pathlib import Path

import numpy as np
import pytest
import torch

from golden.checkpoint import Checkpoint, ModelConfig
from golden.integer import IntegerModel, analyse
from golden.numerics import Formats, rshift_round, silu
from golden.quantise import IntegerCheckpoint, fold_norm
from golden.reference import ReferenceModel
from golden.synthetic import write_random_checkpoint

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"


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


def fed_codes(folder: Path) -> list[tuple[str, torch.Tensor]]:
    """(BitLinear, codes) of every BitLinear, fed the public implementation's own float inputs."""
    vectors = np.load(folder / "vectors.npz")
    source = IntegerCheckpoint(Checkpoint(folder))
    fmt, count = source.fmt, source.config.layers

    def wide(name: str, frac: int) -> torch.Tensor:
        return torch.round(torch.from_numpy(vectors[name]).double() * 2.0**frac).long()

    found = []
    for layer in range(count):
        prefix, norms = f"model.layers.{layer}.", source.layer(layer).norms
        x = wide("embeddings" if layer == 0 else f"layer{layer - 1}.out", source.residual_frac)
        for name, codes in zip("fig", analyse(x, x, norms["mix"], fmt).codes, strict=True):
            found.append((f"{prefix}attn.{name}_proj", codes))
        g = wide(f"lin.{prefix}attn.g_proj", fmt.frac)
        t = rshift_round(g * silu(wide(f"layer{layer}.h", fmt.frac), fmt), fmt.frac)
        found.append((f"{prefix}attn.o_proj", analyse(t, g, norms["out"], fmt).codes[0]))
        r = wide(f"layer{layer}.residual_mid", source.residual_frac)
        found.append((f"{prefix}mlp.gate_proj", analyse(r, r, norms["expand"], fmt).codes[0]))
        gate, up = wide(f"lin.{prefix}mlp.gate_proj", fmt.frac).chunk(2, dim=-1)
        z = rshift_round(up * silu(gate, fmt), fmt.frac)
        found.append((f"{prefix}mlp.down_proj", analyse(z, z, norms["contract"], fmt).codes[0]))
    x = wide(f"layer{count - 1}.out", source.residual_frac)
    found.append(("lm_head", analyse(x, x, source.head().norm, fmt).codes[0]))
    return found


@pytest.mark.parametrize("name", ["a_h64_l2", "b_h128_l4_bf16"])
def test_codes_equal_the_reference_on_its_own_inputs(name: str) -> None:
    """99.9 % of all codes are equal and none is off by more than one."""
    folder = reference(name)
    vectors = np.load(folder / "vectors.npz")
    pairs = [(codes, torch.from_numpy(vectors[f"q.{linear}.x"]).long()) for linear, codes in fed_codes(folder)]
    difference = torch.cat([(got - expected).abs().flatten() for got, expected in pairs])
    assert difference.max() <= 1
    assert (difference == 0).double().mean() >= 0.999


def test_a_zero_vector_has_zero_codes_and_scales_exist() -> None:
    fmt = Formats()
    folded = fold_norm(torch.ones(8), [torch.ones(8)], fmt.frac, True, fmt)
    zero = torch.zeros(1, 8, dtype=torch.int64)
    scales = analyse(zero, zero, folded.norm, fmt)
    assert not scales.codes[0].any()
    assert scales.root > 0
