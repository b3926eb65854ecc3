# SPDX-License-Identifier: Apache-2.0
"""Cores with codes of more than eight bits, simulated, against the golden integer model; and how they are told."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch

from golden.checkpoint import ModelConfig
from golden.integer import IntegerModel
from golden.outlier_codes import activations
from host.backends import Cached, CoreBackend
from host.driver import Driver
from host.image import Image
from hw.params import CoreParams, preset
from sim.cosim import compare
from sim.transport import SimTransport
from tests.cores import CORES, packed
from tests.fake_core import FakeCore

MODEL = ModelConfig(hidden=150, layers=2, intermediate=171, vocab=101)
WIDE = {"10 bits": replace(CORES["4x2"], act_bits=10), "12 bits": replace(CORES["64x4"], act_bits=12)}
"""One row a cycle and three contexts, four rows and two contexts."""
THRESHOLDS = (None, 0, 2.5, 1 / 16)


def golden(image: Image, bits: int, threshold: float | None, ids: torch.Tensor):
    return IntegerModel(Cached(image), activations=activations(bits, threshold)).forward(ids)


@pytest.mark.parametrize("name", WIDE)
def test_cores_are_bit_exact_at_any_threshold(name: str, tmp_path: Path) -> None:
    """Logits, scales and state; off, logits are those of eight bits, at any threshold others."""
    core = WIDE[name]
    image = packed(core, tmp_path, MODEL)
    ids = torch.arange(7)
    logits = []
    with SimTransport(core, stall=0.3) as transport:
        for threshold in THRESHOLDS:
            backend = CoreBackend(transport, image, threshold)
            assert backend.driver.core.act_bits == core.act_bits
            got = backend.run(ids)
            expected, state = golden(image, core.act_bits, threshold, ids)
            for part in ("raw", "mantissa", "shift"):
                compare(f"{part} at {threshold}", getattr(got.exact, part).numpy(), getattr(expected, part).numpy())
            compare("state", backend.state().numpy(), state.numpy())
            logits.append(got.exact.logits())
    int8, _ = golden(image, 8, None, ids)
    assert torch.equal(logits[1], int8.logits())
    assert all(not torch.equal(a, b) for a, b in combinations(logits, 2))


@pytest.fixture
def small(tmp_path: Path) -> Image:
    return packed(CORES["4x2"], tmp_path)


def test_the_driver_sets_the_threshold(small: Image) -> None:
    for bits, given, sixteenths in ((8, None, 0), (10, None, 96), (10, 0, 0), (12, 2.5, 40)):
        fake = FakeCore(replace(CORES["4x2"], act_bits=bits))
        driver = Driver(fake, small, given)
        assert fake.registers["OUTLIERS"] == driver.activations.threshold == sixteenths
        assert driver.core.act_bits == driver.activations.bits == bits


@pytest.mark.parametrize(("bits", "threshold", "message"), [(8, 6.0, "more than 8 bits"), (10, 99.0, "not 99.0")])
def test_the_driver_refuses_what_the_core_cannot_take(
    bits: int, threshold: float, message: str, small: Image
) -> None:
    with pytest.raises(ValueError, match=message):
        Driver(FakeCore(replace(CORES["4x2"], act_bits=bits)), small, threshold)


def test_an_older_core_has_eight_bits(small: Image) -> None:
    fake = FakeCore(CORES["4x2"])
    fake.registers["VERSION"] &= ~0xFFFF
    fake.registers["ACTIVATIONS"] = 0xDEAD
    assert Driver(fake, small).core.act_bits == 8


def test_a_core_needs_a_width_that_it_can_have() -> None:
    with pytest.raises(ValueError, match="act_bits must be 8 to 12, not 13"):
        preset("tiny").override({"act_bits": "13"})
    assert CoreParams(act_bits=12, max_hidden=8192).acc_bits == 25
