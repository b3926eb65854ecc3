# SPDX-License-Identifier: Apache-2.0
"""Reads the switching activity that a simulation wrote as SAIF."""

import re
from pathlib import Path
from typing import NamedTuple

from tritforge.golden import TritforgeError


class Activity(NamedTuple):
    """How often a net changed.

    Attributes
    ----------
    toggles : changes a cycle, 0 to 1: what happens within a cycle, glitches and the clock, is not seen.
    high : share of the cycles in which the net was 1.
    """

    toggles: float
    high: float


_LINE = re.compile(r"\s*\((?:INSTANCE (\S+)|(\S+) \(T0 (\d+)\) \(T1 (\d+)\).* \(TC (\d+)\)\)|NET)$|\s*(\))$")
_DURATION = re.compile(r"\(DURATION (\d+)\)")


def first_of(path: Path) -> Path:
    """The file beside a SAIF file that says which nets were 1 at its beginning."""
    return path.with_name(f"{path.name}.first")


def read_saif(path: Path, top: str) -> dict[str, Activity]:
    """Every net of a design.

    Verilator takes every net for 0 before the beginning, so a net that was 1 then has a change that never was: it is
    the only one in the file of the beginning alone (`first_of`), and is taken off.

    Parameters
    ----------
    path
        Written by Verilator through `sim.harness.Harness.activity`, one time step a cycle.
    top
        The instance that the names count from.

    Returns
    -------
    dict
        By name as in the flat netlist: instances and net with dots between, a bit in brackets behind.

    Raises
    ------
    TritforgeError
        If the file has no cycle or no such instance.
    """
    cycles, nets = _counts(path, top)
    _, first = _counts(first_of(path), top)
    if not nets or not cycles:
        raise TritforgeError(f"{path} tells nothing about {top}; simulate it again.")
    return {
        name: Activity((changes - first[name][0]) / cycles, high / cycles) for name, (changes, high) in nets.items()
    }


def _counts(path: Path, top: str) -> tuple[int, dict[str, tuple[int, int]]]:
    """Cycles of a file, and changes and cycles high of every net."""
    nets: dict[str, tuple[int, int]] = {}
    scopes: list[str] = []
    cycles = 0
    with path.open() as lines:
        for line in lines:
            duration = _DURATION.match(line)
            if duration:
                cycles = int(duration[1])
            found = _LINE.match(line)
            if not found:
                continue
            scope, net, _, high, changes, closed = found.groups()
            if scope or line.lstrip().startswith("(NET"):
                scopes.append((scope or "").replace("\\", ""))
            elif closed:
                if scopes:
                    scopes.pop()
            elif scopes[1:2] == [top]:
                name = ".".join([*filter(None, scopes[2:]), net.replace("\\", "")])
                nets[name] = int(changes), int(high)
    return cycles, nets
