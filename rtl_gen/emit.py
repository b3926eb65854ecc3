# SPDX-License-Identifier: Apache-2.0
"""Emits an Amaranth component as Verilog: one module and one file for each distinct unit."""

import os
import re
from pathlib import Path

from amaranth._toolchain.yosys import find_yosys
from amaranth.lib import wiring

from rtl_gen.clean import clean
from rtl_gen.netlist import parse, write
from rtl_gen.units import split

_OPTIMIZE = (
    "proc -norom",
    "opt_expr",
    "memory_collect",
    "opt_clean -purge",
    "opt_dff",
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
        If the component cannot be split at the ports of its units (see `rtl_gen.units.split`).
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    files = []
    for module, text in _verilog(split(component, name), name).items():
        files.append(out_dir / f"{module}.v")
        _write_atomically(files[-1], text)
    _write_atomically(out_dir / f"{name}.f", "".join(f"{file.name}\n" for file in files))
    return files


def _verilog(rtlil: str, top: str) -> dict[str, str]:
    """Verilog by module name, the top module last."""
    netlist = parse(_yosys(rtlil, *_OPTIMIZE, "write_rtlil"))
    clean(netlist)
    text = _polish(_yosys(write(netlist), "write_verilog -norename"))
    modules = re.finditer(r"^(?:\(\*.*\*\)\n)*module (\w+).*?^endmodule\n", text, re.MULTILINE | re.DOTALL)
    bodies = {module[1]: _header(module[1]) + module[0] for module in modules}
    order = re.findall(r"^module \\(\S+)", rtlil, re.MULTILINE)
    return {name: bodies[name] for name in sorted(order, key=lambda name: name == top)}


def _yosys(netlist: str, *commands: str) -> str:
    os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")
    script = "\n".join((f"read_rtlil <<rtlil\n{netlist}\nrtlil", *commands))
    return find_yosys(lambda version: version >= (0, 40)).run(["-q", "-"], script, ignore_warnings=True)


def _header(module: str) -> str:
    return f"// {module}: generated, do not edit.\n// SPDX-License-Identifier: Apache-2.0\n"


def _polish(text: str) -> str:
    """Replace the constructs of Yosys that linters take for mistakes by equal ones that they do not."""
    # An initial value belongs in an initial block: a declaration's is for variables that are never assigned.
    text = re.sub(r"^  reg (\[\d+:0\] )?(\w+) = (.+);$", r"  reg \1\2;\n  initial \2 = \3;", text, flags=re.M)
    # A one-hot selection is written with overlapping patterns; the first match wins, so the rest may be 0.
    text = re.sub(r"'b(\?*)1(\?*):$", lambda m: f"'b{m[1]}1{'0' * len(m[2])}:", text, flags=re.M)
    # Its function names the arguments like signals a design may have.
    text = re.sub(r"^  function .*?^  endfunction", _rename_arguments, text, flags=re.M | re.S)
    # Sign extension repeats one bit many times.
    repeated = r"(?<!\w)(\w+(?:\[\d+\])?)((?:, \1(?![\w\[])){3,})"
    return re.sub(repeated, lambda m: f"{{{m[2].count(',') + 1}{{{m[1]}}}}}", text)


def _rename_arguments(function: re.Match[str]) -> str:
    names = {"a": "otherwise_", "b": "choices_", "s": "select_"}
    return re.sub(r"\b[abs]\b", lambda match: names[match[0]], function[0])


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, path)
