# SPDX-License-Identifier: Apache-2.0
"""The benchmark: what it counts adds up, a core that differs stops it, and its record says what it is of."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.command_line import invoke
from tests.cores import CORES, MODEL
from tritforge.golden import Failure
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.host.measure import bench
from tritforge.host.measure.bench import Bench, Case
from tritforge.host.measure.figures import Figure, Section
from tritforge.perf.figure import Tag
from tritforge.perf.measured import entries as measured
from tritforge.perf.measured import plan
from tritforge.perf.measured.subject import named
from tritforge.perf.pages import tables_bench
from tritforge.sim.memory_models import AttachedMemory


@contextmanager
def silent(label: str) -> Iterator[None]:
    yield None


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    write_random_checkpoint(tmp_path / "model", MODEL)
    return Case(str(tmp_path / "model"), CORES["16x2"], 0.99)


def test_a_core_is_measured(case: Case) -> None:
    figures = {figure.what: figure for figure in Bench(lambda line: None, lambda label: nullcontext()).core(case)}
    causes = ("beats", "starved", "drain", "dependency", "result")
    assert figures["cycles"].value == sum(figures[cause].value for cause in causes)
    occupancy = figures["weight-stream occupancy"]
    assert occupancy.value == figures["beats"].value / figures["cycles"].value
    assert (occupancy.tag, occupancy.target, occupancy.met) == (Tag.DERIVED, "at least 0.99", False)
    assert figures[bench.SATURATIONS].value == 0


def test_saturations_of_a_core_are_told(case: Case, tmp_path: Path) -> None:
    loud = {
        n: v * np.float32(1e5) if "proj.norm" in n else v
        for n, v in load_file(tmp_path / "model/model.safetensors").items()
    }
    save_file(loud, tmp_path / "model/model.safetensors")
    figures = Bench(lambda line: None, lambda label: nullcontext()).core(case)
    assert next(figure.value for figure in figures if figure.what == bench.SATURATIONS) > 0


def test_a_core_that_differs_stops_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "difference", lambda *_: "logit 3 is 4")
    with pytest.raises(Failure, match="differs from the integer model: logit 3 is 4"):
        Bench(lambda line: None, silent).core(case)


def test_the_json_shows_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = [
        Figure("cycles", 1234567, "a token", Tag.MEASURED),
        Figure("share", 0.5, "", Tag.DERIVED, "at least 1", False),
        Figure(bench.SATURATIONS, 3, "in 2 tokens", Tag.MEASURED),
    ]
    monkeypatch.setattr(Bench, "sections", lambda self, full_size, only: iter([Section("a core", figures)]))
    data = tmp_path / "new" / "figures.json"
    result = invoke("bench", "--quick", "-o", str(data))
    assert result.exit_code == 0, result.output
    assert json.loads(data.read_text())["figures"]["a core"][1]["met"] is False
    assert "1,234,567" in result.output and "at least 1: missed" in result.output
    (warning,) = json.loads(data.read_text())["warnings"]
    assert warning.startswith("3 results were too large") and warning in result.stderr


def test_a_section_is_recorded_with_what_it_is_of(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    monkeypatch.setattr(bench, "SHIPPED", case)
    monkeypatch.setitem(plan.BENCH, "tales", replace(plan.BENCH["tales"], name=case.title))
    result = invoke("bench", "--quick", "--only", case.title, "--record")
    assert result.exit_code == 0, result.output
    found = plan.BENCH["tales"].entry
    assert len(found.on) == 2 and all(found.on.values()) and found.tools and found.machine
    assert f"verilog {named(case.params)}" in found.on
    cycles = next(figure["value"] for figure in found.data["figures"] if figure["what"] == "cycles")
    assert tables_bench.closed_form(plan.BENCH["tales"]) == cycles
    result = invoke("bench", "--only", "nothing like that")
    assert result.exit_code == 2 and "No section's title begins with 'nothing like that'." in result.output


def test_a_token_behind_a_memory(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = AttachedMemory("sdr-100x16", 100)
    behind = replace(case, occupancy=0.0, memory=memory, of_peak=0.5)
    assert behind.title == f"{case.title}, sdr-100x16 at 100 MHz"
    plain, found = (
        {figure.what: figure for figure in Bench(lambda line: None, silent).core(one)} for one in (case, behind)
    )
    assert found["beats"] == plain["beats"] and found["cycles"].value > 1.5 * plain["cycles"].value
    peak, lost = found["of the memory's peak"], found["the memory waits for the core"].value
    assert (peak.target, peak.met) == ("at least 0.5", True) and 0.5 < peak.value < 1 - lost
    assert found["read"].value == pytest.approx(0.2 * peak.value)
    # a beat of 16 bytes in 8 cycles
    assert found["at 100 MHz"].value == pytest.approx(peak.value * 100e6 / (8 * found["beats"].value))
    assert 0.3 < found["the core waits for the memory"].value < 1
    assert "at 160 MHz, memory never late" in plain and "at 160 MHz, memory never late" not in found
    # kept only where a document is made of it
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    monkeypatch.setattr(bench, "SHIPPED", behind)
    result = invoke("bench", "--quick", "--only", behind.title, "--record")
    assert result.exit_code == 0, result.output
    assert "not kept, since no document is made of it" in result.stderr and not (tmp_path / "measured").exists()
