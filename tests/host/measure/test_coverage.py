# SPDX-License-Identifier: Apache-2.0
"""What is told of counts: by unit, without what cannot be, with the reasons that are known."""

import json
from pathlib import Path

import pytest

from tritforge.golden import TritforgeError
from tritforge.host.measure import coverage
from tritforge.hw.params import CoreParams, preset
from tritforge.sim.coverage import BRANCH, LINE, TOGGLE, Coverage, Place, Point

TINY = preset("tiny")
BUSY, IDLE = Point("sequencer", LINE, "block: a"), Point("sequencer", BRANCH, "if: b")


def counted(points: dict[Point, int]) -> Coverage:
    """Every point at a place of its own, a wire of its text."""
    made = Coverage([], "core")
    made.counts.update(points)
    made.places.update({point: Place(at, point.text) for at, point in enumerate(points)})
    return made


@pytest.fixture
def explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One branch of cores of one context has its reason."""
    entry = {"key": "sequencer | if: b", "reason": "There is one context.", "where": {"batch": 1}}
    (tmp_path / "uncovered.json").write_text(json.dumps([entry]))
    monkeypatch.setattr(coverage, "EXPLAINED", tmp_path / "uncovered.json")


@pytest.mark.usefixtures("explained")
@pytest.mark.parametrize(("params", "reason"), [(TINY, "There is one context."), (CoreParams(batch=2), "")])
def test_lines_that_never_ran_have_their_reason_in_the_cores_that_it_is_of(params: CoreParams, reason: str) -> None:
    found = coverage.report(counted({BUSY: 3, IDLE: 0}), set(), params)
    assert found.left == [{"module": "sequencer", "line": "if: b", "reason": reason}]
    unit, every = found.units
    assert (unit["unit"], every["unit"]) == ("sequencer", "all")
    assert (unit["lines"], unit["ran"], unit["explained"]) == (2, 1, bool(reason))
    assert unit["of lines"] == every["of lines"] == (1.0 if reason else 0.5)


@pytest.mark.usefixtures("explained")
def test_what_ran_needs_no_reason() -> None:
    found = coverage.report(counted({BUSY: 3, IDLE: 1}), set(), TINY)
    assert not found.left and found.units[0]["explained"] == 0 and found.units[0]["of lines"] == 1.0


def test_bits_that_cannot_change_do_not_count() -> None:
    rises = [Point("quantiser", TOGGLE, "sum", bit, "0->1") for bit in range(8)]
    found = coverage.report(
        counted({point: point.bit == 7 for point in rises}), {("quantiser", "sum", bit) for bit in (0, 1, 2)}, TINY
    )
    unit = found.units[0]
    assert (unit["changes"], unit["seen"], unit["constant"], unit["of changes"]) == (5, 1, 3, 0.2)
    assert found.still == [{"module": "quantiser", "wire": "sum", "bits": "6:3"}]


def test_a_core_with_links_is_refused() -> None:
    with pytest.raises(TritforgeError, match=r"The checks are of a core by itself.*leave link_bytes out"):
        coverage.measure(CoreParams(link_bytes=1))
