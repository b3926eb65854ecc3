# SPDX-License-Identifier: Apache-2.0
"""Gate level: netlists after synthesis and packing behave like the Verilog they were made of."""

from pathlib import Path

from sim.cocotb_run import run_cocotb
from sim.gates import LINT, gates
from tests.pack_samples import PORTS, SAMPLES, samples


def compare(folder: Path, names: list[str]) -> list[Path]:
    """The samples of these names beside their netlist, and a module ``compare`` with a bit for each that differs."""
    files = samples(folder, names)
    netlist, *cells = gates(files, "samples")
    renamed = folder / "gates.v"
    renamed.write_text(netlist.read_text().replace("module samples(", "module samples_gates("))
    each = ", ".join(f"y_{name}" for name in names)
    other = ", ".join(f"g_{name}" for name in names)
    top = folder / "compare.v"
    top.write_text(
        f"module compare({PORTS}, output [{len(names) - 1}:0] different);\n"
        f"wire [35:0] {each}, {other};\n"
        f"samples verilog(clk, rst, ce, we, a, b, {each});\n"
        f"samples_gates netlist(clk, rst, ce, we, a, b, {other});\n"
        f"assign different = {{{', '.join(f'y_{name} != g_{name}' for name in reversed(names))}}};\nendmodule\n"
    )
    return [*files, renamed, *cells, top]


def test_netlists_with_registers_in_blocks_behave_like_the_design(tmp_path: Path) -> None:
    """From the first cycle on, without a reset."""
    files = compare(tmp_path, list(SAMPLES))
    assert run_cocotb(files, "compare", "tests.cocotb_gates", build_args=LINT) == ["same"]
