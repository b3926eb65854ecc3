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
from pathlib import Path

from rtl_gen.cells import Gates
from rtl_gen.synth import SynthError

Lookup = Callable[[str], tuple[float, float] | None]
"""Changes a cycle and share of cycles high of a net by its name, None if nothing is known."""


@dataclass(frozen=True)
class Power:
    """Watts of cells at the library's voltage: no wires between cells, no clock tree, no memories.

    Attributes
    ----------
    internal : inside cells, the flip-flops' clock pins included. switching : loads of their outputs.
    leakage : without any activity.
    """

    internal: float = 0.0
    switching: float = 0.0
    leakage: float = 0.0

    @property
    def dynamic(self) -> float:
        """All but leakage."""
        return self.internal + self.switching

    def __add__(self, other: "Power") -> "Power":
        return Power(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Power)))


def power(gates: Gates, liberty: Path, clock: str, period: float, activity: Lookup) -> dict[str, Power]:
    """What every unit draws.

    Activity is given on every pin, so that OpenSTA estimates none: inputs decide what happens inside a cell, outputs
    what their loads cost. Its command set_power_activity passes over outputs; the one beneath it does not.

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
    SynthError
        If OpenSTA is missing or fails, or a net is unknown.

    Returns
    -------
    dict
        By instance below the top; the top's own cells under the empty name.
    """
    program = shutil.which("sta") or shutil.which("opensta")
    if program is None:
        raise SynthError("Power needs OpenSTA, which is not installed: apt-get install opensta.")
    module = json.loads(gates.flat.read_text())["modules"][gates.top]
    cells = [(name, cell) for name, cell in module["cells"].items() if not cell["type"].startswith("$")]
    nets = _names(module)
    (clock_net,) = module["ports"][clock]["bits"]
    with tempfile.TemporaryDirectory() as folder:
        design, script = Path(folder, "design.v"), Path(folder, "power.tcl")
        design.write_text("\n".join(_verilog(gates.top, cells, clock_net)))
        lines = [f"read_liberty {{{liberty}}}", f"read_verilog {{{design}}}", f"link_design {gates.top}"]
        lines += [f"create_clock -period {period} [get_ports clk]", "set_power_activity -input -activity 0"]
        lines += _activities(cells, nets, clock_net, activity)
        lines.append("report_power -digits 8 -instances [get_cells *]")
        script.write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            [program, "-no_splash", "-exit", script], capture_output=True, text=True, cwd=folder, check=False
        )
    errors = re.findall(r"^Error: .*", done.stdout + done.stderr, re.M)
    drawn: dict[str, Power] = defaultdict(Power)
    number = r"([\d.]+e[+-]\d+)"
    seen = 0
    for *parts, index in re.findall(rf"^\s*{number}\s+{number}\s+{number}\s+[\d.e+-]+ c(\d+)$", done.stdout, re.M):
        unit, dot, _ = cells[int(index)][0].partition(".")
        drawn[unit if dot else ""] += Power(*map(float, parts))
        seen += 1
    if errors or seen != len(cells):
        raise SynthError(f"OpenSTA cannot tell the power of {gates.top}: {(errors or [f'{seen} cells answered'])[0]}")
    return dict(drawn)


def _names(module: Mapping) -> dict[int, str]:
    """A name of every net of a flat module."""
    names: dict[int, str] = {}
    for name, net in module["netnames"].items():
        for index, bit in enumerate(net["bits"]):
            names.setdefault(bit, f"{name}[{index}]" if len(net["bits"]) > 1 else name)
    return names


def _verilog(top: str, cells: list[tuple[str, Mapping]], clock: int) -> Iterator[str]:
    """The cells as plain Verilog; what comes from ports and memories are inputs."""
    used, driven = set(), set()
    for _, cell in cells:
        for pin, (bit,) in cell["connections"].items():
            if isinstance(bit, int) and bit != clock:
                (driven if cell["port_directions"][pin] == "output" else used).add(bit)
    inputs = [f"n{bit}" for bit in sorted(used - driven)]
    yield f"module {top} ({', '.join(['clk', *inputs])});"
    yield from (f" input {name};" for name in ["clk", *inputs])
    yield from (f" wire n{bit};" for bit in sorted(driven))
    wire = {clock: "clk", "0": "1'b0", "1": "1'b1", "x": "1'b0"}
    for index, (_, cell) in enumerate(cells):
        pins = ", ".join(f".{pin}({wire.get(bit, f'n{bit}')})" for pin, (bit,) in cell["connections"].items())
        yield f" {cell['type']} c{index} ({pins});"
    yield "endmodule\n"


def _activities(
    cells: list[tuple[str, Mapping]], nets: Mapping[int, str], clock: int, activity: Lookup
) -> Iterator[str]:
    for index, (_, cell) in enumerate(cells):
        for pin, (bit,) in cell["connections"].items():
            if isinstance(bit, int) and bit != clock:
                known = activity(nets[bit])
                if known is None:
                    raise SynthError(f"The simulation says nothing about the net {nets[bit]}; simulate it again.")
                yield f"sta::set_power_pin_activity [get_pins c{index}/{pin}] {known[0]:.6g} {known[1]:.6g}"
