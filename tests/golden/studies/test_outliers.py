# SPDX-License-Identifier: Apache-2.0
"""Codes of more than eight bits for vectors with outliers, in the golden model."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.checkpoints import random_checkpoint
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig
from tritforge.golden.model.activations import Activations, activations
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.int8 import QuantisedModel, Share, absmax, exact, extended, llm_int8
from tritforge.golden.model.integer import INT8, IntegerModel, Scales, analyse, output_scale
from tritforge.golden.model.outlier_codes import logarithm
from tritforge.golden.model.quantise import IntegerCheckpoint, Matrix, fold_norm
from tritforge.golden.model.reference import ReferenceModel
from tritforge.golden.studies import outliers

FORMATS = [Formats(), Formats(wide_bits=24, frac=13, mantissa=12)]
N, VECTORS = 4096, 40
"""An element can be at most sqrt(N) root mean squares."""
MODEL = ModelConfig(hidden=150, layers=2, intermediate=160, vocab=101)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint(random_checkpoint(tmp_path_factory.mktemp("model"), MODEL, tokenizer=False))


def vectors(fmt: Formats) -> Tensor:
    """Wide vectors [VECTORS, N] with outliers of all sizes, the last one zero."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(VECTORS, N, generator=generator, dtype=torch.float64)
    values[:, 7] *= torch.exp2(torch.linspace(0, 9, VECTORS, dtype=torch.float64))
    values *= 2.0 ** (fmt.wide_bits - 14)
    values[-1] = 0
    return values.round().long().clamp(-fmt.wide_max, fmt.wide_max)


def scales(x: Tensor, given: Activations, fmt: Formats) -> Scales:
    folded = fold_norm(np.ones(N), [np.ones(N)], fmt.frac, True, fmt)
    return analyse(x, x, folded.norm, fmt, given)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: f"{fmt.wide_bits}-{fmt.mantissa}")
@pytest.mark.parametrize("threshold", [1 / 16, 5.0, 6.0])
def test_steps_are_the_coarsest_that_the_threshold_allows(fmt: Formats, threshold: float) -> None:
    """The largest element's code is 127 * 2**s, and s is the least that the rule asks for, or all there is."""
    x = vectors(fmt)
    rms = x.double().square().mean(-1).sqrt()
    plain = scales(x, INT8, fmt)
    seen = set()
    for bits in (9, 10, 12):
        found = scales(x, activations(bits, threshold), fmt)
        s = (plain.e_max[0] - found.e_max[0]).squeeze(-1)
        assert torch.equal(found.codes[0].abs().amax(-1)[:-1], 127 << s[:-1])
        assert not found.codes[0][-1].any()
        exact_s = (x.abs().amax(-1) / (threshold * rms)).log2()[:-1]
        least = exact_s.ceil().clamp(0, bits - 8)
        # logarithms of six bits: off only where the real one is next to a whole number
        clear = (exact_s - exact_s.round()).abs() > math.log2(1.03)
        assert clear.sum() > VECTORS / 2 and torch.equal(s[:-1][clear], least[clear].long())
        assert ((s[:-1] - least).abs() <= 1).all() and s.min() >= 0 and s.max() <= bits - 8
        seen |= set(s[:-1].tolist())
    assert seen == ({0, 1, 2, 3, 4} if threshold > 1 else {1, 2, 4})


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: f"{fmt.wide_bits}-{fmt.mantissa}")
def test_codes_stand_for_the_same_values(fmt: Formats) -> None:
    """Codes times their step are the vector, to half a step of finer ones; off, they are those of int8."""
    x = vectors(fmt)[:-1]
    folded = fold_norm(np.ones(N), [np.ones(N)], fmt.frac, True, fmt)
    matrix = folded.matrix(np.ones((1, 1), np.int8), 1.0, 0, fmt.frac, fmt)

    def values(given: Activations) -> tuple[Tensor, Tensor]:
        found = scales(x, given, fmt)
        m, shift = output_scale(found, 0, Matrix(matrix.trits, matrix.mantissa, matrix.exponent), fmt)
        step = m.double() * torch.exp2(-shift.double())
        return found.codes[0] * step, step

    truth = x / x.double().square().mean(-1, keepdim=True).sqrt() * 2.0**fmt.frac
    int8, coarse = values(INT8)
    wide, fine = values(activations(12, 6.0))
    relative = 2.0 ** (4 - fmt.mantissa)
    assert ((wide - truth).abs() <= 0.51 * fine + relative * truth.abs()).all()
    assert (fine[-1] * 16 == coarse[-1]).all() and (wide - truth).square().mean() < 0.1 * (
        int8 - truth
    ).square().mean()
    off, step = values(activations(12, 0))
    assert torch.equal(off, int8) and torch.equal(step, coarse)


def test_logarithms_are_close() -> None:
    value = torch.cat([torch.arange(1, 5000), (2.0 ** torch.linspace(12, 62.9, 5000, dtype=torch.float64)).long()])
    assert (logarithm(value) / 64 - value.double().log2()).abs().max() < 1.5 / 64


def test_off_and_eight_bits_are_int8_in_the_whole_model(checkpoint: Checkpoint) -> None:
    source, ids = IntegerCheckpoint(checkpoint), torch.arange(20)
    expected, state = IntegerModel(source).forward(ids)
    for given in (activations(8), activations(12, 0)):
        found, other = IntegerModel(source, activations=given).forward(ids)
        assert torch.equal(found.raw, expected.raw) and torch.equal(other, state)
        assert torch.equal(found.mantissa, expected.mantissa) and torch.equal(found.shift, expected.shift)
    wide, _ = IntegerModel(source, activations=activations(12, 1 / 16)).forward(ids)
    assert torch.equal(wide.shift - expected.shift, torch.full_like(wide.shift, 4))


def test_llm_int8_takes_outliers_apart() -> None:
    y = torch.tensor([[1.27, -0.634, 6.0, -100.03], [0.5, -1.27, 5.9, 0.2]])
    share = Share()
    found = llm_int8(share)(y)
    assert torch.allclose(found[0, :2], torch.tensor([1.27, -0.63])) and found[0, 2] == 6.0
    assert found[0, 3] == y[0, 3].half() and found[1, 2] == 5.9 and found[1, 0] == pytest.approx(5.9 / 127 * 11)
    assert (share.elements, share.vectors) == (2 / 8, 1 / 2)


def test_a_level_that_the_bits_reach_keeps_its_steps() -> None:
    """127 for 6 rms, for the largest or a power of two below it; in nine bits 255 for the largest at least."""
    y = torch.ones(1, 900)
    y[0, 0] = 100.0
    rms = y.square().mean().sqrt()
    for quantise, level in (
        (extended(12, Share()), 6 * rms),
        (extended(9, Share()), 100 * 127 / 255),
        (extended(12, Share(), power_of_two=True), 100 / 8),
        (extended(9, Share(), power_of_two=True), 50),
        (absmax(8), 100),
        (absmax(12), 100 / 2047 * 127),
    ):
        step = level / 127
        assert quantise(y)[0, 1] == pytest.approx(float(round(1 / float(step)) * step), rel=1e-5)


def test_the_comparison_ranks_them(checkpoint: Checkpoint) -> None:
    model, ids = ReferenceModel.from_checkpoint(checkpoint), torch.arange(8)
    int8, unquantised = (QuantisedModel(model, quantise).forward(ids)[0] for quantise in (absmax(8), exact))
    expected = model.forward(ids)[0]
    assert (int8 - expected).abs().max() < 1e-4 < (unquantised - expected).abs().max()
    yardstick = outliers.Yardstick(checkpoint, None, QuantisedModel(model, exact), 16)
    rows = outliers.in_float(yardstick) + outliers.in_integers(yardstick, IntegerCheckpoint(checkpoint))
    error = {row["activations"]: row["logit error"] for row in rows}
    assert error["16 bits, absmax"] < error["12 bits, absmax"] < error["12 bits, 127 is max / 2^s"] < error["int8"]
    assert error["integer model, 12 bits, threshold 6"] < error["integer model, 8 bits, threshold 0"]


@pytest.mark.parametrize(
    ("bits", "threshold", "message"),
    [
        (7, None, "act_bits must be 8 to 12, not 7"),
        (13, 6.0, "act_bits must be 8 to 12, not 13"),
        (8, 6.0, "needs codes of more than 8 bits"),
        (10, -1.0, r"must be 0 \(off\) or 0.0625 to 63.9375, not -1.0"),
        (10, 64.0, "not 64.0"),
        (10, 0.03, "not 0.03"),
        (10, float("nan"), "not nan"),
    ],
)
def test_bad_choices_are_refused(bits: int, threshold: float | None, message: str) -> None:
    with pytest.raises(TritforgeError, match=message):
        activations(bits, threshold)


def test_the_default_is_six_where_there_are_bits_for_it() -> None:
    assert activations(8) == INT8 and activations(10) == Activations(10, 96)
    with pytest.raises(TritforgeError, match="has 10 bits"):
        Activations(10, 1024)
