# SPDX-License-Identifier: Apache-2.0
"""Rewrites netlists so that its Verilog passes ``verilator -Wall`` and reads well: exact widths, names."""

import re
from collections import Counter

from tritforge.rtl_gen.verilog.netlist import Bit, Cell, Module, Wire

_SAME_WIDTH = {"$add", "$sub", "$and", "$or", "$xor", "$xnor", "$neg", "$not", "$pos"}
_EQUAL = {"$eq", "$ne"}
_ORDER = {"$lt", "$le", "$gt", "$ge"}
_RIGHT = {"$shr", "$sshr", "$shift"}
_LEFT = {"$shl", "$sshl"}
_NOT_HARDWARE = ("\\full_case", "\\unused_bits")
_OUTPUTS = {"\\Y", "\\Q", "\\RD_DATA"}


def clean(modules: list[Module]) -> None:
    """Rewrite the modules in place; their function and their ports stay the same."""
    outputs = {
        module.name: {name for name, wire in module.wires.items() if wire.direction == "output"} for module in modules
    }
    for module in modules:
        _drop_attributes(module)
        for cell in list(module.cells.values()):
            _size_operands(module, cell)
        _trim_wires(module, outputs)
        _sink_unread(module, outputs)
        _rename(module, outputs)


def _drop_attributes(module: Module) -> None:
    items: list[Wire | Cell] = [*module.wires.values(), *module.cells.values()]
    for item in items:
        item.attributes = [text for text in item.attributes if not text.startswith(_NOT_HARDWARE)]


def _size_operands(module: Module, cell: Cell) -> None:
    """Extend or cut the operands to the width the operation is done in, as a strict linter wants it."""
    if cell.kind == "$logic_not" and len(cell.ports["\\A"]) > 1:
        _compare_with_zero(cell)
    operands = [port for port in ("A", "B") if f"\\{port}" in cell.ports]
    widths = {port: len(bits) for port, bits in cell.ports.items()}
    if cell.kind in _SAME_WIDTH:
        _resize(cell, operands, widths["\\Y"])
        _make_unsigned(cell, operands)
    elif cell.kind == "$mul":
        # Multiplication may be wider than its operands, which keeps it recognisable for DSP blocks.
        for port in operands:
            _resize(cell, [port], min(widths[f"\\{port}"], widths["\\Y"]))
    elif cell.kind in _EQUAL | _ORDER:
        _resize(cell, operands, max(widths["\\A"], widths["\\B"]))
        if cell.kind in _EQUAL:
            _make_unsigned(cell, operands)
    elif cell.kind in _LEFT:
        _resize(cell, ["A"], widths["\\Y"])
        _make_unsigned(cell, ["A"])
    elif cell.kind in _RIGHT:
        _size_right_shift(module, cell)


def _resize(cell: Cell, operands: list[str], width: int) -> None:
    signed = all(cell.integer(f"\\{port}_SIGNED") for port in operands)
    for port in operands:
        bits = cell.ports[f"\\{port}"]
        fill: Bit = bits[-1] if signed else "0"
        cell.ports[f"\\{port}"] = (bits + [fill] * width)[:width]
        cell.parameters[f"\\{port}_WIDTH"] = str(width)


def _make_unsigned(cell: Cell, operands: list[str]) -> None:
    """Operands as wide as the result need no sign."""
    for port in operands:
        cell.parameters[f"\\{port}_SIGNED"] = "0"


def _compare_with_zero(cell: Cell) -> None:
    width = len(cell.ports["\\A"])
    cell.kind = "$eq"
    cell.ports["\\B"] = ["0"] * width
    cell.parameters |= {"\\B_WIDTH": str(width), "\\B_SIGNED": "0", "\\A_SIGNED": "0"}


def _size_right_shift(module: Module, cell: Cell) -> None:
    """Shift in the operand's own width; what is not wanted of the result is dropped by name."""
    result = cell.ports["\\Y"]
    width = max(len(result), len(cell.ports["\\A"]))
    _resize(cell, ["A"], width)
    if width > len(result):
        wide = module.bits(module.add_wire(width, "$shifted"))
        cell.ports["\\Y"] = wide
        cell.parameters["\\Y_WIDTH"] = str(width)
        module.connections.append((result, wide[: len(result)]))


def _is_output(cell: Cell, port: str, outputs: dict[str, set[str]]) -> bool:
    return port in outputs.get(cell.kind[1:], _OUTPUTS if cell.kind.startswith("$") else set())


def _uses(module: Module, outputs: dict[str, set[str]]) -> tuple[set[Bit], set[Bit]]:
    """Bits that are driven and bits that are read."""
    driven: set[Bit] = set()
    read: set[Bit] = set()
    for cell in module.cells.values():
        for port, bits in cell.ports.items():
            (driven if _is_output(cell, port, outputs) else read).update(bits)
    for target, source in module.connections:
        driven.update(target)
        read.update(source)
    for name, wire in module.wires.items():
        if wire.direction:
            (driven if wire.direction == "input" else read).update(module.bits(name))
    return driven, read


def _trim_wires(module: Module, outputs: dict[str, set[str]]) -> None:
    """Cut bits that are neither driven nor read off the upper end of internal wires."""
    used = set.union(*_uses(module, outputs))
    for name, wire in list(module.wires.items()):
        while wire.width and not wire.direction and (name, wire.width - 1) not in used:
            wire.width -= 1
        if not wire.width:
            del module.wires[name]


def _sink_unread(module: Module, outputs: dict[str, set[str]]) -> None:
    """Collect inputs and results that nothing reads in a wire named ``unused``, as linters expect it."""
    driven, read = _uses(module, outputs)
    unread = [bit for name in module.wires for bit in module.bits(name) if bit in driven and bit not in read]
    clocks = {("\\clk", 0), ("\\rst", 0)}
    unread = [bit for bit in unread if bit not in clocks] + [bit for bit in unread if bit in clocks]
    if not unread:
        return
    parameters = {"\\A_SIGNED": "0", "\\A_WIDTH": str(len(unread)), "\\Y_WIDTH": "1"}
    ports = {"\\A": unread, "\\Y": module.bits(module.add_wire(1, "\\unused"))}
    module.cells["$sink"] = Cell("$reduce_and", [], parameters, ports)


def _rename(module: Module, outputs: dict[str, set[str]]) -> None:
    """Give wires and cells plain identifiers; a unit's result is named after the unit and the port."""
    names = {name: name for name, wire in module.wires.items() if wire.direction}
    taken = Counter(name.lower() for name in names)
    for cell_name, cell in module.cells.items():
        for port, bits in cell.ports.items():
            if cell.kind.startswith("\\") and _is_output(cell, port, outputs) and not isinstance(bits[0], str):
                wire = bits[0][0]
                if bits == module.bits(wire) and wire not in names:
                    names[wire] = _unique(f"{cell_name}_{port[1:]}", taken)
    for name in module.wires:
        if name not in names:
            names[name] = _unique(name if name.startswith("\\") else "\\n", taken)
    _substitute(module, names)
    module.cells = {
        _unique(name if name.startswith("\\") else "\\" + cell.kind[1:], taken): cell
        for name, cell in module.cells.items()
    }


def _unique(name: str, taken: Counter[str]) -> str:
    """A plain form of the name that differs from the taken ones in more than case; numbered if need be."""
    stem = name = "\\" + re.sub(r"\W", "_", name[1:])
    while taken[name.lower()]:
        name = f"{stem}_{taken[stem.lower()]}"
        taken[stem.lower()] += 1
    taken[name.lower()] += 1
    return name


def _substitute(module: Module, names: dict[str, str]) -> None:
    def bits(old: list[Bit]) -> list[Bit]:
        return [bit if isinstance(bit, str) else (names[bit[0]], bit[1]) for bit in old]

    module.wires = {names[name]: wire for name, wire in module.wires.items()}
    module.connections = [(bits(target), bits(source)) for target, source in module.connections]
    for cell in module.cells.values():
        cell.ports = {port: bits(old) for port, old in cell.ports.items()}
