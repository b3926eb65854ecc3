# SPDX-License-Identifier: Apache-2.0
"""Cores with codes of more than eight bits, simulated, against the golden integer model; and how they are told."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import random_checkpoint
from tests.command_line import invoke
from tests.cores import CORES, packed
from tests.fake_core import FakeCore
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.model.activations import activations
from tritforge.golden.model.integer import IntegerModel
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.measure.cosim import compare
from tritforge.host.run.backends import CoreBackend, Ids
from tritforge.host.run.driver import Driver
from tritforge.host.run.golden_backends import Cached
from tritforge.hw.params import CoreParams, preset
from tritforge.sim.simulator import SimTransport

MODEL = ModelConfig(hidden=150, layers=2, intermediate=171, vocab=101)
THRESHOLDS = (None, 0, 2.5, 1 / 16)


def golden(image: Image, bits: int, threshold: float | None, ids: Ids):
    return IntegerModel(Cached(DecodedImage(image)), activations=activations(bits, threshold)).forward(
        torch.from_numpy(ids)
    )


@pytest.mark.parametrize("name", ["narrow", "256x4"])
def test_cores_are_bit_exact_at_any_threshold(name: str, tmp_path: Path) -> None:
    """Logits, scales and state; off, logits are those of eight bits, at any threshold others."""
    params = CORES[name]
    assert params.extra_bits
    image = packed(params, tmp_path, MODEL)
    ids = np.arange(7)
    logits = []
    with SimTransport(params, stall=0.3) as transport:
        for threshold in THRESHOLDS:
            backend = CoreBackend(transport, image, threshold)
            assert backend.driver.params.act_bits == params.act_bits
            got = backend.run(ids)
            expected, state = golden(image, params.act_bits, threshold, ids)
            for part in ("raw", "mantissa", "shift"):
                compare(f"{part} at {threshold}", getattr(got.exact, part), getattr(expected, part).numpy())
            compare("state", backend.state(), state.numpy())
            logits.append(got.exact.logits())
    int8, _ = golden(image, 8, None, ids)
    assert np.array_equal(logits[1], int8.logits())
    assert all(not np.array_equal(a, b) for a, b in combinations(logits, 2))


@pytest.fixture
def small(tmp_path: Path) -> Image:
    return packed(CORES["4x2"], tmp_path)


def test_the_driver_sets_the_threshold(small: Image) -> None:
    for bits, given, sixteenths in ((8, None, 0), (10, None, 96), (10, 0, 0), (12, 2.5, 40)):
        fake = FakeCore(replace(CORES["4x2"], act_bits=bits))
        driver = Driver(fake, small, given)
        assert fake.registers["OUTLIERS"] == driver.activations.threshold == sixteenths
        assert driver.params.act_bits == driver.activations.bits == bits


@pytest.mark.parametrize(("bits", "threshold", "message"), [(8, 6.0, "more than 8 bits"), (10, 99.0, "not 99.0")])
def test_the_driver_refuses_what_the_core_cannot_take(
    bits: int, threshold: float, message: str, small: Image
) -> None:
    with pytest.raises(TritforgeError, match=message):
        Driver(FakeCore(replace(CORES["4x2"], act_bits=bits)), small, threshold)


def test_an_older_core_has_eight_bits(small: Image) -> None:
    fake = FakeCore(CORES["4x2"])
    fake.registers["VERSION"] &= ~0xFFFF
    fake.registers["ACTIVATIONS"] = 0xDEAD
    assert Driver(fake, small).params.act_bits == 8


def test_estimates_refuse_what_was_not_measured() -> None:
    result = invoke("estimate", "370M", "--set", "act_bits=10")
    assert result.exit_code == 2 and "known for act_bits 8 only" in result.stderr


def test_commands_take_a_threshold(tmp_path: Path) -> None:
    """Wider codes change logits, unless they are off; eight bits and float have no threshold."""
    model = random_checkpoint(tmp_path / "model", MODEL, tokenizer=False)
    np.save(tmp_path / "ids.npy", np.arange(9))

    def run(*options: str):
        out = tmp_path / "out.npz"
        arguments = ["logits", str(model), "--ids", str(tmp_path / "ids.npy"), "--out", str(out), *options]
        result = invoke(*arguments)
        assert result.exit_code in (0, 2), result.output
        return np.load(out)["logits"] if result.exit_code == 0 else result.stderr

    wide = "--set", "act_bits=12"
    plain, off = run(), run(*wide, "--outlier-threshold", "0")
    assert np.array_equal(plain, off)
    assert not np.array_equal(run(*wide), plain)
    assert np.array_equal(run(*wide), run(*wide, "--outlier-threshold", "6"))
    assert "needs codes of more than 8 bits" in run("--outlier-threshold", "6")
    assert "needs --backend integer or rtl" in run("--backend", "float", "--outlier-threshold", "6")


def test_a_core_needs_a_width_that_it_can_have() -> None:
    with pytest.raises(TritforgeError, match="act_bits must be 8 to 12, not 13"):
        preset("tiny").override({"act_bits": "13"})
    assert CoreParams(act_bits=12, max_hidden=8192).acc_bits == 25
