# SPDX-License-Identifier: Apache-2.0
"""The soak itself: it draws what it says, and a core that is wrong at one of its limits is found and told simply."""

import math

import pytest
from hypothesis import HealthCheck, given, settings

from tests.soak import __main__ as soak
from tests.soak.draw import Trial, trials
from tritforge.hw.params import LIMITS, CoreParams

DRAWN: list[Trial] = []


@settings(max_examples=300, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(trials())
def test_every_model_fits_its_core(trial: Trial) -> None:
    DRAWN.append(trial)
    for text in trial.texts:
        assert trial.params.misfit(text.config) is None


def test_limits_geometries_and_rings_are_drawn() -> None:
    params = [trial.params for trial in DRAWN]
    assert {one.lanes for one in params} == {4, 8, 16, 32, 64, 128, 256}
    assert {one.code for one in params} == {"nested", "positional", "two_bit"}
    assert any(trial.cores > 1 for trial in DRAWN)
    for name, (least, most) in LIMITS.items():
        limits = {one.limits[name] for one in params}
        assert least in limits, f"the least {name} of a core"
        assert name == "layers" or most in limits, f"the largest {name} of a core"
        reached = [(t.config, trial.params) for trial in DRAWN for t in trial.texts]
        assert any(getattr(config, name) == core.limits[name] > 8 for config, core in reached), f"a model at {name}"


def test_a_core_that_is_wrong_at_a_limit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation is replaced by one that says a wrong token where a model is wider than 1,000."""

    def is_exact(trial: Trial) -> tuple[int, int]:
        assert all(text.config.hidden <= 1000 for text in trial.texts), "token"
        return 1, 1

    monkeypatch.setattr(soak, "is_exact", is_exact)
    found = soak.drawn(1, math.inf)
    assert "AssertionError: token" in found.failure
    # as simple as it can be: the narrowest hidden that is wrong, on a core that differs in nothing else
    assert "hidden=1001" in found.failure
    assert "lanes=4" in found.failure


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


def test_cores_that_are_drawn_are_exact() -> None:
    """The simplest one, in simulation."""
    found = soak.drawn(1, math.inf, 1)
    assert (found.failure, len(found.lines)) == ("", 1)
    assert CoreParams(**found.lines[0]["core"] | {"formats": CoreParams().formats}).lanes == 4
