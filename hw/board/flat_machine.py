# SPDX-License-Identifier: Apache-2.0
"""The machine with registers at its pads, as simulations and other tools see it."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.board.machine import Machine, MachineParams
from tritforge.hw.board.sdram_side import SdramSide
from tritforge.hw.memory.pins import SdramPins


class FlatMachine(wiring.Component):
    """A machine with SDRAM whose ports have plain names, with the registers that pads of an FPGA have: one for each
    pin of the memory, outputs and inputs alike (LEAST_CAPTURE of `hw.board.machine_map`). A board's design, but for
    its clocks.

    Parameters
    ----------
    params : of the machine.

    Attributes
    ----------
    rx, tx, playing, ready : as `Machine`. phase : as `SdramSide`. cke ... dq_i : the memory's pins, as `SdramPins`.
    """

    def __init__(self, params: MachineParams) -> None:
        if not isinstance(params.memory, SdramSide):
            raise TritforgeError(
                "Only the pins of an SDRAM have registers of the machine's: take the machine itself."
            )
        self._params = params
        pins = SdramPins(params.memory.chip).members
        lines = {"rx": In(1, init=1), "tx": Out(1, init=1), "phase": Out(8), "playing": Out(1), "ready": Out(1)}
        super().__init__(lines | {name: member for name, member in pins.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.machine = machine = Machine(self._params)
        for name, member in machine.pins.signature.members.items():
            ours, theirs = getattr(self, name), getattr(machine.pins, name)
            m.d.sync += ours.eq(theirs) if member.flow is Out else theirs.eq(ours)
        m.d.comb += machine.rx.eq(self.rx)
        for name in ("tx", "phase", "playing", "ready"):
            m.d.comb += getattr(self, name).eq(getattr(machine, name))
        return m
