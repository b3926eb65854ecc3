# SPDX-License-Identifier: Apache-2.0
"""Which registers of a netlist the reset leaves unknown, compared with those that need none.

``tritforge check reset`` compares those of the preset `PRESET` with the record. That lists payload: operands,
products, words that were read. They travel beside a flag that is reset or wait behind a state that is, and nothing
looks at them before they are written. To add a line says: this is such a one. Registers inside multipliers and block
RAM are payload by their nature and not listed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from tritforge.golden.files import write_text
from tritforge.hw.params import preset
from tritforge.rtl_gen.synthesis.synth import netlist
from tritforge.rtl_gen.tools.build import Status
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

RECORD = Path(__file__).with_name("unknown.json")
PRESET, DEVICE = "tiny", "ecp5-85k"
RESET, CYCLES = "rst", 4
"""The input that resets, and for how many cycles it does."""
CONSTANTS = {"0": 0, "1": 1, "x": None, "z": None}
_DERIVED = re.compile(r"_(TRELLIS_FF|LUT4|CCU2C|TRELLIS_DPR16X4|DP16KD|MULT18X18D)_")

_NUMBER = re.compile(r"_d?\d+(?=_|\.|$)")

Values = Mapping[str, int | None]
"""0, 1 or None for unknown, of bits. A bit is its unit's instances and its number there, or a constant."""


def recorded_design(status: Status | None = None) -> dict[str, Any]:
    """The netlist of the preset, synthesised unit by unit."""
    path = netlist(cached_verilog(preset(PRESET), status), TOP, DEVICE, status)
    design: dict[str, Any] = json.loads(path.read_text())
    return design


class _Gate(NamedTuple):
    kind: str
    parameters: Mapping[str, str]
    ports: Mapping[str, list[str]]
    unit: str
    register: str
    """Name of what drives Q, as the Verilog has it."""


def _gates(
    design: Mapping[str, Any], name: str, path: str = "", outer: Mapping[object, str] | None = None
) -> Iterator[_Gate]:
    """The cells of a module and of all below it."""
    module, outer = design["modules"][name], outer or {}
    # of several names of a bit the outermost, shortest, first
    signals: dict[object, str] = {}
    for signal in sorted(module["netnames"], key=lambda name: (name.count("."), len(name), name)):
        if not module["netnames"][signal]["hide_name"] and not _DERIVED.search(signal):
            for bit in module["netnames"][signal]["bits"]:
                signals.setdefault(bit, signal)
    for label, cell in module["cells"].items():
        ports = {
            port: [bit if isinstance(bit, str) else outer.get(bit, f"{path}#{bit}") for bit in bits]
            for port, bits in cell["connections"].items()
        }
        below = design["modules"].get(cell["type"], {})
        if below and not {"blackbox", "whitebox"} & below["attributes"].keys():
            inner: dict[object, str] = {}
            for port, declared in below["ports"].items():
                for bit, net in zip(declared["bits"], ports[port], strict=True):
                    # a bit that leaves by two ports has two nets
                    if inner.setdefault(bit, net) != net:
                        yield _wire(inner[bit], net, cell["type"])
            yield from _gates(design, cell["type"], f"{path}.{label}", inner)
        else:
            driven = cell["connections"].get("Q", [None])[0]
            yield _Gate(cell["type"], cell["parameters"], ports, name, signals.get(driven, f"{driven}"))


def _wire(source: str, target: str, unit: str) -> _Gate:
    """A table that gives its first input."""
    inputs = {port: ["0"] for port in "BCD"}
    return _Gate("LUT4", {"INIT": "10" * 8}, inputs | {"A": [source], "Z": [target]}, unit, target)


def _table(gate: _Gate, value: Values) -> int | None:
    """Output of a table; None where it depends on an unknown input."""
    inputs = (value.get(gate.ports[port][0]) for port in "DCBA")
    choices = product(*((0, 1) if known is None else (known,) for known in inputs))
    found = {gate.parameters["INIT"][-1 - (8 * d + 4 * c + 2 * b + a)] for d, c, b, a in choices}
    return int(found.pop()) if len(found) == 1 else None


def _next(gate: _Gate, value: Values) -> int | None:
    """What a flip-flop holds after the next edge."""
    reset, data, held = (value.get(gate.ports[port][0]) for port in ("LSR", "DI", "Q"))
    begun, kind = int(gate.parameters["REGSET"] == "SET"), gate.parameters["CEMUX"].strip()
    enable = 1 if kind == "1" else value.get(gate.ports["CE"][0])
    if kind == "INV" and enable is not None:
        enable = 1 - enable
    loaded = {1: data, 0: held, None: data if data == held else None}[enable]
    return {1: begun, 0: loaded, None: begun if loaded == begun else None}[reset]


def unknown_after_reset(design: Mapping[str, Any], top: str) -> dict[str, list[str]]:
    """Return the registers of each unit, without numbers in their names, that some cycles of reset leave unknown.

    Parameters
    ----------
    design
        A netlist for ECP5 as Yosys writes it as JSON.
    top
        Its top module, all of whose inputs but `RESET` are unknown, as are all registers and memories at first.

    Notes
    -----
    Simulates with 0, 1 and unknown. A table is known where all values of its unknown inputs give the same; what comes
    out of carry chains, memories and multipliers counts as unknown. So a register may be named that is known, but
    none is left out that is not.
    """
    gates = list(_gates(design, top))
    flops = [gate for gate in gates if gate.kind == "TRELLIS_FF"]
    tables = [gate for gate in gates if gate.kind == "LUT4"]
    value: dict[str, int | None] = {}
    for _ in range(CYCLES):
        value |= CONSTANTS | {f"#{design['modules'][top]['ports'][RESET]['bits'][0]}": 1}
        waiting, settled = tables, value
        while settled:
            results = [(gate, _table(gate, value)) for gate in waiting]
            settled = {gate.ports["Z"][0]: result for gate, result in results if result is not None}
            value |= settled
            waiting = [gate for gate, result in results if result is None]
        value = {gate.ports["Q"][0]: _next(gate, value) for gate in flops}
    found: dict[str, set[str]] = {}
    for gate in flops:
        if value[gate.ports["Q"][0]] is None:
            unit = gate.unit.removeprefix(f"{top}_")
            found.setdefault(unit, set()).add(_NUMBER.sub("", gate.register))
    return {unit: sorted(found[unit]) for unit in sorted(found)}


def beyond(recorded: Mapping[str, list[str]], found: Mapping[str, list[str]]) -> list[str]:
    """A line for each register that is unknown and not in the record."""
    return [
        f"{unit}: reset does not reach {register}"
        for unit, registers in found.items()
        for register in registers
        if register not in recorded.get(unit, [])
    ]


def found(status: Status | None = None) -> dict[str, list[str]]:
    """Those of today's preset."""
    return unknown_after_reset(recorded_design(status), TOP)


def recorded() -> dict[str, list[str]]:
    """Those that are known to need no reset."""
    registers: dict[str, list[str]] = json.loads(RECORD.read_text())
    return registers


def record(registers: Mapping[str, list[str]]) -> None:
    """Write the record anew."""
    write_text(RECORD, json.dumps(registers, indent=2) + "\n")
