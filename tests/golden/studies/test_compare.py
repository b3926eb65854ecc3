# SPDX-License-Identifier: Apache-2.0
"""The comparisons behind docs/precision.md, on a small random checkpoint."""

import pytest

from tests.checkpoints import random_checkpoint
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.text import TextCodec, bits_per_character
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.studies import repeated, rows
from tritforge.golden.studies.compare import Yardstick

TEXT = "Es war einmal ein Müller."


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint(random_checkpoint(tmp_path_factory.mktemp("model")))


def test_the_distance_is_that_to_the_float_reference(checkpoint: Checkpoint) -> None:
    yardstick = Yardstick(checkpoint, TEXT)
    model = ReferenceModel.from_checkpoint(checkpoint)
    codec = TextCodec.from_folder(checkpoint.folder)
    same = yardstick.measure(model)
    assert same == {
        "logit error": 0,
        "equal argmax": 1,
        "bits/char": bits_per_character(model, codec, TEXT).bits_per_character,
    }
    near = yardstick.measure(IntegerModel(IntegerCheckpoint(checkpoint)))
    assert 0 < near["logit error"] < 0.1 and near["equal argmax"] > 0.5
    assert near["bits/char"] == pytest.approx(same["bits/char"], rel=0.01)


def test_kept_scales_stay_and_means_taken_again_shrink(checkpoint: Checkpoint) -> None:
    found = {(row["route"], row["times"]): row for row in repeated.measure(checkpoint, times=[1, 3])}
    exact, float16, mean = (
        [found[route, times] for times in (1, 3)] for route in ("kept, float32", "kept, float16", "mean again")
    )
    for row in (found["as it is", 0], *exact):
        assert (row["scale left"], row["logit error"], row["equal argmax"]) == (1, 0, 1)
    assert 0 < float16[0]["logit error"] == float16[1]["logit error"] < 0.1
    assert 0.75 > mean[0]["scale left"] > mean[1]["scale left"] ** 0.5
    assert 0.2 < mean[0]["logit error"] < mean[1]["logit error"]


def test_rows_are_compared_by_bytes_and_error(checkpoint: Checkpoint) -> None:
    found = {(row["bits"], row["group"]): row for row in rows.measure(checkpoint)}
    table = checkpoint.tensor("model.embeddings.weight")
    unit = 2.0 ** IntegerCheckpoint(checkpoint).residual_frac
    for (bits, group), row in found.items():
        assert row["bytes"] == table.numel() * bits // 8 + 4 * table.numel() // group
        groups, limit = table.double().unflatten(-1, (-1, group)), 2 ** (bits - 1) - 1
        step = groups.abs().amax(-1, keepdim=True) / limit
        stored = ((groups / step).round() * step * unit).round() / unit  # the host hands on whole residuals
        expected = (stored - groups).square().mean().sqrt() / groups.square().mean().sqrt()
        assert row["row error"] == pytest.approx(expected.item(), rel=1e-3)
    assert found.keys() == {(16, 8), (16, 24), (8, 8), (8, 24)}
