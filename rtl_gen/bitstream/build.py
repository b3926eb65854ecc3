# SPDX-License-Identifier: Apache-2.0
"""From a board's machine to its bitstream: Yosys, nextpnr and ecppack, each from a Python package."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritforge.golden import Failure
from tritforge.golden.files import make_folder, write_bytes, write_text
from tritforge.hw.board.boards import board_params
from tritforge.hw.board.machine import Machine
from tritforge.rtl_gen.bitstream.ecpix5 import Ecpix5
from tritforge.rtl_gen.bitstream.ulx3s import Ulx3s
from tritforge.rtl_gen.synthesis import ecp5_pack
from tritforge.rtl_gen.synthesis.pnr import Route, read_report
from tritforge.rtl_gen.synthesis.synth import DEVICES, Area, recipe, run_script, unit_areas, versions
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.tools.yowasp import Log, beside, run
from tritforge.rtl_gen.verilog.cached import MACHINE, machine_digest
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.rtl_gen.verilog.lint import lint

TOP = "top"
DESIGNS: dict[str, type[Ulx3s] | type[Ecpix5]] = {"ulx3s-85f": Ulx3s, "ecpix5-85f": Ecpix5}
"""Of `hw.board.boards.BOARDS`."""
_OPTIONS = ("--placer", "static", "--timing-allow-fail")
_LIBRARY = "+/ecp5/cells_sim.v +/ecp5/cells_bb.v"


class BitstreamError(Failure):
    """A step of the build failed; the message says which and what its tool said."""


@dataclass(frozen=True)
class Bitstream:
    """A built bitstream.

    Attributes
    ----------
    folder : with top.bit, top.lpf, the Verilog, the report.
    areas : of the units of the machine, each with all it contains: by name.
    utilisation : of the device: used and available, by the kind of cell.
    route : the slowest clock and its path.
    clock_hz : that the machine is to run at.
    """

    folder: Path
    areas: dict[str, Area]
    utilisation: dict[str, tuple[int, int]]
    route: Route
    clock_hz: int

    @property
    def met(self) -> bool:
        """Whether the route is as fast as the machine's clock."""
        return self.route.fmax * 1e6 >= self.clock_hz


def build(
    name: str, folder: Path, seeds: Sequence[int], status: Status | None = None, log: Log | None = None
) -> Bitstream:
    """Build a board's bitstream, with the first of the seeds that is fast enough, or else the fastest.

    The same parameters, tools and seeds give the same bits; what was built before is found again.

    Parameters
    ----------
    name : of the board.
    folder : gets the products.
    seeds : of the placement.
    status, log : told what begins, and every line of the tools.

    Raises
    ------
    BitstreamError, SynthError
        Where a tool fails.
    """
    params, design = board_params(name), DESIGNS[name]
    files = _verilog(name, status)
    netlist = _netlist(files, status, log)
    best: tuple[Route, Path] | None = None
    for seed in seeds:
        routed = _route(netlist, files[-1].with_name(f"{TOP}.lpf"), (*design.options, *_OPTIONS), seed, status, log)
        route = _read(routed, seed)
        if best is None or route.fmax > best[0].fmax:
            best = route, routed
        if route.fmax * 1e6 >= params.clock_hz:
            break
    assert best is not None
    route, routed = best
    packed = _pack(routed, status, log)
    make_folder(folder)
    write_bytes(folder / f"{TOP}.bit", packed.read_bytes())
    for source in (*files, files[-1].with_name(f"{TOP}.lpf"), netlist.with_name(f"{TOP}.v")):
        if source.suffix != ".il":
            write_text(folder / source.name, source.read_text())
    report = json.loads((routed / "report.json").read_text())
    write_text(folder / "report.json", json.dumps(report, indent=1))
    used = {kind: (row["used"], row["available"]) for kind, row in report["utilization"].items() if row["used"]}
    units = unit_areas(json.loads(netlist.read_text()), MACHINE, "ecp5-85k")
    return Bitstream(folder, {unit.name: unit.area for unit in units}, used, route, params.clock_hz)


def _verilog(name: str, status: Status | None) -> list[Path]:
    """The Verilog of the machine and what is beside it and, last, the board around it as RTLIL; with the constraints
    beside that."""
    params, design = board_params(name), DESIGNS[name]
    digest = machine_digest(params, design.__module__)
    with cached_build("board", TOP, [repr(params), digest], []) as folder:
        if folder.fresh:
            say(status, "Writing the Verilog of the board")
            machine = emit_verilog(Machine(params), MACHINE, folder.path)
            lint(machine, MACHINE)
            plan = design.platform().prepare(design(params), TOP)
            for file in (f"{TOP}.il", f"{TOP}.lpf"):
                content = plan.files[file]
                text = content if isinstance(content, str) else content.decode()
                (folder.path / file).write_text(text)
    listing = (folder.final / f"{MACHINE}.f").read_text().split()
    beside = design.files(params, status)
    return [*(folder.final / name for name in listing), *beside, folder.final / f"{TOP}.il"]


def _netlist(files: Sequence[Path], status: Status | None, log: Log | None) -> Path:
    """The netlist; the units of machine and core keep their boundaries (`rtl_gen.synthesis.synth.Synthesis`)."""
    names = [file.stem for file in files if file.stem.startswith(f"{MACHINE}_")]
    kept = [f"{module}/t:{name}" for module in (MACHINE, f"{MACHINE}_core") for name in names]
    script = [
        f"setattr -set keep_hierarchy 1 {TOP}/t:{MACHINE} {' '.join(kept)}",
        *(f"select {TOP}", f"write_verilog -noattr -selected {TOP}.v", "select -clear"),
        f"{DEVICES['ecp5-85k'].command} -top {TOP}",
        "write_json netlist.json",
    ]
    steps = [*recipe(script), Path(ecp5_pack.__file__).read_text()]
    with cached_build("board", TOP, steps, files) as folder:
        if folder.fresh:
            say(status, "Synthesising the board")
            run_script(folder.path, files, TOP, script, log, _LIBRARY)
            path = folder.path / "netlist.json"
            design = json.loads(path.read_text())
            ecp5_pack.pack(design)
            path.write_text(json.dumps(design))
    return folder.final / "netlist.json"


def _route(netlist: Path, lpf: Path, fixed: Sequence[str], seed: int, status: Status | None, log: Log | None) -> Path:
    """The folder with the configuration and nextpnr's report."""
    options = [*fixed, "--seed", str(seed)]
    with cached_build("board", TOP, [*options, *versions().values()], [netlist, lpf]) as folder:
        if folder.fresh:
            say(status, f"Placing and routing the board, seed {seed} (some minutes)")
            arguments = ["--json", beside(netlist), "--lpf", beside(lpf), "--textcfg", f"{TOP}.config"]
            _run("nextpnr-ecp5", [*arguments, "--report", "report.json", *options], folder.path, log)
    return folder.final


def _pack(routed: Path, status: Status | None, log: Log | None) -> Path:
    config = routed / f"{TOP}.config"
    with cached_build("board", TOP, ["ecppack --compress", *versions().values()], [config]) as folder:
        if folder.fresh:
            say(status, "Packing the bitstream")
            _run("ecppack", ["--compress", "--input", beside(config), "--bit", f"{TOP}.bit"], folder.path, log)
    return folder.final / f"{TOP}.bit"


def _run(tool: str, arguments: Sequence[str], folder: Path, log: Log | None) -> None:
    code, lines = run(tool, arguments, folder, log)
    if code:
        errors = [line for line in lines if line.startswith("ERROR: ")]
        raise BitstreamError(f"{tool} cannot build the board: {(errors or lines[-1:])[0]}")


def _read(routed: Path, seed: int) -> Route:
    report: dict[str, Any] = json.loads((routed / "report.json").read_text())
    return read_report(report, seed)
