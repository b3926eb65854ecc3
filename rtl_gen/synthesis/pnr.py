# SPDX-License-Identifier: Apache-2.0
"""Place and route for the ECP5 with nextpnr: clock frequency and critical path in the design's own names."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritforge.golden.files import make_folder, write_text
from tritforge.rtl_gen.synthesis.synth import SynthError, Synthesis, versions
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.tools.yowasp import Log, beside, run

DEVICE = "LFE5U-85F, speed grade 6"
_OPTIONS = (
    *("--85k", "--speed", "6", "--package", "CABGA756", "--lpf-allow-unconstrained"),
    # the electrostatic placer: whole cores are faster than with the default one (docs/implementation.md)
    *("--freq", "200", "--timing-allow-fail", "--placer", "static"),
)
ROUTE = Path(__file__).with_name("route.py")
PINS = "pins"
"""Module around the design: registers at all its ports, so that they need four pins, whatever their number."""


@dataclass(frozen=True)
class Hop:
    """A signal of a path.

    Attributes
    ----------
    signal : its name, or after ``near`` the signal that the tools derived its name from.
    logic, routing : nanoseconds until its driver's output has settled, and to the next cell.
    source : where the Verilog makes it, file and line; empty if the tools did.
    """

    signal: str
    logic: float
    routing: float
    source: str


@dataclass(frozen=True)
class Route:
    """A placed and routed design.

    Attributes
    ----------
    seed : of the placement.
    fmax : MHz.
    path : the critical path; register to register.
    endpoint : the signal whose register ends it.
    logic : LUT4 that the design occupies (nextpnr's TRELLIS_COMB), without `PINS`: tables, carry cells and the ends
        of their chains, RAM made of tables.
    """

    seed: int
    fmax: float
    path: tuple[Hop, ...]
    endpoint: str
    logic: int


def place_and_route(
    synthesis: Synthesis,
    top: str,
    seeds: Sequence[int],
    status: Status | None = None,
    log: Log | None = None,
) -> list[Route]:
    """Place and route a synthesised design for `DEVICE` with several seeds.

    Raises
    ------
    SynthError
        If nextpnr fails, for instance because the design does not fit.

    Returns
    -------
    list of Route
        The fastest first.
    """
    netlist, pin_logic = _with_pins(synthesis.netlist, top, log)
    routes = []
    for number, seed in enumerate(seeds, 1):
        options = [*_OPTIONS, "--seed", str(seed)]
        with cached_build("pnr", top, [*options, *versions().values()], [netlist]) as folder:
            if folder.fresh:
                say(status, f"Placing and routing {top}, seed {seed} ({number} of {len(seeds)})")
                arguments = ["--json", beside(netlist), "--report", "report.json", *options]
                code, lines = run("nextpnr-ecp5", arguments, folder.path, log)
                if code:
                    errors = [line for line in lines if line.startswith("ERROR: ")]
                    raise SynthError(f"nextpnr cannot place and route {top}: {(errors or lines[-1:])[0]}")
        routes.append(read_report(json.loads((folder.final / "report.json").read_text()), seed, pin_logic))
    return sorted(routes, key=lambda route: -route.fmax)


def export(synthesis: Synthesis, top: str, folder: Path, about: Mapping[str, object], log: Log | None = None) -> None:
    """Write all that place and route needs into a folder, to be run elsewhere (`rtl_gen.synthesis.route`).

    Parameters
    ----------
    about
        Told again by `imported`.
    """
    netlist, pin_logic = _with_pins(synthesis.netlist, top, log)
    make_folder(folder)
    for old in folder.glob("report-*"):
        old.unlink()
    job = {"options": list(_OPTIONS), "pin_logic": pin_logic, "tools": versions(), "about": dict(about)}
    texts = {
        "netlist.json": netlist.read_text(),
        ROUTE.name: ROUTE.read_text(),
        "job.json": json.dumps(job, indent=2),
    }
    for name, text in texts.items():
        write_text(folder / name, text)


def imported(folder: Path) -> tuple[list[Route], Mapping[str, object]]:
    """What was routed in a folder that `export` wrote, the fastest first, and what was said about it.

    Raises
    ------
    SynthError
        If nothing was routed there.
    """
    try:
        job = json.loads((folder / "job.json").read_text())
    except OSError:
        raise SynthError(f"{folder} is nothing that tritforge synth --export wrote.") from None
    reports = {int(path.stem.removeprefix("report-")): path for path in folder.glob("report-*.json")}
    if not reports:
        raise SynthError(f"Nothing was routed in {folder}; run python route.py 1..5 there.")
    routes = [read_report(json.loads(path.read_text()), seed, job["pin_logic"]) for seed, path in reports.items()]
    return sorted(routes, key=lambda route: -route.fmax), job["about"]


def read_report(report: Mapping[str, Any], seed: int, pin_logic: int = 0) -> Route:
    """What nextpnr's report says of the slowest clock."""
    clock, fmax = min(report["fmax"].items(), key=lambda item: item[1]["achieved"])
    edge = f"posedge {clock}"
    (path,) = (p["path"] for p in report["critical_paths"] if p["from"] == p["to"] == edge)
    hops: list[Hop] = []
    logic = 0.0
    for step in path:
        if step["type"] != "routing":
            logic += step["delay"]
            continue
        signal, source = readable(step["net"]), _source(step.get("sources", ()))
        if hops and (hops[-1].signal == signal or signal.startswith("near $")):
            last = hops.pop()
            signal, source, logic = last.signal, last.source or source, logic + last.logic
            hops.append(Hop(signal, logic, last.routing + step["delay"], source))
        else:
            hops.append(Hop(signal, logic, step["delay"], source))
        logic = 0.0
    used = report["utilization"]["TRELLIS_COMB"]["used"]
    return Route(
        seed, fmax["achieved"], tuple(hops), readable(path[-1]["to"]["cell"]).removeprefix("near "), used - pin_logic
    )


_CELL = re.compile(r"_(?:LUT4|CCU2C|PFUMX|L6MUX21|TRELLIS_FF|TRELLIS_DPR16X4|DP16KD|MULT18X18D)(?=_).*")


def readable(name: str) -> str:
    """A signal of the design; ``near`` one, if the tools made up the name."""
    name = name.removeprefix("core.")
    short = _CELL.sub("", name)
    return short if short == name else f"near {short}"


def _source(sources: Sequence[str]) -> str:
    """The first place in the design's own files, without columns."""
    own = [source for source in sources if not source.startswith("/")]
    return re.sub(r"\.\d+-.*", "", own[0]) if own else ""


def _with_pins(netlist: Path, top: str, log: Log | None) -> tuple[Path, int]:
    """The netlist with registers at its ports, and how many tables these take: an XOR for each output bit but one."""
    design = json.loads(netlist.read_text())
    ports = {n: (port["direction"], len(port["bits"])) for n, port in design["modules"][top]["ports"].items()}
    script, verilog = f"synth_ecp5 -noflatten -top {PINS} -json pins.json", pins(top, ports)
    with cached_build("pins", top, [script, verilog, *versions().values()], [netlist]) as folder:
        if folder.fresh:
            (folder.path / "pins.v").write_text(verilog)
            code, lines = run("yosys", ["-p", f"read_verilog pins.v; {script}"], folder.path, log)
            if code:
                raise SynthError(f"Yosys cannot put registers at the ports of {top}: {lines[-1]}")
            around = json.loads((folder.path / "pins.json").read_text())["modules"][PINS]
            design["modules"][top]["attributes"].pop("top")
            design["modules"][PINS] = around
            (folder.path / "netlist.json").write_text(json.dumps(design))
    outputs = sum(width for direction, width in ports.values() if direction == "output")
    return folder.final / "netlist.json", outputs - 1


def pins(top: str, ports: Mapping[str, tuple[str, int]]) -> str:
    """Verilog of a shift register into all inputs, and of one that gathers all outputs.

    The pads are wherever the placer wants them; a register at each of the two keeps the others near the design.
    """
    inputs, outputs = (
        {n: w for n, (d, w) in ports.items() if d == kind and n != "clk"} for kind in ("input", "output")
    )
    i, o = sum(inputs.values()), sum(outputs.values())
    connections, at = [".clk(clk)"] if "clk" in ports else [], {"given": 0, "seen": 0}
    for bus, names in (("given", inputs), ("seen", outputs)):
        for name, width in names.items():
            connections.append(f".\\{name} ({bus}[{at[bus]} +: {width}])")
            at[bus] += width
    stub = [f"{direction} [{width - 1}:0] \\{name} " for name, (direction, width) in ports.items()]
    return f"""module {PINS}(input clk, input into, output reg out);
  reg first;
  reg [{i - 1}:0] given;
  wire [{o - 1}:0] seen;
  reg [{o - 1}:0] held, gathered;
  always @(posedge clk) begin
    first <= into;
    given <= {{given, first}};
    held <= seen;
    gathered <= {{gathered, 1'b0}} ^ held;
    out <= gathered[{o - 1}];
  end
  \\{top} core ({", ".join(connections)});
endmodule
(* blackbox *)
module \\{top} ({", ".join(stub)});
endmodule
"""
