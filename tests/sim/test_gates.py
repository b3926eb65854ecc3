# SPDX-License-Identifier: Apache-2.0
"""Gate level: netlists after synthesis and packing behave like the Verilog they were made of."""

import json
import re
from pathlib import Path

import pytest

from tests.pack_samples import PORTS, SAMPLES, samples
from tritforge.host.measure.cosim import run
from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.synthesis.synth import netlist
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.cocotb_run import run_cocotb
from tritforge.sim.gates import GATES, gates

SMALL = CoreParams(lanes=4, max_hidden=64, max_intermediate=64, max_layers=2, max_vocab=64)
"""As little of a core as simulates quickly, gate by gate."""


def compare(folder: Path, names: list[str]) -> list[Path]:
    """The samples of these names beside their netlist, and a module ``compare`` with a bit for each that differs."""
    files = samples(folder, names)
    gate_files = gates(files, "samples")[1:]
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
    return [*files, *gate_files, top]


def test_netlists_with_registers_in_blocks_behave_like_the_design(tmp_path: Path) -> None:
    """From the first cycle on, without a reset."""
    files = compare(tmp_path, list(SAMPLES))
    assert run_cocotb(files, "compare", "tests.cocotb_gates", build_args=GATES) == ["same"]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_netlist_of_the_core_is_bit_exact_whatever_its_registers_begin_with(seed: int) -> None:
    """The testbench of the core with pauses on all channels; a register that the reset misses begins at random."""
    assert run(SMALL, 0.3, tokens=2, seed=seed, gate_level=True)["tokens"] == 2


def test_only_declared_memories_become_ram_and_none_in_the_array() -> None:
    """Yosys gives RAM the name of its memory; tables that it turned into RAM unasked have a name of their own."""
    files = cached_verilog(SMALL)
    declared = {
        name
        for file in files
        for name in re.findall(r"^  reg (?:\[\d+:0\] )?\\?([\w$]+) +\[\d+:0\];", file.read_text(), re.M)
    }
    modules = json.loads(netlist(files, TOP, "ecp5-85k").read_text())["modules"]
    rams_of = {
        unit: [name for name, cell in module["cells"].items() if cell["type"] in ("DP16KD", "TRELLIS_DPR16X4")]
        for unit, module in modules.items()
    }
    assert rams_of[f"{TOP}_vector_path"] and not rams_of[f"{TOP}_ternary_array"]
    rams = [name for names in rams_of.values() for name in names]
    asked = re.compile(rf"(?:\w+\.)*(?:{'|'.join(map(re.escape, declared))})\.\d+\.\d+")
    assert not [name for name in rams if not asked.fullmatch(name)]
