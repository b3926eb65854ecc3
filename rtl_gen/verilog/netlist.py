# SPDX-License-Identifier: Apache-2.0
"""Reads and writes RTLIL without processes, the text format Yosys exchanges netlists in."""

import re
from dataclasses import dataclass, field
from typing import TypeAlias

Bit: TypeAlias = "str | tuple[str, int]"
"""A constant ``0 1 x z m -``, or a wire's name and a bit index."""

_TOKEN = re.compile(r"\{|\}|\d+'[01xzm-]*|\[\d+(?::\d+)?\]|[\\$]\S+|-?\d+")


@dataclass
class Wire:
    width: int
    direction: str
    """``input``, ``output`` or nothing."""
    position: int
    signed: bool
    attributes: list[str]


@dataclass
class Cell:
    kind: str
    attributes: list[str]
    parameters: dict[str, str] = field(default_factory=dict)
    ports: dict[str, list[Bit]] = field(default_factory=dict)

    def integer(self, parameter: str) -> int:
        """Value of an integer parameter."""
        text = self.parameters[parameter]
        return int(text.split("'")[1], 2) if "'" in text else int(text)


@dataclass
class Module:
    name: str
    attributes: list[str]
    wires: dict[str, Wire] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    connections: list[tuple[list[Bit], list[Bit]]] = field(default_factory=list)

    def bits(self, wire: str) -> list[Bit]:
        """All bits of a wire, least significant first."""
        return [(wire, index) for index in range(self.wires[wire].width)]

    def add_wire(self, width: int, stem: str = "$n") -> str:
        """Declare an internal wire under an unused name and return the name."""
        name, number = stem, 0
        while name in self.wires:
            number += 1
            name = f"{stem}_{number}"
        self.wires[name] = Wire(width, "", 0, False, [])
        return name


def parse(text: str) -> list[Module]:
    """Read the modules of an RTLIL file.

    Raises
    ------
    ValueError
        If a line is none that a netlist without processes and memories has.
    """
    modules: list[Module] = []
    module, cell, attributes = Module("", []), Cell("", []), []
    for line in map(str.strip, text.splitlines()):
        word, _, rest = line.partition(" ")
        if not line or line.startswith("#") or word in ("autoidx", "end"):
            if word == "end":
                cell = Cell("", [])
        elif word == "attribute":
            attributes.append(rest)
        elif word == "module":
            module, attributes = Module(rest[1:], attributes), []
            modules.append(module)
        elif word == "wire":
            *flags, name = rest.split()
            module.wires[name], attributes = _wire(flags, attributes), []
        elif word == "cell":
            kind, name = rest.split()
            module.cells[name] = cell = Cell(kind, attributes)
            attributes = []
        elif word == "parameter" and (found := re.fullmatch(r"((?:signed |real )?\S+) (.*)", rest)):
            cell.parameters[found[1]] = found[2]
        elif word == "connect" and cell.kind:
            name, signal = rest.split(" ", 1)
            cell.ports[name] = _signal(module, signal)
        elif word == "connect":
            module.connections.append(_connection(module, rest))
        else:
            raise ValueError(f"Not a netlist line: '{line}'.")
    return modules


def write(modules: list[Module]) -> str:
    """RTLIL text of the modules."""
    lines: list[str] = []
    for module in modules:
        lines += [f"attribute {attribute}" for attribute in module.attributes]
        lines.append(f"module \\{module.name}")
        for name, wire in module.wires.items():
            lines += [f"attribute {attribute}" for attribute in wire.attributes]
            port = f" {wire.direction} {wire.position}" if wire.direction else ""
            lines.append(f"wire width {wire.width}{port}{' signed' if wire.signed else ''} {name}")
        for name, cell in module.cells.items():
            lines += [f"attribute {attribute}" for attribute in cell.attributes]
            lines.append(f"cell {cell.kind} {name}")
            lines += [f"parameter {key} {value}" for key, value in cell.parameters.items()]
            lines += [f"connect {port} {_text(module, bits)}" for port, bits in cell.ports.items()]
            lines.append("end")
        lines += [f"connect {_text(module, to)} {_text(module, of)}" for to, of in module.connections]
        lines.append("end")
    return "\n".join(lines) + "\n"


def _wire(flags: list[str], attributes: list[str]) -> Wire:
    direction = next((flag for flag in flags if flag in ("input", "output")), "")
    width = int(flags[flags.index("width") + 1]) if "width" in flags else 1
    position = int(flags[flags.index(direction) + 1]) if direction else 0
    return Wire(width, direction, position, "signed" in flags, attributes)


def _connection(module: Module, text: str) -> tuple[list[Bit], list[Bit]]:
    target, source = _signals(module, text)
    return target, source


def _signal(module: Module, text: str) -> list[Bit]:
    (signal,) = _signals(module, text)
    return signal


def _signals(module: Module, text: str) -> list[list[Bit]]:
    """Signals of a line; each is a list of bits, least significant first."""
    groups: list[list[list[Bit]]] = [[]]
    for token in _TOKEN.findall(text):
        if token == "{":
            groups.append([])
        elif token == "}":
            parts = groups.pop()
            groups[-1].append([bit for part in reversed(parts) for bit in part])
        elif token.startswith("["):
            high, _, low = token[1:-1].partition(":")
            groups[-1][-1] = groups[-1][-1][int(low or high) : int(high) + 1]
        elif token[0] in "\\$":
            groups[-1].append(module.bits(token))
        elif "'" in token:
            width, digits = token.split("'")
            fill = "0" if digits[:1] in ("", "0", "1") else digits[0]
            groups[-1].append(list(digits.rjust(int(width), fill)[::-1]))
        else:
            groups[-1].append([str(int(token) >> bit & 1) for bit in range(32)])
    return groups[0]


def _text(module: Module, bits: list[Bit]) -> str:
    parts: list[str] = []
    start = 0
    while start < len(bits):
        first, stop = bits[start], start + 1
        if isinstance(first, str):
            while stop < len(bits) and isinstance(bits[stop], str):
                stop += 1
            parts.append(f"{stop - start}'{''.join(map(str, reversed(bits[start:stop])))}")
        else:
            name, low = first
            while stop < len(bits) and bits[stop] == (name, low + stop - start):
                stop += 1
            whole = low == 0 and stop - start == module.wires[name].width
            parts.append(name if whole else f"{name} [{low + stop - start - 1}:{low}]")
        start = stop
    return parts[0] if len(parts) == 1 else "{ " + " ".join(reversed(parts)) + " }"
