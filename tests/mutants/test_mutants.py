# SPDX-License-Identifier: Apache-2.0
"""A campaign over units around a core: every mutant has a fate, and a bench that says nothing ends it."""

import json
from pathlib import Path

import pytest

from tests.mutants import __main__ as mutants
from tests.mutants.subjects import Subject, subjects
from tritforge.hw.board.phase_stepper import PhaseStepper
from tritforge.hw.board.wishbone_window import WishboneWindow

STEPPER = Subject("board.phase_stepper", PhaseStepper, {})


@pytest.fixture
def of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the units are a good bench and one that is told wrong things."""
    wrong = Subject("board.wishbone_window", lambda: WishboneWindow(6), {"address_bits": 14})
    monkeypatch.setattr(mutants, "subjects", lambda: {"steps": [STEPPER], "wrong": [wrong]})


@pytest.mark.usefixtures("of")
def test_some_mutants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All have a fate, and nothing is judged twice when it goes on."""
    options = ["steps", "--count", "3", "--jobs", "1", "--out", str(tmp_path), "--json"]
    assert mutants.main(options) == 0
    found = capsys.readouterr().out
    unit, every = json.loads(found)["units"]
    assert unit["unit"] == "board.phase_stepper" and unit["mutants"] == every["mutants"] == 3
    assert unit["bench"] >= 1 and unit["killed"] == 0
    lines = (tmp_path / "results.jsonl").read_text()
    assert mutants.main([*options, "--resume"]) == 0
    assert capsys.readouterr().out == found and (tmp_path / "results.jsonl").read_text() == lines


@pytest.mark.usefixtures("of")
def test_a_bench_that_fails_by_itself_is_no_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main(["wrong", "--count", "2", "--out", str(tmp_path)]) == 1
    assert "The bench of board.wishbone_window cannot judge: the unmutated unit" in capsys.readouterr().err


def test_what_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        mutants.main(["nothing"])
    assert ended.value.code == 2 and "choose from reader, controller, bridge." in capsys.readouterr().err


def test_benches_are_there() -> None:
    for subject in (one for every in subjects().values() for one in every):
        room, _, name = subject.bench.rpartition(".")
        assert (Path("sim", "benches") / room / f"tb_{name}.py").exists()
