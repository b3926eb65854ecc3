# SPDX-License-Identifier: Apache-2.0
"""The bundle for vendor tools and FuseSoC."""

from pathlib import Path

import yaml

from tests.loopback import Loopback
from tritforge.hw.core import BUSES
from tritforge.rtl_gen.verilog.bundle import fusesoc_core, ip_top
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.cocotb_run import run_cocotb


def test_the_top_behaves_like_axi(tmp_path: Path) -> None:
    core = Loopback(4)
    files = emit_verilog(core, "loopback", tmp_path)
    files.append(tmp_path / "loopback_ip.v")
    files[-1].write_text(ip_top(core, "loopback", BUSES))
    lint(files, "loopback_ip")
    assert run_cocotb(files, "loopback_ip", "tests.cocotb_bundle") == ["all_interfaces_work"]


def test_vendor_tools_find_clock_reset_and_buses() -> None:
    text = ip_top(Loopback(4), "loopback", BUSES)
    assert '"ASSOCIATED_BUSIF s_axis_weights:m_axis_result:s_axil_csr, ASSOCIATED_RESET aresetn"' in text
    ports = text[: text.index(");")]
    for bus in BUSES:
        assert f" {bus}_" in ports, bus
    assert " clk" not in ports and " rst" not in ports


def test_the_core_file_names_every_file() -> None:
    text = fusesoc_core("tritforge", "0.1.0", ["a.v", "b.v"])
    assert text.startswith("CAPI=2:\n")
    core = yaml.safe_load(text.removeprefix("CAPI=2:\n"))
    assert core["filesets"]["rtl"]["files"] == ["a.v", "b.v"]
    assert {target["toplevel"] for target in core["targets"].values()} == {"tritforge_ip"}
    assert core["targets"]["lint"]["flow_options"]["tool"] == "verilator"
