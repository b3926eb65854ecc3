# SPDX-License-Identifier: Apache-2.0
"""A campaign of mutants: its controls, its journal, and the oracle that a fixed forty of them guards."""

import json
import os
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.sim.mutate.tally import EQUIVALENT, HANGS, KILLED, located, tally
from tritforge.golden import Failure, TritforgeError
from tritforge.host.measure.mutants import campaign as mutate
from tritforge.host.measure.mutants import results as mutant_results
from tritforge.host.measure.mutants.campaign import Campaign, judge_all, model
from tritforge.host.measure.mutants.oracle import Kill, Oracle
from tritforge.host.measure.mutants.results import Fate, Journal, Result, known, score, table
from tritforge.host.measure.mutants.witness import Witness
from tritforge.hw.params import preset
from tritforge.perf.measured.entries import made
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.pages import tables_verification
from tritforge.sim.mutate.mutants import Mutant
from tritforge.sim.mutate.units import UNITS, unit_of, weights

FORTY = Path(__file__).with_name("forty_mutants.json")
ENOUGH = 34
"""Of the forty may a change of the gateware take some away."""
TINY = Campaign(preset("tiny"), 3)
MUTANTS = [KILLED, HANGS, EQUIVALENT]


class Judge:
    """An oracle that knows what it says of each number; what it is asked is in a file, since others are told."""

    said: dict[int, object]

    def __init__(self, params: object, folder: Path) -> None:
        pass

    def learn(self, library: Path) -> int:
        return 1

    def judge(self, library: Path, number: int) -> Kill | None:
        with (library / "asked").open("a") as file:
            file.write(f"{number} ")
        found = Judge.said[number]
        return found() if callable(found) else found


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The campaign over the tiny unit with `Judge`; gives the folder in which it is told what it was asked."""
    monkeypatch.setattr(mutate, "Oracle", Judge)
    monkeypatch.setattr(mutate, "model", lambda *_: tmp_path)
    monkeypatch.setattr(mutate, "PATIENCE", 1.0)
    seen = Kill("first tokens", "differs", "x is 1, the golden model's is 2")
    monkeypatch.setattr(Judge, "said", {1: seen, 2: None, 3: None, 4: seen}, raising=False)
    return tmp_path


def campaign(folder: Path, resume: bool = False, most: int = 500) -> Journal:
    journal = Journal(folder / "results", TINY.settings(), resume)
    judge_all(TINY, tally(folder / "unit"), MUTANTS, journal, jobs=2, most=most)
    return journal


def test_every_mutant_has_a_result_whatever_it_does_to_its_process(judged: Path) -> None:
    Judge.said |= {2: lambda: time.sleep(60), 3: lambda: os._exit(3)}
    journal = campaign(judged)
    assert [journal.last(mutant.key).fate for mutant in MUTANTS] == [Fate.KILLED, Fate.TIMED_OUT, Fate.KILLED]
    assert journal.last(EQUIVALENT.key).what == "The process ended with status 3 and without an answer."
    assert journal.last(KILLED.key).by == "first tokens" and journal.last(KILLED.key).unit == "core wiring"


def test_a_campaign_goes_on_where_it_was_cut_off(judged: Path) -> None:
    """In the middle of a line too; nothing is judged twice."""
    campaign(judged)
    results = judged / "results" / "results.jsonl"
    first, second, _ = results.read_bytes().splitlines(keepends=True)
    results.write_bytes(first + second[: len(second) // 2])
    (judged / "asked").unlink()
    journal = campaign(judged, resume=True)
    # the control is the fourth in a model of three
    left = {MUTANTS.index(m) + 1 for m in MUTANTS if m.key != json.loads(first)["key"]}
    assert Counter(map(int, (judged / "asked").read_text().split())) == Counter([4, *left])
    assert results.read_bytes().count(b"\n") == 3 and len(journal.results) == 3
    assert [Result(**json.loads(line)) for line in results.read_text().splitlines()] == journal.results
    (judged / "asked").unlink()
    campaign(judged, resume=True)
    assert not (judged / "asked").exists()


def test_results_of_another_campaign_are_left_alone(judged: Path) -> None:
    campaign(judged)
    with pytest.raises(TritforgeError, match="go on with --resume"):
        Journal(judged / "results", TINY.settings(), resume=False)
    with pytest.raises(TritforgeError, match="another campaign"):
        Journal(judged / "results", Campaign(preset("tiny"), 3, seed=2).settings(), resume=True)


def test_a_control_that_survives_ends_the_campaign(judged: Path) -> None:
    Judge.said[4] = None
    with pytest.raises(Failure, match="planted for control passes every check"):
        campaign(judged)


def test_every_model_has_its_controls(judged: Path) -> None:
    Judge.said |= {1: None, 2: Kill("first tokens", "hangs", "")}
    campaign(judged, most=1)
    assert (judged / "asked").read_text().split() == ["2", "1"] * 3


def test_units_have_all_modules_once() -> None:
    assert unit_of("").name == "core wiring" and unit_of("a_new_one").name == "others"
    modules = ["registers", "rescale"]
    assert weights(modules) == {"registers": 1.7, "rescale": 1.0}
    assert weights(modules, "lanes") == weights(modules, "rescale") == {"rescale": 1.0}
    with pytest.raises(TritforgeError, match="no unit 'x'; choose from lanes, registers, or name a module"):
        weights(modules, "x")
    assert len({unit.name for unit in UNITS}) == len(UNITS)


def test_the_score_leaves_out_what_nothing_can_kill() -> None:
    fates = [Fate.KILLED] * 6 + [Fate.BENCH, Fate.PROVED, Fate.ARGUED, Fate.UNREACHABLE, Fate.OPEN, Fate.TIMED_OUT]
    assert score(Counter(fates)) == round(7 / 9, 4) and score(Counter([Fate.PROVED])) is None
    rows = table([Result(str(number), "lanes", "core", fate) for number, fate in enumerate(fates)])
    assert [row["unit"] for row in rows] == ["lanes", "all"] and rows[0] | {"unit": "all"} == rows[1]


def test_what_is_known_holds_for_its_cores_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"key": KILLED.key, "fate": "unreachable", "reason": "too long", "where": {"max_layers": 4}}
    (tmp_path / "known.json").write_text(json.dumps([entry]))
    monkeypatch.setattr(mutant_results, "KNOWN", tmp_path / "known.json")
    mutant_results._known.cache_clear()
    try:
        assert known(KILLED, asdict(preset("tiny"))) == (Fate.UNREACHABLE, "too long")
        assert known(KILLED, asdict(preset("edge"))) is None and known(HANGS, asdict(preset("tiny"))) is None
    finally:
        mutant_results._known.cache_clear()


def test_the_list_of_the_known_is_in_order() -> None:
    entries = json.loads(mutant_results.KNOWN.read_text())
    assert len({entry["key"] for entry in entries}) == len(entries)
    for entry in entries:
        assert Fate(entry["fate"]) in (Fate.ARGUED, Fate.UNREACHABLE) and len(entry["reason"]) > 20
        assert set(entry.get("where", {})) <= set(asdict(preset("tiny")))
        assert ("where" in entry) == (entry["fate"] == "unreachable"), entry["key"]


def test_a_fixed_forty_are_killed_by_the_checks_of_the_core(tmp_path: Path) -> None:
    """Some by each check that kills any. Where too few are left: take others from `tritforge mutate`."""
    of = TINY.design()
    wanted = [Mutant(**entry) for entry in json.loads(FORTY.read_text())]
    assert len(wanted) == 40
    mutants = [found for mutant in wanted if mutant.module in of.own and (found := of.found(mutant, mutant.module))]
    assert len(mutants) >= ENOUGH, f"Only {len(mutants)} of the forty are in this gateware."
    library = model(TINY, of, mutants)
    oracle = Oracle(TINY.params, tmp_path)
    assert oracle.learn(library) > 2000
    kills = [oracle.judge(library, number) for number in range(1, len(mutants) + 2)]
    assert [mutant.key for mutant, kill in zip(mutants, kills, strict=False) if not kill] == []
    assert kills[-1] is not None


def test_a_witness_sees_a_difference_from_either() -> None:
    first = Witness()
    first.golden("x", (1, 2), (1, 2))
    first.same("cycles", 7)
    second = Witness(first.seen)
    with pytest.raises(Failure, match=r"cycles is 8, the unmutated core's is 7"):
        second.same("cycles", 8)
    with pytest.raises(Failure, match=r"x is \(1, 3\), the golden model's is \(1, 2\)"):
        second.golden("x", (1, 3), (1, 2))


def test_a_report_has_every_stage(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed, proved, known, open; what is known and killed all the same; and as a page has it."""
    monkeypatch.setattr(Campaign, "design", lambda *_: tally(judged / "unit"))
    monkeypatch.setattr(Campaign, "mutants", lambda _, of, __: [located(of, mutant) for mutant in MUTANTS])
    monkeypatch.setattr(mutate, "in_bench", lambda *_: iter(()))
    reasons = {KILLED.key: {"fate": "argued", "reason": "no"}, HANGS.key: {"fate": "argued", "reason": "never asked"}}
    monkeypatch.setattr(mutant_results, "_known", lambda: reasons)
    report = mutate.run(TINY, judged / "results", jobs=1)
    assert [row["score"] for row in report.units] == [1.0, 1.0]
    assert {left.key: (left.fate, left.by) for left in report.left} == {
        HANGS.key: (Fate.ARGUED, "never asked"),
        EQUIVALENT.key: (Fate.PROVED, "(top)"),
    }
    assert report.killers == {"first tokens": 1}
    assert report.wrong == [f"{KILLED.key} is argued (no), but first tokens kills it"]
    reasons.clear()
    again = mutate.run(TINY, judged / "results", resume=True, jobs=1)
    assert [row["open"] for row in again.units] == [1, 1] and again.units[-1]["score"] == 0.5
    entry = made("tritforge mutate", again.told(), {})
    monkeypatch.setattr(Measurement, "entry", entry)
    one = Measurement("mutants", "tiny", "tritforge mutate")
    assert "| **all** | 3 | 1 |  | 1 |  |  | 1 |  | 50.0% |" in tables_verification.units(one)
    assert f"* open: `{HANGS.key}`" in tables_verification.checks(one)
