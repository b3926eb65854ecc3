# SPDX-License-Identifier: Apache-2.0
"""The soak itself: it draws what it says, and a core that is wrong at one of its limits is found and told simply."""

import math

import pytest
from hypothesis import HealthCheck, given, settings

from tests.soak import __main__ as soak
from tests.soak.draw import Trial, trials
from tritforge.hw.params import LIMITS, CoreParams
from tritforge.hw.schedule import Shape, shares
from tritforge.rtl_gen.verilog.cached import cached_verilog

DRAWN: list[Trial] = []


@settings(max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(trials())
def test_every_model_fits_its_core(trial: Trial) -> None:
    DRAWN.append(trial)
    for text in trial.texts:
        assert trial.params.misfit(text.config) is None
        shape = Shape(*(getattr(text.config, name) for name in LIMITS))
        assert len(shares(shape, trial.cores, trial.params.vector_rows)) == trial.cores


def test_limits_geometries_and_rings_are_drawn() -> None:
    params = [trial.params for trial in DRAWN]
    # and one of the broadest, which are rare
    assert {one.lanes for one in params} > {4, 8, 16, 32, 64}
    assert {one.code for one in params} == {"nested", "positional", "two_bit"}
    assert any(trial.cores > 1 for trial in DRAWN)
    for name, (least, most) in LIMITS.items():
        limits = {one.limits[name] for one in params}
        assert least in limits, f"the least {name} of a core"
        assert name == "layers" or most in limits, f"the largest {name} of a core"
        reached = [(t.config, trial.params) for trial in DRAWN for t in trial.texts]
        assert any(getattr(config, name) == core.limits[name] > 8 for config, core in reached), f"a model at {name}"


def test_a_core_that_is_wrong_at_a_limit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation is replaced by one that says a wrong token where a model is wider than 200."""

    def is_exact(trial: Trial) -> tuple[int, int]:
        assert all(text.config.hidden <= 200 for text in trial.texts), "token"
        return 1, 1

    monkeypatch.setattr(soak, "is_exact", is_exact)
    found = soak.drawn(1, math.inf)
    assert "AssertionError: token" in found.failure
    # what has nothing to do with it is as simple as can be
    assert found.failure.count("ModelConfig(hidden=1, layers=1, intermediate=1, vocab=2,") == 2
    assert "code='nested', act_bits=8, vector_rows=1, batch=1, link_bytes=0" in found.failure


def test_what_was_compared_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "is_exact", lambda trial: (7, 100))
    found = soak.drawn(2, math.inf, 40)
    told = soak.summary(found.lines)
    assert not found.failure
    assert told["cores"] == len(found.lines) > 5
    assert (told["tokens"], told["cycles"]) == (7 * told["cores"], 100 * told["cores"])
    assert told["models"] == 3 * told["cores"]


def test_nothing_is_drawn_when_the_time_is_over() -> None:
    assert soak.drawn(3, 0.0).lines == []


LEAST = {"max_hidden": 8, "max_layers": 1, "max_intermediate": 8}
FOUND = {
    "a beat longer than the longest row": CoreParams(lanes=4, max_vocab=2, **LEAST),
    "contexts beside limits of 8": CoreParams(lanes=8, code="two_bit", batch=2, max_vocab=60, **LEAST),
    "a vocabulary within half a row block": CoreParams(lanes=32, element_bytes=1, max_vocab=12, **LEAST),
    "as many rows as columns": CoreParams(lanes=16, element_bytes=1, code="two_bit", vector_rows=4, **LEAST),
}
"""Cores that could not be generated."""


@pytest.mark.parametrize("name", FOUND)
def test_what_it_found_is_mended(name: str) -> None:
    """All ended at generation, in the check for values that are cut."""
    assert cached_verilog(FOUND[name])
