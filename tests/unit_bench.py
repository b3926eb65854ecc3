# SPDX-License-Identifier: Apache-2.0
"""One unit and its bench: its Verilog is written, passes the lint and is simulated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.cocotb_run import run_cocotb


def bench(
    unit: wiring.Component, name: str, parameters: Mapping[str, Any], folder: Path, **options: Any
) -> list[str]:
    """Run `sim.benches.tb_NAME` over a unit, or `sim.benches.ROOM.tb_NAME`.

    Parameters
    ----------
    unit
        The component.
    name
        Of its bench; in a folder of the benches, ROOM.NAME.
    parameters
        The bench reads them.
    folder
        Gets the Verilog.
    options
        Of `sim.cocotb_run.run_cocotb`.

    Returns
    -------
    list of str
        The cocotb tests that ran and passed.
    """
    room, _, name = f"benches.{name}".rpartition(".")
    top = f"unit_{name}"
    files = emit_verilog(unit, top, folder)
    lint(files, top)
    return run_cocotb(files, top, f"tritforge.sim.{room}.tb_{name}", parameters, **options)
