# SPDX-License-Identifier: Apache-2.0
"""The picture of a token's first layer: ``python -m tritforge.host.measure.timeline`` runs and records it."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tritforge.golden.checkpoints.config import CONFIG
from tritforge.host.run.models import TALES, Kind, Model
from tritforge.host.run.trace import TRACKS
from tritforge.host.run.trace_picture import picture
from tritforge.hw.params import preset
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import made, on_model, on_verilog, put
from tritforge.perf.measured.subject import named

PRESET, IDS, LAYERS = "edge", [1, 2], 1


def timeline_picture() -> str:
    """The picture from what was recorded."""
    events = [
        {"name": name, "ph": "X", "tid": track, "ts": start, "dur": cycles}
        for name, track, start, cycles in plan.TIMELINE.entry.data["events"]
    ]
    return picture({"traceEvents": events}, TRACKS, LAYERS)


def record() -> None:
    """Run the last of `IDS` on the simulated core and record the first layer's events."""
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    params = preset(PRESET)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "token.json")
        model = Model(TALES, params, lambda line: print(f"{line} ...", file=sys.stderr))
        with model.session(Kind.RTL, trace=path) as session:
            session.backend.run(np.array(IDS), logits=False)
        events = _first_layers(json.loads(path.read_text())["traceEvents"])
    on = on_verilog(named(params), cached_verilog(params), TOP) | on_model(TALES)
    entry = made(plan.TIMELINE.command, {"events": events}, on, ("verilator",))
    put(plan.TIMELINE.file, {plan.TIMELINE.name: entry})


def _first_layers(events: list[dict[str, Any]]) -> list[tuple[str, int, int, int]]:
    """Name, track, start and cycles of what begins before the first layers' end."""
    slices = [e for e in events if e["ph"] == "X"]
    end = max(e["ts"] + e["dur"] for e in slices if e["name"].startswith(f"L{LAYERS - 1} "))
    return [(e["name"], e["tid"], e["ts"], e["dur"]) for e in slices if e["ts"] < end]


if __name__ == "__main__":
    if not (TALES / CONFIG).is_file():
        sys.exit(f"Error: there is no {TALES}; run it in a checkout.")
    record()
