# SPDX-License-Identifier: Apache-2.0
"""Measurements as commands: what they print and refuse. Recording is in tests/perf/measured/test_entries.py."""

from pathlib import Path

import pytest

from tests.command_line import ask, call, refuse
from tritforge.golden.studies import errors
from tritforge.host.measure import memory, timeline
from tritforge.host.measure.timeline import Event
from tritforge.hw.params import CoreParams


def test_errors_of_the_numeric_contract_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "MEASUREMENTS", {"half": lambda fmt: 0.5})
    assert ask("measure", "errors") == {"half": 0.5}
    assert "5.00e-01" in call("measure", "errors") and "2^-1.0" in call("measure", "errors")


@pytest.mark.parametrize(
    ("kind", "key", "words"), [("rows", "row error", "logit error"), ("outliers", "activations", "LLM.int8()")]
)
def test_variants_are_compared(model: Path, kind: str, key: str, words: str) -> None:
    text = call("measure", kind, model, "--tokens", 2)
    found = ask("measure", kind, model, "--tokens", 2)
    assert words in text and all(key in row and "bits/char" not in row for row in found)


def test_storing_again_takes_counts_and_a_text(model: Path) -> None:
    Path("text.txt").write_text("Es war einmal")
    found = ask("measure", "repeated", model, "--tokens", 2, "--times", 2, "--text", "text.txt", "--characters", 5)
    assert {row["times"] for row in found} == {0, 2} and all(row["bits/char"] > 0 for row in found)


def test_folders_that_hold_nothing_to_measure_are_refused(model: Path) -> None:
    for kind in ("rows", "outliers", "repeated"):
        refuse("none is no folder", "measure", kind, "none")
    refuse("has no vectors.npz; give a checkpoint with", "measure", "fidelity", model)
    refuse("text.txt is no readable text", "measure", "rows", model, "--text", "text.txt")


def test_sizes_are_those_of_a_shape() -> None:
    found = ask("measure", "size", "64,2,96,300", "--preset", "tiny")
    assert [row["bits"] for row in found] == [16, 8, 8, 8, 8]
    refuse("A shape is 370M, 1.3B, 2.7B, or hidden,layers,", "measure", "size", "64,2")
    refuse("There is no shape '64,2,96,300'", "measure", "memory", "64,2,96,300")


def test_memory_is_told_with_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[CoreParams] = []

    def measure(config: object, core: CoreParams, *others: object) -> dict:
        seen.append(core)
        return {"image": 7_000_000, "read": 5, "MB": {"before": {"peak": 10.0}, "after": {"peak": 20.5}}, "tokens": 2}

    monkeypatch.setattr(memory, "measure", measure)
    lines = call("measure", "memory", "370M", "--tokens", 2).splitlines()
    assert lines == ["370M: 2 tokens from an image of 7.0 MB, MB beside it", "before: peak 10.0", "after: peak 20.5"]
    assert ask("measure", "memory", "370M")["read"] == 5 and seen[0].max_hidden == 1024 and seen[0].lanes == 64


def test_a_timeline_is_a_list_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "measure", lambda status: [Event("L0", 0, 3, 4), Event("L1", 1, 5, 9)])
    assert ask("measure", "timeline")[1] == {"name": "L1", "track": 1, "start": 5, "cycles": 9}
    assert call("measure", "timeline") == "tales: 2 events in 14 cycles; --json has them\n"
