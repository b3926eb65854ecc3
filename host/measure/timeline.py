# SPDX-License-Identifier: Apache-2.0
"""What the units of a core do in a token's first layer: events, what is kept of them, their picture."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import CONFIG
from tritforge.host.run.models import TALES, Kind, Model
from tritforge.host.run.trace import TRACKS
from tritforge.host.run.trace_picture import picture
from tritforge.hw.params import preset
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import made, on_model, on_verilog, put
from tritforge.perf.measured.subject import named

PRESET, IDS, LAYERS = "edge", [1, 2], 1


class Event(NamedTuple):
    """What a track of the timeline shows, from a cycle on (`host.run.trace.timeline`)."""

    name: str
    track: int
    start: int
    cycles: int


def timeline_picture() -> str:
    """The picture from what was recorded."""
    events = [
        {"name": name, "ph": "X", "tid": track, "ts": start, "dur": cycles}
        for name, track, start, cycles in plan.TIMELINE.entry.data["events"]
    ]
    return picture({"traceEvents": events}, TRACKS, LAYERS)


def measure(status: Callable[[str], None] = lambda line: None) -> list[Event]:
    """The events of the first layers, when the last of `IDS` runs on the simulated core."""
    if not (TALES / CONFIG).is_file():
        raise TritforgeError(f"There is no {TALES}; run this in a checkout.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "token.json")
        model = Model(TALES, preset(PRESET), status)
        with model.session(Kind.RTL, trace=path) as session:
            session.backend.run(np.array(IDS), logits=False)
        return _first_layers(json.loads(path.read_text())["traceEvents"])


def keep(events: list[Event]) -> None:
    """Keep the events in perf/measured."""
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    params = preset(PRESET)
    on = on_verilog(named(params), cached_verilog(params), TOP) | on_model(TALES)
    entry = made(plan.TIMELINE.command, {"events": events}, on, ("verilator",))
    put(plan.TIMELINE.file, {plan.TIMELINE.name: entry})


def _first_layers(events: list[dict[str, Any]]) -> list[Event]:
    """What begins before the first layers' end."""
    slices = [e for e in events if e["ph"] == "X"]
    end = max(e["ts"] + e["dur"] for e in slices if e["name"].startswith(f"L{LAYERS - 1} "))
    return [Event(e["name"], e["tid"], e["ts"], e["dur"]) for e in slices if e["ts"] < end]
