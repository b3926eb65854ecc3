# SPDX-License-Identifier: Apache-2.0
"""Cores for the units that walk a packet: header reader, front, sequencer."""

from dataclasses import asdict
from typing import Any

from tritforge.hw.params import CoreParams

LIMITS = {"max_hidden": 28, "max_intermediate": 44, "max_layers": 3, "max_vocab": 70}
"""The head has more row groups than a tag can number."""
CORES = {
    "1x1": CoreParams(lanes=4, **LIMITS),
    # few row groups a row block, so that the G rows of two contexts need a distance
    "2x3": CoreParams(lanes=16, element_bytes=4, vector_rows=2, batch=3, **LIMITS),
    # header and constants are a single beat each
    "2x3-wide": CoreParams(lanes=64, element_bytes=4, vector_rows=2, batch=3, **LIMITS),
    "1x8": CoreParams(lanes=16, batch=8, **LIMITS),
    # the rows of a core begin anywhere in a beat's columns
    "2x3-linked": CoreParams(lanes=16, element_bytes=4, vector_rows=2, batch=3, link_bytes=4, **LIMITS),
    # the limits of the largest presets and beyond, in few row groups
    "16x1-limits": CoreParams(
        lanes=128, element_bytes=4, vector_rows=16, max_hidden=8192, max_intermediate=8192, max_vocab=32000
    ),
}
"""Rows a cycle x contexts."""


def told(core: str) -> dict[str, Any]:
    """What a bench is told of one."""
    return {"core": asdict(CORES[core])}
