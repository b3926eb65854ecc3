# SPDX-License-Identifier: Apache-2.0
"""What vendor tools and FuseSoC want beside the Verilog: a top whose AXI ports they infer, and a core file."""

from collections.abc import Sequence

from amaranth.hdl import Shape
from amaranth.lib import wiring
from amaranth.lib.wiring import In

_CLOCK = "xilinx.com:signal:clock:1.0 aclk CLK"
_RESET = "xilinx.com:signal:reset:1.0 aresetn RST"


def ip_top(component: wiring.Component, top: str, buses: Sequence[str]) -> str:
    """Verilog of ``<top>_ip``: the same ports with ``aclk`` and the active-low ``aresetn`` of AXI.

    Parameters
    ----------
    component
        Its ports are plain signals with names that AXI interfaces are inferred from, ``<bus>_tdata`` and so on.
    top
        Module that it was emitted as, with ``clk`` and the active-high ``rst``.
    buses
        Prefixes of the AXI interfaces; all belong to ``aclk``.
    """
    ports = [
        f'    (* X_INTERFACE_INFO = "{_CLOCK}" *)\n'
        f'    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF {":".join(buses)}, ASSOCIATED_RESET aresetn" *)\n'
        "    input wire aclk",
        f'    (* X_INTERFACE_INFO = "{_RESET}" *)\n'
        '    (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)\n'
        "    input wire aresetn",
    ]
    names = ["clk", "rst"]
    for (name,), member, _ in component.signature.flatten(component):
        width = Shape.cast(member.shape).width
        direction = "input" if member.flow is In else "output"
        ports.append(f"    {direction} wire {f'[{width - 1}:0] ' if width > 1 else ''}{name}")
        names.append(name)
    values = {"clk": "aclk", "rst": "reset"}
    connections = ",\n".join(f"        .{name}({values.get(name, name)})" for name in names)
    header = f"// {top}_ip: generated, do not edit.\n// SPDX-License-Identifier: Apache-2.0\n"
    return (
        f"{header}module {top}_ip (\n" + ",\n".join(ports) + "\n);\n"
        "    // the core's reset is synchronous and active high\n"
        "    reg reset;\n"
        "    always @(posedge aclk) reset <= ~aresetn;\n\n"
        f"    {top} core (\n{connections}\n    );\nendmodule\n"
    )


def fusesoc_core(top: str, version: str, files: Sequence[str]) -> str:
    """A FuseSoC core file (CAPI2) for the Verilog ``files``, whose toplevel is ``<top>_ip``."""
    listing = "".join(f"      - {name}\n" for name in files)
    return f"""CAPI=2:
# SPDX-License-Identifier: Apache-2.0
name: ::{top}:{version}
description: Accelerator core of MatMul-free language models, AXI4-Stream and AXI4-Lite
filesets:
  rtl:
    files:
{listing}    file_type: verilogSource
targets:
  default: &default
    filesets: [rtl]
    toplevel: {top}_ip
  lint:
    <<: *default
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
"""
