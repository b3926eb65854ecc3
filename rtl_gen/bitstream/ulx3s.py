# SPDX-License-Identifier: Apache-2.0
"""The design around the machine on a ULX3S: PLL, reset, registers in the pads, lamps."""

from pathlib import Path

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, ResetSignal, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth_boards.ulx3s import ULX3S_85F_Platform

from tritforge.hw.board.machine import MachineParams
from tritforge.hw.board.phase_stepper import PhaseStepper
from tritforge.hw.board.sdram_side import SdramSide
from tritforge.hw.memory.pins import SdramPins
from tritforge.rtl_gen.bitstream.pll import dividers
from tritforge.rtl_gen.tools.build import Status
from tritforge.rtl_gen.verilog.cached import MACHINE

REFERENCE_HZ = 25_000_000


class Ulx3s(Elaboratable):
    """The machine as a black box, and the board around it.

    The memory's clock is the second output of the PLL: half a period behind the first at the beginning, and shifted
    by steps of an eighth of the oscillator's period (CAPTURE of `hw.board.machine_map`).

    Parameters
    ----------
    params : of the machine.
    """

    platform = ULX3S_85F_Platform
    device = "LFE5U-85F-6BG381C"
    options = ("--85k", "--package", "CABGA381", "--speed", "6")
    loader = "ulx3s"

    def __init__(self, params: MachineParams) -> None:
        self._params = params

    @staticmethod
    def files(params: MachineParams, status: Status | None) -> list[Path]:
        """Verilog beside the machine's: none."""
        return []

    def elaborate(self, platform: ULX3S_85F_Platform) -> Module:
        m = Module()
        self._clocks(m, platform)
        assert isinstance(self._params.memory, SdramSide)
        chip = self._params.memory.chip
        pins = SdramPins(chip).create(path=("memory",))
        serial = platform.request("uart", 0, dir={name: "-" for name in ("rx", "tx", "rts", "dtr")})
        m.submodules.rx = rx = io.Buffer("i", serial.rx)
        m.submodules.tx = tx = io.Buffer("o", serial.tx)
        phase = Signal(8)
        playing = Signal()
        ready = Signal()
        members = SdramPins(chip).members
        ports = {
            f"{'o' if member.flow.name == 'Out' else 'i'}_pins__{name}": getattr(pins, name)
            for name, member in members.items()
        }
        m.submodules.machine = Instance(
            MACHINE,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_rx=rx.i,
            o_tx=tx.o,
            o_phase=phase,
            o_playing=playing,
            o_ready=ready,
            **ports,
        )
        m.submodules.stepper = stepper = PhaseStepper()
        m.d.comb += [stepper.wanted.eq(phase), self._step.eq(stepper.step)]
        self._memory(m, platform, pins)
        heart = Signal(27)
        m.d.sync += heart.eq((heart + 1)[: len(heart)])
        for number, value in enumerate((ready, playing, heart[-1])):
            lamp = platform.request("led", number, dir="-")
            m.submodules[f"lamp_{number}"] = buffer = io.Buffer("o", lamp)
            m.d.comb += buffer.o.eq(value)
        return m

    def _clocks(self, m: Module, platform: ULX3S_85F_Platform) -> None:
        """Domains ``sync`` and, for the memory's pin alone, ``memory``."""
        found = dividers(REFERENCE_HZ, self._params.clock_hz)
        m.submodules.reference = reference = io.Buffer("i", platform.request("clk25", dir="-"))
        m.domains.sync = ClockDomain()
        m.domains.memory = ClockDomain(reset_less=True)
        locked = Signal()
        self._step = Signal()
        half = found.divider // 2
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="ENABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_CLKI_DIV=found.input,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=found.divider,
            p_CLKOP_CPHASE=found.divider - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=found.divider,
            p_CLKOS_CPHASE=found.divider - 1 + half,
            p_CLKOS_FPHASE=4 * (found.divider % 2),
            p_FEEDBK_PATH="CLKOP",
            p_CLKFB_DIV=found.feedback,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_CLKI=reference.i,
            i_CLKFB=ClockSignal(),
            # the second output, later
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(0),
            i_PHASESTEP=self._step,
            i_PHASELOADREG=Const(0),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_ENCLKOS=Const(0),
            o_CLKOP=ClockSignal(),
            o_CLKOS=ClockSignal("memory"),
            o_LOCK=locked,
        )
        m.submodules.reset = ResetSynchronizer(~locked)

    @staticmethod
    def _memory(m: Module, platform: ULX3S_85F_Platform, pins: SdramPins) -> None:
        """A register in each pad."""
        names = ("clk", "clk_en", "cs", "we", "cas", "ras", "dqm", "ba", "a", "dq")
        ports = platform.request("sdram", 0, dir=dict.fromkeys(names, "-"))
        m.submodules.memory_clock = clock = io.DDRBuffer("o", ports.clk, o_domain="memory")
        m.d.comb += [clock.o[0].eq(1), clock.o[1].eq(0)]
        # the resource knows which pins are inverted; so the values are as they are meant
        meant = {
            "clk_en": pins.cke,
            "cs": ~pins.cs_n,
            "we": ~pins.we_n,
            "cas": ~pins.cas_n,
            "ras": ~pins.ras_n,
            "dqm": pins.dqm,
            "ba": pins.ba,
            "a": pins.a,
        }
        for name, value in meant.items():
            m.submodules[f"pad_{name}"] = buffer = io.FFBuffer("o", getattr(ports, name))
            m.d.comb += buffer.o.eq(value)
        m.submodules.pad_dq = data = io.FFBuffer("io", ports.dq)
        m.d.comb += [data.o.eq(pins.dq_o), data.oe.eq(pins.dq_oe), pins.dq_i.eq(data.i)]
