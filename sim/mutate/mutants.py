# SPDX-License-Identifier: Apache-2.0
"""One mutant, and the text of the source that names it wherever its lines are."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LONGEST = 200
"""Characters of a text; a parallel case may have hundreds of lines."""
_DEPTH = 4
"""Of expressions that are put in the place of their wires."""
_ANONYMOUS = re.compile(r"(?<![\w\\.$])n(?:_\d+)?(?![\w$])")
"""Wires that emission has numbered: their numbers change with every line above."""
_ASSIGNED = re.compile(r"^\s*assign (n(?:_\d+)?) = (.*);$", re.M)
_PLACE = re.compile(r"(.*):(\d+)\.\d+-(\d+)\.\d+$")


@dataclass(frozen=True)
class Mutant:
    """One change of one bit at a port of a cell.

    Attributes
    ----------
    module
        Without the name of the design before it; empty for the top.
    kind
        The cell's, as Yosys names it, or the module that it is an instance of.
    text
        The source of the cell (`Source`), with a number behind it from the second cell of the same text on.
    port, bit
        Where.
    mode
        What, as Yosys names it: ``inv``, ``const0``, ``const1``, and ``cnot0:B``, ``cnot1:B``, which invert it where
        bit B of the port is 0, or 1.
    cell
        Its name in this netlist, which says nothing about another.
    """

    module: str
    kind: str
    text: str
    port: str
    bit: int
    mode: str
    cell: str = field(compare=False, default="")

    @property
    def key(self) -> str:
        """What names it in every netlist of the same sources."""
        return f"{self.module or '(top)'} | {self.text} | {self.kind}.{self.port}[{self.bit}] {self.mode}"

    def command(self, module: str) -> str:
        """Arguments of Yosys' ``mutate`` that make it, in a module of this name."""
        mode, _, control = self.mode.partition(":")
        bits = f"-portbit {self.bit}" + (f" -ctrlbit {control}" if control else "")
        return f"-mode {mode} -module {module} -cell {self.cell} -port {self.port} {bits}"


class Source:
    """The text of a module's cells, from its Verilog.

    Anonymous wires are replaced by what is assigned to them, so that a text says what is computed and not how
    emission has numbered it.

    Parameters
    ----------
    verilog
        The file.
    top
        Name of the design, which stands before that of each of its modules and is left out of texts.
    """

    def __init__(self, verilog: str, top: str) -> None:
        verilog = re.sub(rf"\b{re.escape(top)}_", "", verilog)
        self._lines = verilog.splitlines()
        self._assigned = dict(_ASSIGNED.findall(verilog))

    def text(self, place: str) -> str:
        """The statement at a place as Yosys gives it, ``FILE:LINE.COLUMN-LINE.COLUMN``; empty where there is none."""
        found = _PLACE.match(place)
        if not found:
            return ""
        first, last = int(found[2]), int(found[3])
        statement = " ".join(" ".join(self._lines[first - 1 : last]).split())
        name, equals, rest = statement.partition(" = ")
        if name.startswith("assign ") and equals:
            return f"{_ANONYMOUS.sub('n', name)} = {self._expanded(rest, _DEPTH)}"[:_LONGEST]
        return self._expanded(statement, _DEPTH)[:_LONGEST]

    def line(self, number: int) -> str:
        """The statement of a line."""
        return self.text(f":{number}.0-{number}.0")

    def wire(self, name: str) -> str:
        """A wire's name; of an anonymous one what is assigned to it."""
        return self._expanded(name, _DEPTH)[:_LONGEST]

    def _expanded(self, text: str, depth: int) -> str:
        if len(text) > _LONGEST or not depth:
            return _ANONYMOUS.sub("n", text)

        def inner(found: re.Match[str]) -> str:
            of = self._assigned.get(found[0])
            return f"({self._expanded(of, depth - 1)})" if of is not None else "n"

        return _ANONYMOUS.sub(inner, text)


def texts(module: Mapping[str, Any], source: Source) -> dict[str, str]:
    """The text of every cell of a module of Yosys' JSON, by its name; equal ones are numbered in their order."""
    found: dict[str, str] = {}
    seen: dict[tuple[str, str], int] = {}
    for name, cell in sorted(module["cells"].items(), key=_order):
        place = cell.get("attributes", {}).get("src", "").split("|")[0]
        text = source.text(place) or (name if not name.startswith("$") else "")
        number = seen[cell["type"], text] = seen.get((cell["type"], text), 0) + 1
        found[name] = text if number == 1 else f"{text} #{number}"
    return found


def _order(item: tuple[str, Mapping[str, Any]]) -> tuple[int, int, str]:
    """By place in the source, then by the number at the end of Yosys' name."""
    name, cell = item
    found = _PLACE.match(cell.get("attributes", {}).get("src", "").split("|")[0])
    number = re.search(r"(\d+)$", name)
    return int(found[2]) if found else 0, int(number[1]) if number else 0, name
