# SPDX-License-Identifier: Apache-2.0
"""The controller in LiteX's words; a program of its own, which gets parameters and a folder.

LiteX names signals by what it has seen before and keeps what it builds in globals: one controller a process gives the
same text each time. Nothing else of the project imports this module and `rtl_gen.ddr3.modelled_phy`, or LiteX.
"""

import json
import logging
from copy import copy
from pathlib import Path
from typing import Any

from litedram import modules
from litedram.core.controller import ControllerSettings
from litedram.frontend.axi import LiteDRAMAXI2Native, LiteDRAMAXIPort
from litedram.gen import (
    LiteDRAMCoreControl,
    LiteDRAMECP5DDRPHYCRG,
    get_axi_user_port_ios,
    get_common_ios,
    get_dram_ios,
)
from litedram.init import get_sdram_phy_init_sequence, get_sdram_phy_py_header
from litedram.phy import ECP5DDRPHY
from litedram.phy.model import SDRAMPHYModel
from litex.build.lattice import LatticePlatform
from litex.gen import LiteXModule
from litex.soc.integration.export import get_csr_json
from litex.soc.integration.soc_core import SoCMini
from litex.soc.interconnect import wishbone
from migen import ClockDomain, ClockSignal, ResetSignal, Signal

from tritforge.rtl_gen.ddr3.modelled_phy import ModelledPhy
from tritforge.rtl_gen.ddr3.row_opener import RowOpener

PORT = "axi"
TOP = "ddr3"
ROW_WORDS = 128
POSTPONED = 8
"""Refreshes that come together, as many as the standard allows: the rows are closed once for all of them."""


class SimulatedClocks(LiteXModule):  # type: ignore[misc] # no types
    """The pins are the clock and its reset."""

    def __init__(self, platform: Any) -> None:
        self.cd_sys = ClockDomain()
        self.comb += [
            self.cd_sys.clk.eq(platform.request("clk")),
            self.cd_sys.rst.eq(platform.request("rst")),
        ]


class Controller(SoCMini):  # type: ignore[misc] # no types
    """Registers behind Wishbone, one AXI4 port, and the PHY, or a model of it with all behind it."""

    mem_map = {"csr": 0}  # noqa: RUF012 # LiteX's way
    csr_map = {"ddrctrl": 0, "ddrphy": 1, "sdram": 2}  # noqa: RUF012

    def __init__(self, platform: Any, params: dict[str, Any]) -> None:
        clock = params["clock_hz"]
        super().__init__(platform, clock, csr_data_width=32, with_ctrl=False)
        self.module = module = _module(params)(clock, rate="1:2")
        config = {
            "memtype": "DDR3",
            "sdram_module": type(module),
            "sdram_module_nb": 2,
            "sdram_rank_nb": 1,
            "sys_clk_freq": clock,
            "input_clk_freq": params["reference_hz"],
            "init_clk_freq": 25e6,
        }
        platform.add_extension(get_common_ios())
        platform.add_extension(_pads(config, params["absent_pins"]))
        phy = ECP5DDRPHY(platform.request("ddram"), sys_clk_freq=clock)
        self.settings = phy.settings
        if not params["simulated"]:
            assert module.geom_settings.rowbits == params["row_bits"]
            self.crg = LiteDRAMECP5DDRPHYCRG(platform, config)
            self.comb += [self.crg.stop.eq(phy.init.stop), self.crg.reset.eq(phy.init.reset)]
        else:
            self.crg = SimulatedClocks(platform)
            # fewer rows, but as many address pins, which the mode registers need
            module.geom_settings.rowbits = params["row_bits"]
            model = SDRAMPHYModel(module, settings=phy.settings, clk_freq=clock)
            phy = ModelledPhy(model, params["windows"])
        self.ddrphy = phy
        self.add_sdram(
            "sdram",
            phy=phy,
            module=module,
            with_soc_interconnect=False,
            controller_settings=ControllerSettings(refresh_postponing=POSTPONED),
        )
        self.ddrctrl = LiteDRAMCoreControl()
        bus = wishbone.Interface(data_width=32, adr_width=30)
        self.bus.add_master(master=bus)
        platform.add_extension(bus.get_ios("control"))
        self.comb += [
            platform.request("init_done").eq(self.ddrctrl.init_done.storage),
            platform.request("init_error").eq(self.ddrctrl.init_error.storage),
            bus.connect_to_pads(platform.request("control"), mode="slave"),
            platform.request("user_clk").eq(ClockSignal()),
            platform.request("user_rst").eq(ResetSignal()),
        ]
        self._port(platform, params)

    def _port(self, platform: Any, params: dict[str, Any]) -> None:
        """The AXI4 port, which takes nothing before the host has said that the memory is ready."""
        native = self.sdram.crossbar.get_port()
        self.opener = RowOpener(native, self.sdram.crossbar.get_port(), ROW_WORDS)
        address_bits = native.address_width + (native.data_width // 8 - 1).bit_length()
        axi = LiteDRAMAXIPort(data_width=native.data_width, address_width=address_bits, id_width=params["id_bits"])
        self.axi = LiteDRAMAXI2Native(axi, native, r_buffer_depth=params["outstanding"])
        platform.add_extension(get_axi_user_port_ios(PORT, address_bits, native.data_width, params["id_bits"]))
        pads = platform.request(f"user_port_{PORT}")
        ready = Signal()
        self.sync += ready.eq(self.ddrctrl.init_done.storage & ~self.ddrctrl.init_error.storage)
        for name in ("aw", "ar"):
            channel = getattr(axi, name)
            self.comb += [
                channel.valid.eq(getattr(pads, f"{name}valid") & ready),
                getattr(pads, f"{name}ready").eq(channel.ready & ready),
                *(
                    getattr(channel, member).eq(getattr(pads, name + member))
                    for member in ("addr", "burst", "len", "size", "id")
                ),
            ]
        self.comb += [
            axi.w.valid.eq(pads.wvalid),
            pads.wready.eq(axi.w.ready),
            axi.w.last.eq(pads.wlast),
            axi.w.strb.eq(pads.wstrb),
            axi.w.data.eq(pads.wdata),
            axi.b.ready.eq(pads.bready),
            axi.r.ready.eq(pads.rready),
        ]
        for name, members in (("b", ("valid", "resp", "id")), ("r", ("valid", "last", "resp", "data", "id"))):
            channel = getattr(axi, name)
            self.comb += [getattr(pads, name + member).eq(getattr(channel, member)) for member in members]


def _pads(config: dict[str, Any], absent: list[str]) -> Any:
    """The memory's pins, but for the second of each pair, which is the pad's own."""
    ((name, number, *pins),) = get_dram_ios(config)
    return [(name, number, *(pin for pin in pins if pin.name not in ("clk_n", "dqs_n", *absent)))]


def _module(params: dict[str, Any]) -> Any:
    """LiteDRAM's chip, with tRFC in ns if it is given."""
    module = getattr(modules, params["module"])
    if params["t_rfc"] is None:
        return module
    times = {grade: copy(timings) for grade, timings in module.speedgrade_timings.items()}
    for timings in times.values():
        timings.tRFC = (None, params["t_rfc"])
    return type(module.__name__, (module,), {"speedgrade_timings": times})


def _description(soc: Controller, params: dict[str, Any]) -> dict[str, Any]:
    """What the host must know: registers, the initialisation, the PHY."""
    settings, times = soc.settings, soc.module.timing_settings
    names: dict[str, Any] = {}
    # LiteDRAM's own header for hosts, a list of assignments, which no longer says what is a command
    exec(get_sdram_phy_py_header(settings, times), names)
    sequence, _ = get_sdram_phy_init_sequence(settings, times)
    steps = [
        [*step, code.startswith("DFII_CONTROL")]
        for step, (*_, code, _) in zip(names["init_sequence"], sequence, strict=True)
    ]
    registers = json.loads(get_csr_json(soc.csr.regions))["csr_registers"]
    return {
        "registers": {name: [one["addr"], one["size"]] for name, one in registers.items()},
        "sequence": steps,
        "codes": {name: value for name, value in names.items() if name.startswith("dfii_")},
        "phases": settings.nphases,
        "read_phase": settings.rdphase,
        "write_phase": settings.wrphase,
        "delays": settings.delays,
        "bitslips": settings.bitslips,
        "strobes": settings.databits // 8,
        "clock_hz": params["clock_hz"],
        "refresh_cycles": times.tRFC,
    }


def main(params: dict[str, Any], folder: Path) -> None:
    """Write the Verilog, not yet clean, and the description."""
    logging.disable(logging.CRITICAL)
    platform = LatticePlatform(params["device"], [], toolchain="trellis")
    soc = Controller(platform, params)
    soc.finalize()
    fragment = soc.get_fragment()
    platform.finalize(fragment)
    verilog = platform.get_verilog(fragment, name=TOP)
    assert not verilog.data_files, "A memory with contents needs a file more."
    (folder / "ddr3.v").write_text(str(verilog))
    (folder / "ddr3.json").write_text(json.dumps(_description(soc, params), indent=1) + "\n")
