# SPDX-License-Identifier: Apache-2.0
"""Large tensors are worked through in chunks; what comes out is what the whole would give."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tritforge.golden.arrays import STORED, as_array
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.chunks import by_rows
from tritforge.golden.model.integer import accumulate
from tritforge.golden.model.quantise import quantise_embedding
from tritforge.golden.ternary import SCALE_FLOOR, ternarise
from tritforge.golden.train.latent import ternarise_latent

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
SHAPES = [(1, 1), (5,), (3, 200), (100, 7), (64, 64), (37, 50)]


@pytest.fixture(autouse=True, params=[64, 1 << 17], ids=["chunks", "whole"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritforge.golden.chunks.CHUNK", request.param)


TYPES = [torch.float32, torch.float16, torch.bfloat16]


def random(shape: tuple[int, ...], scale: float = 0.05) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("shape", SHAPES)
def test_chunks_are_all_rows_in_order(shape: tuple[int, ...]) -> None:
    values, numbers = random(shape), torch.arange(shape[0])
    parts = list(by_rows(values, numbers))
    assert torch.equal(torch.cat([part for part, _ in parts]), values)
    assert torch.equal(torch.cat([part for _, part in parts]), numbers)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_latent_weights_get_the_trits_and_scale_of_the_whole(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = random(shape).to(dtype)
    weight.view(-1)[0] *= 3
    kept = weight.clone()
    trits, scale = ternarise_latent(weight.float())
    ternary = ternarise(as_array(weight))
    if weight.numel() > 1:
        assert np.array_equal(ternary.trits, trits) and ternary.scale == scale.item()
    assert ternary.trits.dtype == np.int8 and torch.equal(weight, kept)


@pytest.mark.parametrize("dtype", TYPES)
def test_ternary_weights_keep_their_trits_and_scale(dtype: torch.dtype) -> None:
    trits = random((40, 50), 1).round().clamp(-1, 1)
    trits[:10] = 0
    scale = torch.tensor(0.017).to(dtype).float()
    ternary = ternarise(as_array((trits * scale).to(dtype)))
    assert np.array_equal(ternary.trits, trits) and ternary.scale == scale.item()


@pytest.mark.parametrize("last", [0.016, 0.018])
def test_one_other_magnitude_at_the_end_makes_weights_latent(last: float) -> None:
    weight = 0.017 * random((40, 50), 1).round().clamp(-1, 1)
    weight[-1, -1] = last
    assert ternarise(as_array(weight)).scale == ternarise_latent(weight)[1].item() < 0.015


def test_zeros_get_the_smallest_scale() -> None:
    ternary = ternarise(np.zeros((30, 7), STORED["BF16"]))
    assert not ternary.trits.any() and ternary.scale == torch.tensor(SCALE_FLOOR).item()


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match=r"F32.*not float64"):
        ternarise(np.zeros((3, 3)))


@pytest.mark.parametrize("name", ["a_h64_l2", "b_h128_l4_bf16"])
def test_trits_and_scales_are_those_of_the_public_implementation(name: str) -> None:
    if not (REFERENCE / name).is_dir():
        pytest.skip("the public implementation's vectors are not part of this repository")
    checkpoint, vectors = Checkpoint(REFERENCE / name), np.load(REFERENCE / name / "vectors.npz")
    for linear in checkpoint.config.linear_shapes():
        ternary = ternarise(checkpoint.stored(f"{linear}.weight"))
        assert np.array_equal(ternary.trits, vectors[f"q.{linear}.w"])
        assert 1 / ternary.scale == pytest.approx(float(vectors[f"q.{linear}.wscale"]), rel=2e-7)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("bits", "kind"), [(8, np.int8), (16, np.int16)])
def test_an_embedding_is_quantised_group_by_group(bits: int, kind: type, dtype: torch.dtype) -> None:
    table, limit = random((31, 24), 1).to(dtype), (1 << (bits - 1)) - 1
    table[3] = 0
    embedding = quantise_embedding(as_array(table), bits, 8, 4)
    grouped = table.float().view(31, 3, 8)
    scales = grouped.abs().amax(-1) / limit
    codes = torch.round(grouped.double() / scales.double().unsqueeze(-1)).nan_to_num().view(31, 24)
    assert np.array_equal(embedding.scales, scales)
    assert np.array_equal(embedding.codes, codes) and embedding.codes.dtype == kind
    assert abs(embedding.codes).max() == limit and embedding.residual_frac == 4


def test_products_are_exact() -> None:
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(-127, 128, (3, 500), generator=random)
    trits = torch.randint(-1, 2, (77, 500), generator=random, dtype=torch.int8)
    codes[0], trits[-1] = 127, 1
    acc = accumulate(codes, trits)
    assert acc.dtype == torch.int64 and torch.equal(acc, codes @ trits.long().T) and acc[0, -1] == 127 * 500
