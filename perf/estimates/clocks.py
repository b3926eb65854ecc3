# SPDX-License-Identifier: Apache-2.0
"""Clocks of cores on an ECP5, from those that were placed and routed (perf/measured/clocks.json)."""

from dataclasses import replace
from typing import Any

from tritforge.hw.params import CoreParams
from tritforge.perf.data import Positive
from tritforge.perf.figure import Tag
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import entries
from tritforge.perf.measured.subject import core_of, ring_of


def clock(params: CoreParams) -> Positive:
    """MHz of a core's fastest placement.

    A core that differs from a routed one in its limits alone has that one's, from the slowest placement to the
    fastest (derived). Any other has that of the preset whose lanes are nearest, from the slowest placement of all
    to the fastest (projected).
    """
    found: dict[CoreParams, list[float]] = {}
    for name, one in entries("clocks").items():
        core, cores = ring_of(name.partition(" seed ")[0])
        if ": " not in core and not cores:
            found.setdefault(_geometry(core_of(core)), []).append(one.data["fmax"])
    same = found.get(_geometry(params))
    if same:
        return _value(max(same), min(same), max(same), Tag.DERIVED, "placed and routed with other limits")
    presets = {name: [one.entry.data["fmax"] for one in plan.clocks(name)] for name in ("edge", "wide")}
    name = min(presets, key=lambda name: abs(core_of(name).lanes.bit_length() - params.lanes.bit_length()))
    every = [mhz for rates in presets.values() for mhz in rates]
    return _value(max(presets[name]), min(every), max(every), Tag.PROJECTED, f"not routed: that of {name}")


def _geometry(params: CoreParams) -> CoreParams:
    """The core with everybody's limits."""
    usual: dict[str, Any] = {f"max_{name}": limit for name, limit in CoreParams().limits.items()}
    return replace(params, taps=False, **usual)


def _value(value: float, low: float, high: float, tag: Tag, source: str) -> Positive:
    return Positive(value=value, low=low, high=high, tag=tag, source=f"perf/measured/clocks.json: {source}")
