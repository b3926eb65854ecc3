# SPDX-License-Identifier: Apache-2.0
"""A machine and the DDR3 controller in front of its memory, two black boxes joined."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Cat, Const, Instance, Module, Signal, Value
from amaranth.lib.wiring import In

from tritforge.hw.board.machine import MachineParams
from tritforge.rtl_gen.ddr3.emit import TOP
from tritforge.rtl_gen.verilog.cached import MACHINE

_NOT_OF_LITEDRAM = ("lock", "cache", "prot")
"""Of an AXI4 address: without effect, and no port of its."""


@dataclass(frozen=True)
class Joined:
    """The machine's own ports, for what surrounds it, and the clock of all of it.

    Attributes
    ----------
    rx : to be driven. tx, playing, ready : as `hw.board.machine.Machine`.
    clock, reset : that the controller makes.
    """

    rx: Signal = field(default_factory=lambda: Signal(init=1, name="rx"))
    tx: Signal = field(default_factory=lambda: Signal(name="tx"))
    playing: Signal = field(default_factory=lambda: Signal(name="playing"))
    ready: Signal = field(default_factory=lambda: Signal(name="ready"))
    clock: Signal = field(default_factory=lambda: Signal(name="clock"))
    reset: Signal = field(default_factory=lambda: Signal(name="reset"))


def add_machine(
    m: Module, params: MachineParams, oscillator: Value, reset: Value, pads: Mapping[str, Any] | None = None
) -> Joined:
    """Add machine and controller to a design.

    Parameters
    ----------
    m
        The design.
    params
        Of the machine.
    oscillator, reset
        What the controller makes its clock of.
    pads
        The memory's, as ports of an `Instance`; none of a modelled memory.
    """
    joined = Joined()
    machine: dict[str, Any] = {"i_clk": joined.clock, "i_rst": joined.reset, "i_rx": joined.rx}
    controller: dict[str, Any] = {"i_clk": oscillator, "i_rst": reset, **(pads or {})}
    machine |= {f"o_{name}": getattr(joined, name) for name in ("tx", "playing", "ready")}
    controller |= {"o_user_clk": joined.clock, "o_user_rst": joined.reset}
    initialised = Signal()
    machine["i_initialised"] = controller["o_init_done"] = initialised

    ports = params.memory.ports(params.core.beat_bits)
    for interface, prefix in (("axi", "user_port_axi"), ("control", "control")):
        for name, member in ports[interface].signature.members.items():
            wire = Signal(member.shape, name=f"{interface}_{name}")
            ours, theirs = ("i", "o") if member.flow is In else ("o", "i")
            machine[f"{ours}_{interface}__{name}"] = wire
            if interface == "axi" and name[2:] in _NOT_OF_LITEDRAM:
                continue
            # a size has four bits there
            value = Cat(wire, Const(0, 1)) if name in ("awsize", "arsize") else wire
            controller[f"{theirs}_{prefix}_{name}"] = value
    # addresses of registers, of which there are not so many, and classic cycles
    address = controller["i_control_adr"]
    controller["i_control_adr"] = Cat(address, Const(0, 30 - len(address)))
    controller |= {"i_control_cti": Const(0, 3), "i_control_bte": Const(0, 2)}
    m.submodules.machine = Instance(MACHINE, **machine)
    m.submodules.ddr3 = Instance(TOP, **controller)
    return joined
