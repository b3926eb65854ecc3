# SPDX-License-Identifier: Apache-2.0
"""Power of a mapped design with OpenSTA, unit by unit, from the activity of every net."""

import json
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from tritforge.golden import TritforgeError
from tritforge.rtl_gen.synthesis.cells import Gates, groups
from tritforge.rtl_gen.synthesis.synth import SynthError

Lookup = Callable[[str], tuple[float, float] | None]
"""Changes a cycle and share of cycles high of a net by its name, None if nothing is known."""
Cells = list[tuple[str, Mapping[str, Any]]]
KNOWN = Path(__file__).with_name("known.lib")
"""A library of few cells with energies that one can reckon with."""
AT_ONCE = 2000
"""Cells that OpenSTA is given: its time grows with the square of the ports."""
_REPORT = "report_power -digits 8 -instances [get_cells *]"
SLEW = 0.2
"""Transition in ns at the cells' inputs: that of a net with a few loads in a 180 nm library."""


@dataclass(frozen=True)
class Power:
    """Watts and area of cells at the library's voltage: no wires between cells, no clock tree, no memories.

    Attributes
    ----------
    internal : inside cells, the flip-flops' clock pins included, by OpenSTA. switching : half C V^2 for each change
        of a net with the input pins it drives. leakage : without any activity, by OpenSTA.
    gates : the cells' area in NAND gates of two inputs, the library's smallest.
    """

    internal: float = 0.0
    switching: float = 0.0
    leakage: float = 0.0
    gates: float = 0.0

    @property
    def dynamic(self) -> float:
        """All but leakage."""
        return self.internal + self.switching

    def __add__(self, other: "Power") -> "Power":
        return Power(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Power)))


def total(units: Mapping[str, Power]) -> Power:
    """Of all units."""
    return sum(units.values(), Power())


def power(gates: Gates, liberty: Path, clock: str, period: float, activity: Lookup) -> dict[str, Power]:
    """What every unit draws.

    OpenSTA 2.0 propagates activities of its own and heeds what it is told only where a net begins at a port. So it is
    given the cells one by one: each input pin is a port with its activity, each output one with its load. So is what
    is tied to a constant: two such pins in a design and it crashes.

    Parameters
    ----------
    gates
        The design.
    liberty
        The library it was mapped onto.
    clock, period
        Name of the clock port and nanoseconds of a cycle.
    activity
        Of a net in `Gates.flat`.

    Raises
    ------
    TritforgeError
        If the library lacks what is needed.
    SynthError
        If OpenSTA is missing or fails, or a net is unknown.

    Returns
    -------
    dict
        By instance below the top; the top's own cells under the empty name.
    """
    module = json.loads(gates.flat.read_text())["modules"][gates.top]
    cells = [(name, cell) for name, cell in module["cells"].items() if not cell["type"].startswith("$")]
    library, names = _library(liberty), _names(module)
    (clock_net,) = module["ports"][clock]["bits"]
    loads: dict[int | str, float] = defaultdict(float)
    for _, pin, bit, kind in _pins(cells, "input"):
        loads[bit] += library.capacitance[kind, pin]

    def known(bit: int | str) -> tuple[float, float]:
        if isinstance(bit, str):
            return 0.0, float(bit == "1")
        found = activity(names[bit])
        if found is None:
            raise SynthError(f"The simulation says nothing about the net {names[bit]}; simulate it again.")
        return found

    drawn: dict[str, Power] = defaultdict(Power)
    for index, _, bit, _ in _pins(cells, "output"):
        watts = loads[bit] * library.farads * library.volts**2 / 2 * known(bit)[0] / (1e-9 * period)
        drawn[_unit(cells[index][0])] += Power(switching=watts)
    for first in range(0, len(cells), AT_ONCE):
        part = cells[first : first + AT_ONCE]
        script = [f"read_liberty {{{liberty.resolve()}}}", "read_verilog cells.v", f"link_design {gates.top}"]
        script += _constraints(period)
        for index, pin, bit, _ in _pins(part, "input"):
            if bit != clock_net:
                toggles, high = known(bit)
                port = f"c{index}_{pin}"
                script.append(f"set_power_activity -input_ports {port} -activity {toggles:.6g} -duty {high:.6g}")
        script += [f"set_load {loads[bit]:.6g} [get_ports c{i}_{pin}]" for i, pin, bit, _ in _pins(part, "output")]
        design = "\n".join(_apart(gates.top, part, clock_net))
        for index, internal, leakage in _run(design, [*script, _REPORT], len(part)):
            name, cell = part[index]
            size = library.area[cell["type"]] / library.gate
            drawn[_unit(name)] += Power(internal / _counted_energy(), 0.0, leakage, size)
    return dict(drawn)


def _constraints(period: float) -> list[str]:
    """Activities are a cycle's only where OpenSTA knows the cycle: every port belongs to the clock."""
    return [
        f"create_clock -name clk -period {period} [get_ports clk]",
        "set_input_delay 0 -clock clk [all_inputs]",
        "set_output_delay 0 -clock clk [all_outputs]",
        f"set_input_transition {SLEW} [all_inputs]",
    ]


@cache
def _counted_energy() -> float:
    """How much of a cell's internal energy OpenSTA counts: 2.0 counts a rise and a fall for every change, twice all.

    Asked with a flip-flop whose clock takes 1 pJ a cycle: in 1 ns, 1 mW.
    """
    script = [f"read_liberty {{{KNOWN}}}", "read_verilog cells.v", "link_design top", *_constraints(1.0)[:1]]
    design = "module top (clk, q);\n input clk;\n output q;\n DFF c0 (.CLK(clk), .D(1'b0), .Q(q));\nendmodule\n"
    ((_, internal, _),) = _run(design, [*script, _REPORT], 1)
    return internal / 1e-3


@dataclass(frozen=True)
class _Library:
    """Volts, the unit of capacitance, capacitances of the input pins by cell and pin, areas by cell and of a NAND."""

    volts: float
    farads: float
    capacitance: dict[tuple[str, str], float]
    area: dict[str, float]
    gate: float


def _library(liberty: Path) -> _Library:
    text = liberty.read_text(errors="replace")
    volts = re.search(r"^\s*nom_voltage\s*:\s*([\d.]+)", text, re.M)
    unit = re.search(r"capacitive_load_unit\s*\(\s*([\d.]+)\s*,\s*\"?([pf])f", text, re.I)
    if not volts or not unit:
        raise TritforgeError(f"{liberty} gives no nom_voltage or no capacitive_load_unit; take another library.")
    farads = float(unit[1]) * {"p": 1e-12, "f": 1e-15}[unit[2].lower()]
    capacitance, area = {}, {}
    for name, cell in groups(text, "cell"):
        size = re.search(r"^\s*area\s*:\s*([\d.]+)", cell, re.M)
        area[name] = float(size[1]) if size else 0.0
        for pin, about in groups(cell, "pin"):
            found = re.search(r"^\s*capacitance\s*:\s*([\d.eE+-]+)|\Wcapacitance\s*:\s*([\d.eE+-]+)", about, re.M)
            capacitance[name, pin] = float(found[1] or found[2]) if found else 0.0
    gates = [area[name] for name in area if re.search(r"nand2?(_|x|$)", name, re.I)]
    if not gates:
        raise TritforgeError(f"{liberty} has no cell with nand2 in its name; take another library.")
    return _Library(float(volts[1]), farads, capacitance, area, min(gates))


def _names(module: Mapping[str, Any]) -> dict[int, str]:
    """A name of every net of a flat module."""
    names: dict[int, str] = {}
    for name, net in module["netnames"].items():
        for index, bit in enumerate(net["bits"]):
            names.setdefault(bit, f"{name}[{index}]" if len(net["bits"]) > 1 else name)
    return names


def _unit(cell: str) -> str:
    """The instance below the top; without the number that tells it from a signal of its name."""
    unit, dot, _ = cell.partition(".")
    return re.sub(r"_\d+$", "", unit) if dot else ""


def _pins(cells: Cells, direction: str) -> Iterator[tuple[int, str, int | str, str]]:
    """Number of the cell, pin, net or constant, and kind of cell for every pin."""
    for index, (_, cell) in enumerate(cells):
        for pin, (bit,) in cell["connections"].items():
            if cell["port_directions"][pin] == direction:
                yield index, pin, bit, cell["type"]


def _apart(top: str, cells: Cells, clock: int) -> Iterator[str]:
    """Verilog of cells that have nothing to do with one another, but for the clock."""
    ports = {d: [f"c{i}_{pin}" for i, pin, bit, _ in _pins(cells, d) if bit != clock] for d in ("input", "output")}
    yield f"module {top} ({', '.join(['clk', *ports['input'], *ports['output']])});\n input clk;"
    yield from (f" {direction} {name};" for direction, names in ports.items() for name in names)
    for index, (_, cell) in enumerate(cells):
        nets = {pin: "clk" if bit == clock else f"c{index}_{pin}" for pin, (bit,) in cell["connections"].items()}
        pins = ", ".join(f".{pin}({net})" for pin, net in nets.items())
        yield f" {cell['type']} c{index} ({pins});"
    yield "endmodule\n"


@cache
def version() -> str:
    """OpenSTA's own version."""
    done = subprocess.run([_program(), "-version"], capture_output=True, text=True, check=False)
    return (done.stdout.split() or ["unknown"])[0]


def _program() -> str:
    program = shutil.which("sta") or shutil.which("opensta")
    if program is None:
        raise SynthError("Power needs OpenSTA, which is not installed: apt-get install opensta.")
    return program


def _run(design: str, script: list[str], cells: int) -> Iterator[tuple[int, float, float]]:
    """Number, internal and leakage power of every cell."""
    program = _program()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "cells.v").write_text(design)
        Path(folder, "power.tcl").write_text("\n".join(script) + "\n")
        command = [program, "-no_splash", "-exit", "power.tcl"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    errors = re.findall(r"^Error: .*", done.stdout + done.stderr, re.M)
    number = r"(-?[\d.]+e[+-]\d+)"
    found = re.findall(rf"^\s*{number}\s+{number}\s+{number}\s+{number} c(\d+)$", done.stdout, re.M)
    if errors or len(found) != cells:
        raise SynthError(f"OpenSTA fails: {(errors or [f'it tells the power of {len(found)} of {cells} cells.'])[0]}")
    return ((int(index), float(internal), float(leakage)) for internal, _, leakage, _, index in found)
