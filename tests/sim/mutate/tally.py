# SPDX-License-Identifier: Apache-2.0
"""A tiny unit, and its mutants of known fate."""

from pathlib import Path

from tritforge.sim.mutate.design import Design, design, drawn
from tritforge.sim.mutate.mutants import Mutant

TOP = "unit_tally"
VERILOG = """\
module unit_tally(clk, rst, go, sum, done, ends);
  input clk;
  input rst;
  input go;
  output [3:0] sum;
  output done;
  output ends;
  reg [3:0] sum;
  initial sum = 4'h0;
  wire [3:0] n;
  wire n_1;
  wire n_2;
  wire n_3;
  wire waits;
  assign waits = ~ done;
  assign n = sum + 4'h1;
  assign n_1 = go & waits;
  assign done = sum == 4'h9;
  assign n_2 = done & go;
  assign n_3 = done | n_2;
  assign ends = n_3;
  always @(posedge clk)
    if (rst) sum <= 4'h0;
    else if (n_1) sum <= n;
endmodule
"""
KILLED = Mutant("", "$add", "assign n = sum + 4'h1;", "Y", 1, "inv")
HANGS = Mutant("", "$not", "assign waits = ~ done;", "Y", 0, "const0")
EQUIVALENT = Mutant("", "$or", "assign n = done | (done & go);", "B", 0, "const0")
"""What is absorbed may as well be 0."""


def tally(folder: Path, verilog: str = VERILOG) -> Design:
    """The unit as cells."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{TOP}.v"
    file.write_text(verilog)
    return design([file], TOP)


def everything(of: Design) -> list[Mutant]:
    """All of its mutants."""
    return drawn(of, {"": 1000}, 1)


def located(of: Design, mutant: Mutant) -> Mutant:
    """The same with the cell's name in a netlist."""
    found = of.found(mutant, "")
    assert found is not None, mutant.key
    return found
