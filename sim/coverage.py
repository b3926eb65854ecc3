# SPDX-License-Identifier: Apache-2.0
"""What Verilator counted of a design: lines and branches that ran, bits that changed; and bits that never can."""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tritforge.golden import TritforgeError
from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.synthesis.synth import recipe, run_script
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.build_harness import COUNTING
from tritforge.sim.cocotb_run import run_cocotb
from tritforge.sim.mutate.benches import Bench
from tritforge.sim.mutate.mutants import Source

LINE, BRANCH, TOGGLE = "line", "branch", "toggle"
_COUNTED = re.compile(r"^C '(.*)' (\d+)$")
_BIT = re.compile(r"^(.*?)(?:\[(\d+)\])?:(0->1|1->0)$")
# `init` of a register that never changes stands in the way of its removal, and reset says the same
_OPTIMISED = ("attrmap -remove init", "opt -full", "opt_mem", "opt -full")
_CONSTANT = ("proc", "flatten", *_OPTIMISED, "write_json constant.json")


@dataclass(frozen=True)
class Point:
    """Something that is counted, in all instances of a module together.

    Attributes
    ----------
    module : without the name of the design before it; empty for the top.
    kind : `LINE`, `BRANCH` or `TOGGLE`.
    text : the statement, with what runs of it in front; or the wire, with an anonymous one's value in its place.
    bit : of the wire. change : ``0->1`` or ``1->0``.
    """

    module: str
    kind: str
    text: str
    bit: int = 0
    change: str = ""


@dataclass(frozen=True)
class Place:
    """Where a point is: line of its module's file, name of the wire there."""

    line: int
    wire: str = ""


class Coverage:
    """Counts of the points of a design, of one or more simulations.

    Parameters
    ----------
    files : the design's Verilog, one module a file of the same name. top : its top module.
    alone : short name of the module that the top is where it is a unit by itself; else empty.
    """

    def __init__(self, files: Sequence[Path], top: str, alone: str = "") -> None:
        self.counts: Counter[Point] = Counter()
        self.places: dict[Point, Place] = {}
        self._files, self._top, self._alone = {file.stem: file for file in files}, top, alone
        self._sources: dict[str, Source] = {}

    def read(self, path: Path) -> None:
        """Add the counts of a file that Verilator wrote.

        Raises
        ------
        TritforgeError
            If it has none.
        """
        found: dict[tuple[str, str, int, str, str], int] = {}
        for line in path.read_text(errors="replace").splitlines():
            if counted := _COUNTED.match(line):
                told = dict(part.split("\2", 1) for part in counted[1].split("\1") if part)
                key = (told["page"].partition("/")[2], told["t"], int(told["l"]), told["n"], told["o"])
                found[key] = found.get(key, 0) + int(counted[2])  # instances of a module are counted together
        if not found:
            raise TritforgeError(f"{path} has no counts; build the simulation with coverage.")
        seen: Counter[Point] = Counter()
        for module, kind, number, column, what in sorted(found, key=lambda key: (*key[:3], int(key[3]), key[4])):
            source = self._source(module)
            if kind == TOGGLE:
                bit = _BIT.match(what.replace("___05F", "__"))
                wire, index, change = bit.groups() if bit else (what, None, "")
                point = Point(self.short(module), kind, source.wire(wire), int(index or 0), change)
            else:
                point, wire = Point(self.short(module), kind, f"{what}: {source.line(number)}"), ""
            seen[point] += 1
            if seen[point] > 1:
                point = Point(point.module, kind, f"{point.text} #{seen[point]}", point.bit, point.change)
            self.counts[point] += found[module, kind, number, column, what]
            self.places.setdefault(point, Place(number, wire))

    def add(self, other: "Coverage") -> int:
        """Add what another design counted of points that this one has; how many these are."""
        shared = [point for point in other.counts if point in self.counts]
        for point in shared:
            self.counts[point] += other.counts[point]
        return len(shared)

    def short(self, module: str) -> str:
        """A module's name without the design's before it."""
        return module.removeprefix(self._top).removeprefix("_") or self._alone

    def _source(self, module: str) -> Source:
        if module not in self._sources:
            self._sources[module] = Source(self._files[module].read_text(), self._top)
        return self._sources[module]


def bench_coverage(bench: Bench, params: CoreParams) -> Coverage:
    """What a unit's bench counts at a core's parameters; `CocotbFailure` if it does not pass there."""
    name, _, testcase = bench.name.partition(":")
    top = f"unit_{name}"
    unit = bench.component(params)
    with tempfile.TemporaryDirectory(prefix="tritforge-coverage-") as folder:
        files = emit_verilog(unit, top, folder)
        file = Path(folder, "coverage.dat")
        run_cocotb(
            files,
            top,
            f"tritforge.sim.benches.tb_{name}",
            bench.told(params, unit),
            testcase=testcase or None,
            build_args=COUNTING,
            plusargs=[f"+verilator+coverage+file+{file}"],
        )
        counted = Coverage(files, top, bench.module)
        counted.read(file)
    return counted


def constant(files: Sequence[Path], top: str, status: Status | None = None) -> set[tuple[str, str, int]]:
    """Bits that never change, whatever comes in: short module, wire and bit, constant in every instance.

    Yosys finds them as it would to leave them out of a netlist; there may be others.

    Raises
    ------
    rtl_gen.synthesis.synth.SynthError
        If it cannot read the design.
    """
    with cached_build("mutants", f"{top}-constant", recipe(_CONSTANT), files) as folder:
        if folder.fresh:
            say(status, f"Looking for bits of {top} that never change")
            run_script(folder.path, files, top, _CONSTANT, None)
    nets = json.loads((folder.final / "constant.json").read_text())["modules"][top]["netnames"]
    found: dict[tuple[str, str, int], bool] = {}
    for name, net in nets.items():
        file = net["attributes"].get("src", "").partition(":")[0]
        if name.startswith("$") or not file:
            continue
        module = Path(file).stem.removeprefix(top).removeprefix("_")
        for bit, value in enumerate(net["bits"], net.get("offset", 0)):
            key = (module, name.rpartition(".")[2], bit)
            found[key] = found.get(key, True) and value in ("0", "1")
    return {key for key, always in found.items() if always}
