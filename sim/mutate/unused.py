# SPDX-License-Identifier: Apache-2.0
"""Mutants of what nothing looks at: no output of the design, and no register or memory that one comes from."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tritforge.rtl_gen.synthesis.synth import versions
from tritforge.rtl_gen.tools.build import Status, cached_build, say
from tritforge.rtl_gen.tools.yowasp import beside
from tritforge.sim.mutate.design import Design, run_yosys
from tritforge.sim.mutate.mutants import Mutant

_BITWISE = {
    **dict.fromkeys(("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce"), ("D", "Q")),
    **dict.fromkeys(("$not", "$pos"), ("A", "Y")),
    **dict.fromkeys(("$and", "$or", "$xor", "$xnor", "$mux"), ("AB", "Y")),
}
"""Kinds of cells of which a bit of an input decides that bit of the output alone."""
# nothing is simplified, since a mutant may undo what makes something simple
_COMMANDS = ("flatten", "simplemap", "opt_clean", "write_json used.json")


@dataclass(frozen=True)
class Used:
    """The bits of a design, flat and bit by bit, that something is made of which is looked at.

    Attributes
    ----------
    wires : by name with its instances before it, the bits of Yosys' JSON. looked_at : those that a cell takes that is
        left, or the world.
    """

    wires: dict[str, list[int | str]]
    looked_at: set[int | str]

    def __contains__(self, bit: tuple[str, int]) -> bool:
        """Whether a bit of a wire is looked at; so is one that is not known."""
        wire, index = bit
        return wire not in self.wires or self.wires[wire][index] in self.looked_at


def used(design: Design, status: Status | None = None) -> Used:
    """Of a whole design."""
    commands = [f"read_rtlil {beside(design.folder / 'base.il')}", f"hierarchy -top {design.top}", *_COMMANDS]
    with cached_build("mutants", f"{design.top}-used", [*commands, *versions().values()], design.files) as folder:
        if folder.fresh:
            say(status, f"Looking for what nothing of {design.top} looks at")
            run_yosys(folder.path, commands)
    top = json.loads((folder.final / "used.json").read_text())["modules"][design.top]
    taken = [
        bits
        for cell in top["cells"].values()
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] != "output"
    ]
    given = [port["bits"] for port in top["ports"].values() if port["direction"] != "input"]
    looked_at = {bit for bits in (*taken, *given) for bit in bits}
    return Used({name: net["bits"] for name, net in top["netnames"].items()}, looked_at)


def is_unused(design: Design, mutant: Mutant, known: Used) -> bool:
    """Whether all that it changes directly is looked at by nothing, in every instance of its module."""
    module = design.modules[design.own[mutant.module]]
    names = _names(module)
    changed = list(_changed(design, module["cells"][mutant.cell], mutant))
    where = list(instances(design, mutant.module))
    return bool(changed) and all(
        names.get(bit) and not any((f"{path}{wire}", index) in known for path in where for wire, index in names[bit])
        for bit in changed
    )


def _changed(design: Design, cell: dict[str, Any], mutant: Mutant) -> Iterator[int | str]:
    """The bits of the module that the cell gives, as far as the mutant changes them."""
    outputs = [port for port, way in cell["port_directions"].items() if way == "output"]
    if mutant.port in outputs:
        yield cell["connections"][mutant.port][mutant.bit]
    elif (
        cell["type"] in design.modules or cell["type"] not in _BITWISE or mutant.port not in _BITWISE[cell["type"]][0]
    ):
        yield from (bit for port in outputs for bit in cell["connections"][port])
    else:
        given = cell["connections"][_BITWISE[cell["type"]][1]]
        yield from given[mutant.bit : mutant.bit + 1]


def _names(module: dict[str, Any]) -> dict[int | str, list[tuple[str, int]]]:
    """Names of the bits of a module, those that emission gave."""
    found: dict[int | str, list[tuple[str, int]]] = {}
    for name, net in module["netnames"].items():
        for index, bit in enumerate(net["bits"]):
            if not net["hide_name"]:
                found.setdefault(bit, []).append((name, index))
    return found


def instances(design: Design, module: str) -> Iterator[str]:
    """What stands before the names of each instance of a module, by its short name, in the flat design."""
    if design.own[module] == design.top:
        yield ""
        return
    for short, above in design.own.items():
        for name, cell in design.modules[above]["cells"].items():
            if cell["type"] == design.own[module]:
                yield from (f"{path}{name}." for path in instances(design, short))
