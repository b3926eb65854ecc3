# SPDX-License-Identifier: Apache-2.0
"""Mutants keep their keys, are what they say, and meet their fates in a tiny unit."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sim.mutate.tally import EQUIVALENT, HANGS, KILLED, TOP, VERILOG, everything, located, tally
from tritforge.golden import TritforgeError
from tritforge.sim.mutate.benches import Runner
from tritforge.sim.mutate.design import Design, allotment, design, drawn, mutated, parts, planted
from tritforge.sim.mutate.mutants import Mutant
from tritforge.sim.mutate.prove import MITER, WIRES, proof, proved
from tritforge.sim.mutate.unused import is_unused, used

BENCH = "tests.sim.mutate.cocotb_tally"
ABOVE = """\
module unit_above(a, b, y);
  input [2:0] a;
  input [2:0] b;
  output [1:0] y;
  wire [5:0] product;
  unit_above_product inner(.a(a), .b(b), .y(product));
  assign y = product[5:4];
endmodule
"""
PRODUCT = """\
module unit_above_product(a, b, y);
  input [2:0] a;
  input [2:0] b;
  output [5:0] y;
  assign y = a * b;
endmodule
"""


def moved() -> str:
    """The same unit with lines above that move every other one and take the numbers of its wires."""
    text = re.sub(r"\bn(?:_(\d+))?\b", lambda wire: f"n_{int(wire[1] or 0) + 1}", VERILOG)
    added = "  wire [3:0] n;\n  assign n = sum - 4'h1;\n  output low;\n  assign low = n == 4'h3;\n"
    return text.replace("ends);", "ends, low);").replace("  input clk;\n", f"{added}  input clk;\n")


def test_keys_stay_when_lines_are_added_above(tmp_path: Path) -> None:
    """But for conditions, whose other bit Yosys rolls by the order of cells."""
    before, after = (
        {mutant.key for mutant in everything(tally(tmp_path / name, text)) if "cnot" not in mutant.mode}
        for name, text in (("before", VERILOG), ("after", moved()))
    )
    assert len(before) > 60 and before < after
    assert not any("tally" in key or "$" in key.split(" | ")[1] for key in before)


def test_mutants_are_distinct_and_none_is_of_the_clock_or_nothing(tmp_path: Path) -> None:
    of = tally(tmp_path)
    mutants = everything(of)
    assert len({mutant.key for mutant in mutants}) == len(mutants)
    assert not [mutant.key for mutant in mutants if mutant.port == "CLK"]
    # 4'h1 at an adder: its upper bits are 0 already
    added = {(m.bit, m.mode) for m in mutants if m.kind == "$add" and m.port == "B" and m.mode.startswith("const")}
    assert added == {(0, "const0"), *((bit, "const1") for bit in (1, 2, 3))}
    assert {mutant.mode.partition(":")[0] for mutant in mutants} == {"inv", "const0", "const1", "cnot0", "cnot1"}
    assert all(of.found(mutant, "") == mutant for mutant in mutants)
    assert drawn(of, {"": 7}, 2) == drawn(of, {"": 7}, 2) != drawn(of, {"": 7}, 3)
    assert allotment(of, 9, {"": 1.0}) == {"": 9}
    assert [len(part) for part in parts(mutants[:11], 4)] == [3, 4, 4]


def test_mutants_of_a_unit_meet_their_fates_in_its_bench(tmp_path: Path) -> None:
    """The unmutated unit passes, a planted bit is seen, one that never ends is ended."""
    of = tally(tmp_path)
    control = planted(of, "done")
    run = Runner(of, [located(of, m) for m in (KILLED, HANGS, EQUIVALENT)] + [control], BENCH, {})
    unmutated, killed, hangs = run(0, 200), run(1, 60), run(2, 8)
    equivalent, seen = run(3, 60), run(4, 60)
    assert unmutated.value == equivalent.value == ["counts_to_nine"]
    assert "CocotbFailure" in killed.error and "CocotbFailure" in seen.error
    assert hangs.over and not hangs.error and hangs.seconds < 60


def test_what_is_equivalent_is_proved_and_what_is_not_is_not(tmp_path: Path) -> None:
    of = tally(tmp_path)
    assert [proved(of, located(of, mutant), MITER, 30.0) for mutant in (KILLED, HANGS, EQUIVALENT)] == [
        "",
        "",
        "(top)",
    ]


def test_each_method_proves_what_it_is_for(tmp_path: Path) -> None:
    """Equal outputs of unequal wires, and bits that nothing looks at."""
    of = tally(tmp_path / "tally")
    mutants = [located(of, mutant) for mutant in (KILLED, HANGS, EQUIVALENT)]
    assert [proof(of, mutant, "", MITER, 30.0) for mutant in mutants] == [False, False, True]
    assert not any(proof(of, mutant, "", WIRES, 30.0) for mutant in mutants[:2])
    of, low, high = above(tmp_path / "above")
    assert [proof(of, mutant, "", WIRES, 30.0) for mutant in (low, high)] == [True, False]
    assert [proof(of, mutant, "product", WIRES, 30.0) for mutant in (low, high)] == [False, False]


def test_a_proof_has_a_limit_on_its_time(tmp_path: Path) -> None:
    of = tally(tmp_path)
    assert proved(of, located(of, EQUIVALENT), MITER, 0.01) == ""


def above(folder: Path) -> tuple[Design, Mutant, Mutant]:
    """A product whose lower half its only parent does not look at, and a mutant of each half."""
    folder.mkdir()
    (folder / "unit_above.v").write_text(ABOVE)
    (folder / "unit_above_product.v").write_text(PRODUCT)
    of = design([folder / "unit_above.v", folder / "unit_above_product.v"], "unit_above")
    low, high = (
        of.found(Mutant("product", "$mul", "assign y = a * b;", "Y", bit, "inv"), "product") for bit in (0, 4)
    )
    assert low and high
    return of, low, high


def test_what_is_dropped_above_is_proved_there(tmp_path: Path) -> None:
    of, low, high = above(tmp_path / "above")
    assert [proved(of, mutant, WIRES, 30.0) for mutant in (low, high)] == ["(top)", ""]


def test_what_nothing_looks_at_is_told(tmp_path: Path) -> None:
    """Of a port that decides its own bit alone, that bit; of another all that the cell gives. In every instance."""
    of, low, high = above(tmp_path / "above")
    into = replace(low, port="A")
    assert [is_unused(of, mutant, used(of)) for mutant in (low, high, into)] == [True, False, False]
    second = "wire [5:0] other;\n  unit_above_product second(.a(b), .b(a), .y(other));\n  "
    twice = ABOVE.replace("assign y = product[5:4]", f"{second}assign y = product[5:4] ^ other[1:0]")
    (tmp_path / "unit_above.v").write_text(twice)
    (tmp_path / "unit_above_product.v").write_text(PRODUCT)
    other = design([tmp_path / "unit_above.v", tmp_path / "unit_above_product.v"], "unit_above")
    bits = [other.found(replace(low, bit=bit), "product") for bit in range(6)]
    assert [is_unused(other, bit, used(other)) for bit in bits if bit] == [False, False, True, True, False, False]


def test_an_unknown_output_and_too_many_mutants_are_refused(tmp_path: Path) -> None:
    of = tally(tmp_path)
    with pytest.raises(TritforgeError, match="has no output nothing"):
        planted(of, "nothing")
    with pytest.raises(TritforgeError, match="at most 1023 mutants"):
        mutated(of, [located(of, KILLED)] * 1024)


def test_the_netlist_is_that_of_the_design(tmp_path: Path) -> None:
    assert list(tally(tmp_path).own.items()) == [("", TOP)]
