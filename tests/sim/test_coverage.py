# SPDX-License-Identifier: Apache-2.0
"""What is counted of a tiny unit is what its bench does, and bits that cannot change are named."""

from pathlib import Path

import pytest

from tests.sim.mutate.tally import TOP, VERILOG
from tritforge.golden import TritforgeError
from tritforge.sim.build_harness import COUNTING
from tritforge.sim.cocotb_run import run_cocotb
from tritforge.sim.coverage import BRANCH, LINE, TOGGLE, Coverage, Point, constant

NEVER = VERILOG.replace("  wire waits;\n", "  wire waits;\n  wire never;\n  assign never = done & 1'h0;\n")
RISES, FALLS = "0->1", "1->0"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Coverage:
    """Of a bench that counts to nine and ends."""
    folder = tmp_path_factory.mktemp("coverage")
    file, written = folder / f"{TOP}.v", folder / "coverage.dat"
    file.write_text(NEVER)
    target = f"+verilator+coverage+file+{written}"
    run_cocotb([file], TOP, "tests.sim.mutate.cocotb_tally", build_args=COUNTING, plusargs=[target])
    found = Coverage([file], TOP, "tally")
    found.read(written)
    return found


def changes(counted: Coverage, wire: str) -> list[tuple[int, str]]:
    """Those that were seen of a wire."""
    return sorted((p.bit, p.change) for p, n in counted.counts.items() if n and p.kind == TOGGLE and p.text == wire)


def test_bits_change_as_the_bench_counts(counted: Coverage) -> None:
    """To nine: the upmost bit rises at eight and does not fall, the two below fall there."""
    both = [(bit, change) for bit in range(3) for change in (RISES, FALLS)]
    assert changes(counted, "sum") == [*both, (3, RISES)]
    assert changes(counted, "(sum + 4'h1)") == [*both, (3, RISES)]
    assert changes(counted, "ends") == [(0, RISES)] and changes(counted, "never") == []
    assert {point.module for point in counted.counts} == {"tally"}


def test_lines_and_branches_are_told_by_their_statements(counted: Coverage) -> None:
    found = {point.text: n for point, n in counted.counts.items() if point.kind in (LINE, BRANCH)}
    assert found["elsif: if (rst) sum <= 4'h0;"] == 1
    counts = "else if ((go & waits)) sum <= (sum + 4'h1);"
    assert found[f"if: {counts}"] == 9
    assert [text for text, n in found.items() if not n] == [f"else: {counts}"]  # it ends at nine


def test_bits_that_cannot_change_are_found(counted: Coverage, tmp_path: Path) -> None:
    file = tmp_path / f"{TOP}.v"
    file.write_text(NEVER)
    fixed = constant([file], TOP)
    assert fixed == {("", "never", 0)}
    assert not any(changes(counted, wire) for _, wire, _ in fixed)


def test_another_design_adds_to_what_is_the_same(counted: Coverage, tmp_path: Path) -> None:
    """Though its wires are numbered otherwise; what only the other has is left out."""
    file, data = tmp_path / "unit_other.v", tmp_path / "coverage.dat"
    file.write_text(
        NEVER.replace(TOP, "unit_other").replace("n_1", "n_7").replace("  wire n_2;\n", "  wire n_2;\n\n")
    )
    points = {"sum[3]:1->0": 2, "n_7:0->1": 3, "strange:0->1": 1}
    lines = (
        f"C '\1f\2x.v\1l\2{20 + at}\1n\29\1t\2toggle\1page\2v_toggle/unit_other\1o\2{what}\1h\2TOP' {count}"
        for at, (what, count) in enumerate(points.items())
    )
    data.write_text("\n".join(["# SystemC::Coverage-3", *lines]) + "\n")
    other, here = Coverage([file], "unit_other", "tally"), Coverage([], TOP)
    other.read(data)
    here.counts.update(counted.counts)
    assert here.add(other) == 2
    falls, moves = Point("tally", TOGGLE, "sum", 3, FALLS), Point("tally", TOGGLE, "(go & waits)", 0, RISES)
    assert here.counts[falls] == 2 and here.counts[moves] == counted.counts[moves] + 3
    assert not any(point.text == "strange" for point in here.counts)


def test_a_file_without_counts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.dat").write_text("# SystemC::Coverage-3\n")
    with pytest.raises(TritforgeError, match="has no counts; build the simulation with coverage"):
        Coverage([], TOP).read(tmp_path / "empty.dat")
