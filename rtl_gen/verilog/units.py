# SPDX-License-Identifier: Apache-2.0
"""Splits an Amaranth component into units: one RTLIL module for each *distinct* component of the hierarchy.

Amaranth's own back end writes a module per instance, whose ports follow from the nets that happen to cross
the boundary. Here every component keeps the ports of its signature, and components that elaborate to the same
text (sixty-four processing elements, say) share one module. A plain ``Elaboratable`` becomes a module of the
unit it is part of. A component may ask for synthesis attributes of its module with the class attribute
``rtl_attributes``, such as ``{"keep_hierarchy": 1}``.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field, is_dataclass
from enum import Enum

from amaranth.back import rtlil
from amaranth.hdl import _ast, _ir
from amaranth.hdl._ast import ClockSignal, ResetSignal, Signal
from amaranth.lib import data, wiring

from tritforge.rtl_gen.verilog.contents import by_rows
from tritforge.rtl_gen.verilog.narrow import narrowings


@dataclass(frozen=True)
class Unit:
    """One emitted module.

    Attributes
    ----------
    text
        RTLIL of the module. It and the units it instantiates are named by their key.
    names
        Candidate names, from the shortest (the class) to the longest (the path).
    """

    text: str
    names: tuple[str, ...]


@dataclass
class _Use:
    """Signals a unit is given, drives and reads (by identity), to find reads that bypass the ports."""

    given: set[int] = field(default_factory=set)
    driven: set[int] = field(default_factory=set)
    read: dict[int, Signal] = field(default_factory=dict)


def split(component: wiring.Component, name: str) -> str:
    """Emit a component and everything below it.

    Parameters
    ----------
    component
        Uses one clock domain, ``sync``, which becomes the ports ``clk`` and ``rst``.
    name
        Name of the top module and prefix of all the others.

    Returns
    -------
    str
        RTLIL of all modules, units before those that use them.

    Raises
    ------
    ValueError
        If a unit uses another clock domain, reads a signal of another unit that is not among its ports, has an input
        that nothing drives, or assigns what a signal cannot hold (`rtl_gen.verilog.narrow`).
    """
    fragment = _ir.Fragment.get(component, None)
    if cuts := narrowings(fragment):
        listed = "; ".join(map(str, cuts))
        raise ValueError(
            f"Bits would be dropped in silence; say that they may be with tritforge.hw.lib.width: {listed}."
        )
    splitter = _Splitter()
    splitter.unit(component, fragment, (name,))
    splitter.check_boundaries()
    names = _choose_names(splitter.units, name)

    def rename(match: re.Match[str]) -> str:
        return names[match[1]] + re.sub(r"\W", "_", match[2])

    text = "".join(unit.text for unit in splitter.units.values())
    return re.sub(r"(unit_[0-9a-f]{32})((?:\.\S+)?)", rename, text)


class _Splitter:
    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}
        # key and text by `_plain`: the elements of an array need not all be converted
        self._alike: dict[Hashable, tuple[str, str]] = {}
        self._uses: list[tuple[tuple[str, ...], _Use]] = []
        self._inputs: list[tuple[tuple[str, ...], str, Signal]] = []

    def unit(self, component: wiring.Component, fragment: _ir.Fragment, path: tuple[str, ...]) -> _ir.Instance:
        """Emit one component; the result instantiates it."""
        ports, use = _ports(component), _Use()
        inputs = {port: signal for port, (signal, way) in ports.items() if way is _ir.PortDirection.Input}
        if len(path) > 1:
            self._inputs += [(path, port, signal) for port, signal in inputs.items()]
        plain = _plain(component, ports)
        if plain in self._alike:
            key, text = self._alike[plain]
            return _instance(key, ports, text, path)
        self._replace_children(fragment, path, use)
        use.given.update(map(id, inputs.values()))
        for port, (signal, _) in ports.items():
            if port not in inputs:
                use.read[id(signal)] = signal
        self._uses.append((path, use))
        with by_rows():
            text, _ = rtlil.convert_fragment(fragment, ports, "unit", emit_src=False)
        attributes = getattr(component, "rtl_attributes", {})
        text = "".join(_attribute(*item) for item in attributes.items()) + _tidy(text)
        key = f"unit_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
        if key not in self.units:
            names = _candidates(type(component).__name__, path)
            self.units[key] = Unit(re.sub(r"\\unit\b(?=\.|\n)", rf"\\{key}", text), names)
        if plain is not None:
            self._alike[plain] = key, text
        return _instance(key, ports, text, path)

    def _replace_children(self, fragment: _ir.Fragment, path: tuple[str, ...], use: _Use) -> None:
        """Replace sub-fragments that are components by instances, and note which signals are used."""
        _note_signals(fragment, use)
        for index, (child, child_name, src_loc) in enumerate(fragment.subfragments):
            label = child_name or f"u{index}"
            component = next((o for o in child.origins or () if isinstance(o, wiring.Component)), None)
            if type(child) is _ir.Fragment and component is not None:
                child = self.unit(component, child, (*path, label))
                fragment.subfragments[index] = (child, label, src_loc)
                _note_signals(child, use)
            else:
                self._replace_children(child, (*path, label), use)

    def check_boundaries(self) -> None:
        drivers = {signal: path for path, use in self._uses for signal in use.driven}
        for path, use in self._uses:
            for key in (use.read.keys() - use.given - use.driven) & drivers.keys():
                raise ValueError(
                    f"Unit '{'.'.join(path)}' reads the signal '{use.read[key].name}' of "
                    f"'{'.'.join(drivers[key])}', which is not one of its ports; make it one."
                )
        for path, port, signal in self._inputs:
            if id(signal) not in drivers:
                raise ValueError(f"Unit '{'.'.join(path)}' has the input '{port}', which nothing drives; connect it.")


def _note_signals(fragment: _ir.Fragment, use: _Use) -> None:
    def read(value: _ast.Value) -> None:
        use.read.update((id(signal), signal) for signal in value._rhs_signals())

    def drive(value: _ast.Value) -> None:
        use.driven.update(id(signal) for signal in value._lhs_signals())

    for statements in fragment.statements.values():
        drive(statements)
        read(statements)
    if isinstance(fragment, _ir.Instance):
        for value, kind in fragment.ports.values():
            if kind == "o":
                drive(value)
            elif not isinstance(value, ClockSignal | ResetSignal):
                read(value)
    for port in getattr(fragment, "_write_ports", ()):
        for value in (port._addr, port._data, port._en):
            read(value)
    for port in getattr(fragment, "_read_ports", ()):
        read(port._addr)
        read(port._en)
        drive(port._data)


def _ports(component: wiring.Component) -> dict[str, tuple[Signal, _ir.PortDirection]]:
    ports = {}
    for path, member, value in component.signature.flatten(component):
        value = value.as_value() if isinstance(value, _ast.ValueCastable) else value
        is_input = member.flow == wiring.In
        if isinstance(value, Signal) and len(value):
            direction = _ir.PortDirection.Input if is_input else _ir.PortDirection.Output
            ports["__".join(map(str, path))] = (value, direction)
    return ports


def _plain(component: wiring.Component, ports: dict[str, tuple[Signal, _ir.PortDirection]]) -> Hashable:
    """What a component elaborates from, the same for all that are alike; None where it has more than plain values."""
    own = {
        name: value
        for name, value in vars(component).items()
        if name not in component.signature.members and not name.startswith(("_MustUse__", "_Component__"))
    }
    if not all(_is_plain(value) for value in own.values()):
        return None
    shapes = tuple((port, repr(signal.shape()), signal.init, way) for port, (signal, way) in ports.items())
    return type(component), tuple(sorted((name, repr(value)) for name, value in own.items())), shapes


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | str | Enum | _ast.Shape | data.Layout) or is_dataclass(value)


def _instance(
    key: str, ports: dict[str, tuple[Signal, _ir.PortDirection]], text: str, path: tuple[str, ...]
) -> _ir.Instance:
    connections = [
        ("i" if direction is _ir.PortDirection.Input else "o", port, signal)
        for port, (signal, direction) in ports.items()
    ]
    clocks = {"clk": ClockSignal("sync"), "rst": ResetSignal("sync")}
    head, _, _ = text.partition("\nend\n")
    for port in re.findall(r"^  wire width \d+ input \d+ .*\\(\S+)$", head, re.MULTILINE):
        if port in clocks:
            connections.append(("i", port, clocks[port]))
        elif port not in ports:
            raise ValueError(
                f"Unit '{'.'.join(path)}' needs '{port}', but only the clock domain 'sync' can be emitted; "
                "do not rename or gate the clock domain of a component."
            )
    return _ir.Instance(key, *connections)


def _tidy(text: str) -> str:
    """Drop the attributes that do not describe hardware."""
    dropped = r"^ *attribute \\(generator|top|src|enum_\w+|wiretype|amaranth\.\w+) .*\n"
    return re.sub(dropped, "", text, flags=re.MULTILINE)


def _attribute(name: str, value: int | str) -> str:
    return f'attribute \\{name} "{value}"\n' if isinstance(value, str) else f"attribute \\{name} {value}\n"


def _snake(name: str) -> str:
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"\W", "_", name).lower()


def _candidates(class_name: str, path: tuple[str, ...]) -> tuple[str, ...]:
    unit, labels = _snake(class_name), [_snake(label) for label in path[1:]]
    tails = ["_".join(labels[-count:]) for count in range(1, len(labels) + 1)]
    return (unit, *(f"{unit}_{tail}" for tail in tails))


def _choose_names(units: dict[str, Unit], top: str) -> dict[str, str]:
    """Give each unit its shortest candidate that no other unit has."""
    top_key = list(units)[-1]
    others = {key: unit for key, unit in units.items() if key != top_key}
    level = dict.fromkeys(others, 0)
    while True:
        names = {key: unit.names[level[key]] for key, unit in others.items()}
        count = Counter(names.values())
        clashing = [key for key, name in names.items() if count[name] > 1]
        longer = [key for key in clashing if level[key] + 1 < len(others[key].names)]
        if not longer:
            break
        for key in longer:
            level[key] += 1
    return {key: f"{top}_{name}" for key, name in names.items()} | {top_key: top}
