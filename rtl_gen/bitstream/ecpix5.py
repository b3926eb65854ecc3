# SPDX-License-Identifier: Apache-2.0
"""The design around the machine on an ECPIX-5: the DDR3 controller, which has the clocks, and lamps."""

from pathlib import Path

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import io
from amaranth_boards.ecpix5 import ECPIX585Platform

from tritforge.hw.board.ddr3_side import Ddr3Side
from tritforge.hw.board.machine import MachineParams
from tritforge.rtl_gen.ddr3.emit import cached_controller
from tritforge.rtl_gen.ddr3.joined import add_machine
from tritforge.rtl_gen.tools.build import Status


class Ecpix5(Elaboratable):
    """Machine and controller as black boxes at the pins. The button resets all of it; lamp 0 is green when the memory
    is ready, lamp 1 blue while something is played.

    Parameters
    ----------
    params : of the machine.
    """

    platform = ECPIX585Platform
    device = "LFE5UM5G-85F-8BG554"
    options = ("--um5g-85k", "--package", "CABGA554", "--speed", "8")
    loader = "ecpix5"

    def __init__(self, params: MachineParams) -> None:
        self._params = params

    @staticmethod
    def files(params: MachineParams, status: Status | None) -> list[Path]:
        """Verilog beside the machine's: the controller."""
        assert isinstance(params.memory, Ddr3Side)
        return [cached_controller(params.memory.params, status=status).verilog]

    def elaborate(self, platform: ECPIX585Platform) -> Module:
        m = Module()
        m.submodules.oscillator = oscillator = io.Buffer("i", platform.request("clk100", dir="-"))
        m.submodules.button = button = io.Buffer("i", platform.request("rst", dir="-"))
        names = ("clk", "clk_en", "we", "ras", "cas", "a", "ba", "dqs", "dq", "dm", "odt")
        memory = platform.request("ddr3", 0, dir=dict.fromkeys(names, "-"))
        # the controller has registers and buffers of its own in the pads, and its values are those of the pins
        pads = {
            "o_ddram_clk_p": memory.clk.p,
            "o_ddram_cke": memory.clk_en.io,
            "o_ddram_we_n": memory.we.io,
            "o_ddram_ras_n": memory.ras.io,
            "o_ddram_cas_n": memory.cas.io,
            "o_ddram_a": memory.a.io,
            "o_ddram_ba": memory.ba.io,
            "o_ddram_dm": memory.dm.io,
            "o_ddram_odt": memory.odt.io,
            "io_ddram_dq": memory.dq.io,
            "io_ddram_dqs_p": memory.dqs.p,
        }
        joined = add_machine(m, self._params, oscillator.i, button.i, pads)
        serial = platform.request("uart", 0, dir={"rx": "-", "tx": "-"})
        m.submodules.rx = rx = io.Buffer("i", serial.rx)
        m.submodules.tx = tx = io.Buffer("o", serial.tx)
        m.d.comb += [joined.rx.eq(rx.i), tx.o.eq(joined.tx)]
        for number, colour, value in ((0, "g", joined.ready), (1, "b", joined.playing)):
            lamp = platform.request("rgb_led", number, dir=dict.fromkeys("rgb", "-"))
            for name in "rgb":
                m.submodules[f"lamp_{number}_{name}"] = buffer = io.Buffer("o", getattr(lamp, name))
                m.d.comb += buffer.o.eq(value if name == colour else 0)
        return m
