# SPDX-License-Identifier: Apache-2.0
"""Draws the first layers of a timeline (host/run/trace.py) as an SVG picture."""

import re
from collections.abc import Sequence
from typing import Any

from tritforge.golden import TritforgeError

COLOURS = {
    "EMBED": "#8a8f98",
    "MIX f": "#1f5fa8",
    "MIX i": "#4f93d6",
    "MIX g": "#9cc5ee",
    "OUT o": "#2e8b57",
    "EXPAND gate": "#b8701a",
    "EXPAND up": "#e6ad5c",
    "CONTRACT down": "#7a4fa3",
    "HEAD lm_head": "#4a4f57",
    "starved": "#d6b400",
    "drain": "#e07b7b",
    "dependency": "#b3261e",
    "exchange": "#00838f",
    "result": "#b8bcc2",
    "busy": "#5b6b7b",
}
LEFT, WIDTH, TOP, ROW, PITCH = 110, 860, 30, 22, 30
WAITS = ("starved", "drain", "dependency", "exchange")

Event = dict[str, Any]


def picture(timeline: dict[str, Any], tracks: Sequence[str], layers: int) -> str:
    """The timeline from its begin to the end of a number of layers; of many cores the weight streams alone.

    Parameters
    ----------
    timeline
        What `host.run.trace.timeline` returns.
    tracks
        The tracks' names, the weight stream first; its waits are drawn as a row of their own.
    layers
        How many, at least one.

    Returns
    -------
    SVG of a fixed width, with cycles as its horizontal axis.

    Raises
    ------
    TritforgeError
        If it is no timeline or has fewer layers.
    """
    try:
        events = [e for e in timeline["traceEvents"] if e["ph"] == "X" and e["tid"] < len(tracks)]
        ends = {int(m[1]): e["ts"] + e["dur"] for e in events if (m := re.match(r"L(\d+) ", e["name"]))}
    except (KeyError, TypeError):
        raise TritforgeError("The file is no timeline; write one with --trace.") from None
    if layers > len(ends):
        raise TritforgeError(f"The timeline has {len(ends)} layers; draw at most so many with --layers.")
    end = max(e["ts"] + e["dur"] for e in events if e["name"].startswith(f"L{layers - 1} "))
    shown = [e | {"dur": min(e["dur"], end - e["ts"])} for e in events if e["ts"] < end]
    rows: dict[str, list[Event]] = {}
    first, *others = sorted({e.get("pid", 1) for e in shown})
    if others:
        shown = [e for e in shown if e["tid"] == 0]
        for number, core in enumerate((first, *others)):
            rows |= _stream(f"core {number}", f"waits of {number}", [e for e in shown if e["pid"] == core])
        stream = rows["core 0"]
    else:
        rows |= _stream(tracks[0], "its waits", [e for e in shown if e["tid"] == 0])
        rows |= {name: [e for e in shown if e["tid"] == track] for track, name in enumerate(tracks) if track}
        stream = rows[tracks[0]]
    scale, bottom = WIDTH / end, TOP + len(rows) * PITCH
    parts = [f'<rect width="{LEFT + WIDTH + 30}" height="{bottom + 80}" fill="#fff"/>']
    for index, (name, content) in enumerate(rows.items()):
        parts += _row(name, content, TOP + index * PITCH, scale)
    parts += [*_groups(stream, scale), *_axis(end, scale, bottom), *_legend(shown, bottom)]
    size = f'viewBox="0 0 {LEFT + WIDTH + 30} {bottom + 80}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="12">'
    return "\n".join([head, "<title>Timeline of a token</title>", *parts, "</svg>", ""])


def _stream(name: str, waits: str, events: list[Event]) -> dict[str, list[Event]]:
    """The rows of a core's stream by their names: its row blocks, and the waits in them."""
    return {
        name: [e for e in events if e["name"] not in WAITS],
        waits: [e for e in events if e["name"] in WAITS],
    }


def _colour(event: Event) -> str:
    """The key of an event's colour: its name without layer, number and context."""
    key = re.sub(r"^L\d+ | #.*", "", event["name"])
    return key if key in COLOURS else "busy"


def _row(name: str, events: list[Event], y: int, scale: float) -> list[str]:
    """A labelled track; all slices of a colour are one path, so that many stay small."""
    parts = [
        f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{name}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{WIDTH}" height="{ROW}" fill="#f2f4f7"/>',
    ]
    for key, colour in COLOURS.items():
        boxes = [
            f"M{LEFT + e['ts'] * scale:.1f} {y}h{(width := max(0.2, e['dur'] * scale)):.1f}v{ROW}h-{width:.1f}z"
            for e in events
            if _colour(e) == key
        ]
        if boxes:
            parts.append(f'<path fill="{colour}" d="{"".join(boxes)}"/>')
    return parts


def _groups(stream: list[Event], scale: float) -> list[str]:
    """The groups' names above the weight stream, where there is room."""
    spans: dict[str, tuple[int, int]] = {}
    for e in stream:
        (group,) = re.findall(r"^(?:L\d+ )?\w+", e["name"])
        spans[group] = (spans.get(group, (e["ts"], 0))[0], e["ts"] + e["dur"])
    return [
        f'<text x="{LEFT + (a + b) / 2 * scale:.1f}" y="{TOP - 8}" text-anchor="middle">{group}</text>'
        for group, (a, b) in spans.items()
        if (b - a) * scale > 7 * len(group)
    ]


def _axis(end: int, scale: float, y: int) -> list[str]:
    """Numbered ticks every 1, 2 or 5 times a power of ten cycles."""
    step = next(f * 10**p for p in range(12) for f in (1, 2, 5) if end <= 8 * f * 10**p)
    parts = [f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">cycle</text>']
    for tick in range(0, end + 1, step):
        x = f"{LEFT + tick * scale:.1f}"
        parts.append(f'<path d="M{x} {TOP}V{y}" stroke="#345" stroke-opacity="0.25"/>')
        parts.append(f'<text x="{x}" y="{y + 14}" text-anchor="middle">{tick:,}</text>')
    return parts


def _legend(events: list[Event], y: int) -> list[str]:
    """The colours in use, in columns."""
    used = {_colour(e) for e in events}
    parts = []
    for place, key in enumerate(key for key in COLOURS if key in used):
        x, line = LEFT + place % 7 * 123, y + 30 + place // 7 * 20
        parts.append(f'<rect x="{x}" y="{line}" width="12" height="12" fill="{COLOURS[key]}"/>')
        parts.append(f'<text x="{x + 16}" y="{line + 10}">{key}</text>')
    return parts
