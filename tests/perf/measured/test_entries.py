# SPDX-License-Identifier: Apache-2.0
"""Commands that measure keep what they found, with what it is of, and documents can show it."""

import json
from pathlib import Path

import pytest

from tests.checkpoints import random_checkpoint
from tests.command_line import call, refuse
from tests.cores import MODEL
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.host.measure.gate_power import Token
from tritforge.hw.params import preset
from tritforge.perf.measured import entries as measured
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import Entry, entries
from tritforge.perf.measured.subject import model_digest, specification_digest
from tritforge.perf.pages import tables_power, tables_studies
from tritforge.rtl_gen.synthesis.sta import Power


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is recorded in the checkout."""
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")


def only(file: str) -> Entry:
    (found,) = entries(file).values()
    return found


def test_power_is_recorded_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / f"{plan.LIBERTY}.lib"
    library.write_text("")
    units = {unit: Power(1e-3, 2e-3, 1e-9, 500.0) for unit in ("array", "vector", "")}
    token = Token(0.4, 1000, 900, units, {unit: Power(1e-3) for unit in units}, saturations=0)
    monkeypatch.setattr(
        "tritforge.host.measure.gate_power.measure", lambda *_: dict.fromkeys(("model", "random", "sparse"), token)
    )
    monkeypatch.setattr("tritforge.rtl_gen.synthesis.sta.version", lambda: "2.0")
    call("power", "--preset", "edge", "--liberty", library, "--record")
    assert plan.GATES.entry.command == plan.GATES.command
    assert plan.GATES.entry.tools["OpenSTA"] == "2.0" and all(plan.GATES.entry.on.values())
    assert list(plan.GATES.entry.on) == ["verilog edge", "model models/tales"]
    assert "| **sum** | 9.00 | 9.00 | 9.00 | 3.00 | 0.00000 | 1,500 |" in tables_power.units_table()
    assert "| cycles of the token | 1,000 | 1,000 | 1,000 |" in tables_power.tokens_table()


def test_a_score_is_recorded_with_text_and_model(tmp_path: Path) -> None:
    model, text = random_checkpoint(tmp_path / "tales"), tmp_path / "text.txt"
    text.write_text("a b a b")
    call("eval", model, "--text", text, "--backend", "integer", "--record")
    one = plan.SCORES["integer"].entry
    assert set(one.on) == {"model tales", "text text.txt", "specification"}
    assert one.on["specification"] == specification_digest() and one.on["model tales"] == model_digest(model)
    assert tables_studies.score("integer") == f"{one.data['bits_per_character']:.4f}"


@pytest.mark.parametrize("kind", ["rows", "repeated", "outliers"])
def test_a_study_is_recorded_as_documents_want_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_random_checkpoint(tmp_path / "model", MODEL)
    for model in ("A", "B"):
        call("measure", kind, tmp_path / "model", "--as", model, "--tokens", 8, "--record")
    assert list(entries("studies")) == [f"{kind} A", f"{kind} B"]
    assert all(one.data["tokens"] == 8 and len(one.on) == 2 for one in entries("studies").values())
    table = {"rows": plan.ROWS, "repeated": plan.REPEATED, "outliers": plan.OUTLIERS}[kind]
    for name in table.keys() - {"A", "B"}:
        monkeypatch.setitem(table, name, table["A"])
    rows = [row | {"bits/char": 1.0} for row in table["A"].entry.data["rows"]]
    monkeypatch.setattr(tables_studies, "rows", lambda one: rows)
    shown = {
        "rows": tables_studies.embedding_rows,
        "repeated": tables_studies.repeated,
        "outliers": tables_studies.outliers,
    }
    assert len(shown[kind]().splitlines()) == len(rows) + 2


def test_a_study_that_nobody_shows_is_refused(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path / "model", MODEL)
    refuse("No document shows 'rows model'; leave --record out.", "measure", "rows", tmp_path / "model", "--record")
    assert not entries("studies")


def test_the_demonstration_is_recorded_of_the_shipped_model_alone(tmp_path: Path) -> None:
    model = random_checkpoint(tmp_path / "model")
    refuse("leave --record out", "demo", "--model", model, "--record")


def test_areas_are_recorded_unit_by_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    call("synth", "--preset", "edge", "--unit", "trit_decoder", "--record", "--json")
    one = plan.area("edge", "trit_decoder").entry
    assert list(one.on) == ["verilog edge: trit_decoder"] and one.data["total"]["logic"] > 5
    assert one.command == "tritforge synth --preset edge --unit trit_decoder --record"
    assert preset("edge").lanes == 16 and json.dumps(one.data)
