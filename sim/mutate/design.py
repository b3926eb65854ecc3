# SPDX-License-Identifier: Apache-2.0
"""A design at word level, its mutants drawn by Yosys, and Verilog with many of them that an input chooses from."""

import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tritforge.golden import TritforgeError
from tritforge.rtl_gen.synthesis.synth import SynthError, recipe, run_script, versions
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.tools.yowasp import beside, run
from tritforge.sim.mutate.mutants import Mutant, Source, texts

SELECT, SELECT_BITS = "mutsel", 10
"""The input that chooses a mutant, and its width; with 0 there is none."""
MOST = 500
"""Mutants of a model: with more of them everything becomes slow."""
_MORE = 4
"""Times as many are asked for as are taken, since some are of no use."""
_LINE = re.compile(
    r"mutate -mode (\w+) -module (\S+) -cell (\S+) -port (\S+) -portbit (\d+)(?: -ctrlbit (\d+))?(?: |$)"
)
_INITIAL = ("$meminit_v2", "$meminit")


@dataclass(frozen=True)
class Design:
    """A netlist at word level with its hierarchy.

    Attributes
    ----------
    folder : has ``base.il`` and ``base.json``. files : the Verilog that it is of. top : its top module.
    called : short name of the top.
    """

    folder: Path
    files: tuple[Path, ...]
    top: str
    called: str = ""

    @cached_property
    def modules(self) -> dict[str, Any]:
        """Of Yosys' JSON, by name."""
        found: dict[str, Any] = json.loads((self.folder / "base.json").read_text())["modules"]
        return found

    @cached_property
    def own(self) -> dict[str, str]:
        """Name of each module in the netlist by its name without the design's."""
        return {self.short(file.stem): file.stem for file in self.files if file.stem in self.modules}

    def short(self, module: str) -> str:
        """A module's name without the design's before it."""
        return module.removeprefix(self.top).removeprefix("_") or self.called

    def cells(self, module: str) -> int:
        """Cells of a module, by its short name, that mutants are made of."""
        return sum(cell["type"] not in _INITIAL for cell in self.modules[self.own[module]]["cells"].values())

    @cached_property
    def _texts(self) -> dict[str, dict[str, str]]:
        files = {file.stem: file for file in self.files}
        return {
            name: texts(self.modules[name], Source(files[name].read_text(), self.top)) for name in self.own.values()
        }

    def mutant(self, line: str) -> Mutant | None:
        """The mutant of a line of Yosys' list; None where it changes nothing, is of the clock or of contents."""
        found = _LINE.match(line)
        if not found:
            return None
        mode, module, cell, port, bit, control = found.groups()
        netlist = self.modules[module]
        inside = netlist["cells"][cell]
        wire = inside["connections"][port][int(bit)]
        clock = netlist["netnames"].get("clk", {"bits": []})["bits"]
        if inside["type"] in _INITIAL or wire in clock or wire == "x" or mode == f"const{wire}":
            return None
        kind = self.short(inside["type"]) if inside["type"] in self.own.values() else inside["type"]
        return Mutant(
            self.short(module),
            kind,
            self._texts[module][cell],
            port,
            int(bit),
            mode if control is None else f"{mode}:{control}",
            cell,
        )

    def found(self, wanted: Mutant, module: str) -> Mutant | None:
        """The same mutant in a module of this design, by its short name; None where it has no such cell."""
        name = self.own.get(module)
        for cell, text in self._texts.get(name or "", {}).items():
            inside = self.modules[name or ""]["cells"][cell]
            if text == wanted.text and wanted.port in inside["connections"]:
                same_kind = self.short(inside["type"]) == wanted.kind or inside["type"] in self.own.values()
                if same_kind and wanted.bit < len(inside["connections"][wanted.port]):
                    return replace(wanted, module=module, cell=cell)
        return None


def design(files: Sequence[Path], top: str, status: Status | None = None, called: str = "") -> Design:
    """The netlist of emitted Verilog, one module a file of the same name; kept.

    Raises
    ------
    SynthError
        If Yosys cannot read it.
    """
    script = ["proc", "opt -purge", "write_rtlil base.il", "write_json base.json"]
    with cached_build("mutants", top, recipe(script), files) as folder:
        if folder.fresh:
            say(status, f"Reading {top} as cells of words")
            run_script(folder.path, files, top, script, None)
    return Design(folder.final, tuple(files), top, called)


def allotment(design: Design, count: int, weights: Mapping[str, float]) -> dict[str, int]:
    """How many mutants each module gets: as the root of its cells, times its weight.

    Parameters
    ----------
    count : of all together.
    weights : by short name; only these modules get any.
    """
    shares = {name: weights[name] * math.sqrt(design.cells(name)) for name in sorted(weights)}
    total = sum(shares.values()) or 1.0
    exact = {name: count * share / total for name, share in shares.items()}
    given = {name: int(value) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: (given[name] - exact[name], name))
    for name in rest[: count - sum(given.values())]:
        given[name] += 1
    return given


def drawn(design: Design, wanted: Mapping[str, int], seed: int, status: Status | None = None) -> list[Mutant]:
    """So many distinct mutants of each module, by its short name; fewer where it has not as many.

    Raises
    ------
    SynthError
        If Yosys fails.
    """
    asked = {name: number * _MORE + 8 for name, number in wanted.items() if number}
    lists = [
        f"mutate -list {asked[name]} -seed {_seed(seed, name)} -o {number}.txt {design.own[name]}"
        for number, name in enumerate(asked)
    ]
    if not asked:
        return []
    commands = [f"read_rtlil {beside(design.folder / 'base.il')}", *lists]
    found: list[Mutant] = []
    with cached_build("mutants", f"{design.top}-list", [*commands, *versions().values()], design.files) as folder:
        if folder.fresh:
            say(status, "Drawing mutants")
            run_yosys(folder.path, commands)
    for number, name in enumerate(asked):
        lines = (folder.final / f"{number}.txt").read_text().splitlines()
        random.Random(f"{seed} {name}").shuffle(lines)
        candidates = {mutant.key: mutant for mutant in map(design.mutant, lines) if mutant}
        found += list(candidates.values())[: wanted[name]]
    return found


def _seed(seed: int, name: str) -> int:
    return random.Random(f"{seed} {name}").getrandbits(31)


def planted(design: Design, port: str, bit: int = 0) -> Mutant:
    """An inverted bit of an output of the top: what cannot but be seen.

    Raises
    ------
    TritforgeError
        If the top has no such output, or nothing drives it.
    """
    top = design.modules[design.top]
    wire = top["ports"].get(port, {"bits": []})["bits"][bit : bit + 1]
    for name, cell in top["cells"].items():
        for of, bits in cell["connections"].items():
            if cell["port_directions"].get(of) == "output" and wire and wire[0] in bits:
                return Mutant(design.called, cell["type"], f"planted at {port}", of, bits.index(wire[0]), "inv", name)
    raise TritforgeError(f"{design.top} has no output {port} that a cell drives; plant the control elsewhere.")


def mutated(design: Design, mutants: Sequence[Mutant], status: Status | None = None) -> Path:
    """Verilog of the design with all the mutants, in one file: number 1 and on of the input `SELECT` makes them.

    Raises
    ------
    SynthError
        If Yosys cannot make one.
    """
    if len(mutants) >= 1 << SELECT_BITS:
        raise TritforgeError(f"One model holds at most {(1 << SELECT_BITS) - 1} mutants; make several.")
    commands = [
        f"read_rtlil {beside(design.folder / 'base.il')}",
        *(
            f"mutate -ctrl {SELECT} {SELECT_BITS} {number} {mutant.command(design.own[mutant.module])}"
            for number, mutant in enumerate(mutants, 1)
        ),
        "write_verilog -noattr mutated.v",
    ]
    with cached_build("mutants", f"{design.top}-all", [*commands, *versions().values()], design.files) as folder:
        if folder.fresh:
            say(status, f"Making {len(mutants)} mutants of {design.top}")
            run_yosys(folder.path, commands)
    return folder.final / "mutated.v"


def parts(mutants: Sequence[Mutant], most: int = MOST) -> Iterator[Sequence[Mutant]]:
    """The mutants in as few equal parts as models need."""
    number = -(-len(mutants) // most)
    for index in range(number):
        yield mutants[index * len(mutants) // number : (index + 1) * len(mutants) // number]


def run_yosys(folder: Path, commands: Sequence[str]) -> None:
    (folder / "script.ys").write_text("\n".join(commands) + "\n")
    status, lines = run("yosys", ["-q", "-s", "script.ys"], folder)
    if status:
        raise SynthError(f"Yosys cannot make the mutants: {next((x for x in lines if 'ERROR' in x), lines[-1])}")
