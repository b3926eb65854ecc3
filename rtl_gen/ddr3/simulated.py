# SPDX-License-Identifier: Apache-2.0
"""The Verilog of a machine with DDR3, with LiteDRAM's controller and its model of a memory."""

from dataclasses import replace
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import ClockSignal, Module, ResetSignal

from tritforge.hw.board.ddr3_side import Ddr3Side
from tritforge.hw.board.machine import MachineParams
from tritforge.rtl_gen.ddr3.emit import cached_controller
from tritforge.rtl_gen.ddr3.joined import add_machine
from tritforge.rtl_gen.tools.build import Status, cached_build
from tritforge.rtl_gen.verilog.cached import MACHINE, cached_machine, machine_digest

ROW_BITS = 11
"""Of a modelled memory: 32 MB."""


def smaller(params: MachineParams) -> MachineParams:
    """The same machine with a memory that a simulation can have."""
    assert isinstance(params.memory, Ddr3Side)
    return replace(params, memory=replace(params.memory, params=params.memory.params.with_rows(ROW_BITS)))


def simulated_machine(params: MachineParams, top: str, status: Status | None = None) -> list[Path]:
    """Its files, whose module ``top`` has clock, reset, serial line and lamps.

    Raises
    ------
    TritforgeError
        If the extra is not installed.
    """
    assert isinstance(params.memory, Ddr3Side)
    controller = cached_controller(params.memory.params, True, status)
    files = [*cached_machine(params, MACHINE, status), controller.verilog]
    with cached_build("machine", top, [repr(params), machine_digest(params, __name__)], []) as folder:
        if folder.fresh:
            m = Module()
            joined = add_machine(m, params, ClockSignal(), ResetSignal())
            ports = (joined.rx, joined.tx, joined.playing, joined.ready)
            (folder.path / f"{top}.v").write_text(
                verilog.convert(m, name=top, ports=ports, strip_internal_attrs=True)
            )
    return [*files, folder.final / f"{top}.v"]
