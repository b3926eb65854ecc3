# SPDX-License-Identifier: Apache-2.0
"""The timeline of a token: what a core's trace port showed, as Chrome trace events that Perfetto opens."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.golden.files import write_text
from tritforge.hw.schedule import MATRICES, Group
from tritforge.hw.taps import TRACE, Cycle

if TYPE_CHECKING:
    from tritforge.sim.harness import Trace

STREAM, ROWS = "weight stream", "vector path"
UNITS = ("reciprocals", "scales", "quantiser")
TRACKS = (STREAM, ROWS, *UNITS)
WAITS = (Cycle.STARVED, Cycle.DRAIN, Cycle.DEPENDENCY)

Timeline = dict[str, Any]
Column = NDArray[np.int64]


def timeline(trace: "Trace") -> Timeline:
    """Chrome trace events of the last token in a trace; 1 us is one cycle.

    The weight stream's track has a slice for each row block, with its ``beats`` and ``repeats`` as arguments, and
    one for the result; they follow one another without a gap. Below a row block lie the waits in it: ``starved``,
    ``drain``, ``dependency``. The other tracks show the row blocks whose rows go to the vector path, and when a unit
    is busy.

    Returns
    -------
    An object for JSON; ``otherData`` holds the unit of time and the cycles of each kind (hw.taps.Cycle).

    Raises
    ------
    TritforgeError
        If there is no token in the trace.
    """
    token = _Token(trace)
    kind, rows, result = token.field["cycle"], token.field["rows"] == 1, token.field["cycle"] == Cycle.RESULT
    block = token.blocks("group", "matrix", "block", ~result)
    beats, repeats = token.counted(kind == Cycle.BEAT), token.counted(kind == Cycle.REPEAT)

    events = [{"name": "process_name", "ph": "M", "pid": 1, "args": {"name": "tritforge core"}}]
    for track, name in enumerate(TRACKS):
        for about, value in (("thread_name", {"name": name}), ("thread_sort_index", {"sort_index": track})):
            events.append({"name": about, "ph": "M", "pid": 1, "tid": track, "args": value})
    for first, end in token.pieces(block, ~result):
        args = {"beats": int(beats[end] - beats[first]), "repeats": int(repeats[end] - repeats[first])}
        events.append(token.event(STREAM, _block_name(block, first), first, end, args))
    for first, end in token.pieces([], result):
        events.append(token.event(STREAM, "result", first, end))
    # a wait ends with the row block that it lies in: slices must nest
    for first, end in token.pieces([kind, *block], np.isin(kind, WAITS)):
        events.append(token.event(STREAM, Cycle(kind[first]).name.lower(), first, end))

    block, context = token.blocks("rows_group", "rows_matrix", "rows_block", rows), token.field["rows_context"]
    for first, end in token.pieces([context, *block], rows):
        events.append(token.event(ROWS, f"{_block_name(block, first)} ctx {context[first]}", first, end))
    for unit in UNITS:
        for first, end in token.pieces([], token.field[unit] == 1):
            events.append(token.event(unit, unit, first, end))
    kinds = {k.name.lower(): int(token.counted(kind == k)[-1]) for k in Cycle if k is not Cycle.IDLE}
    return {"traceEvents": events, "otherData": {"time": "1 us is one cycle", "cycles": kinds}}


def write_timeline(path: Path, trace: "Trace") -> None:
    """Write the timeline of the last token in a trace as JSON; TritforgeError if there is none."""
    write_text(path, json.dumps(timeline(trace), separators=(",", ":")))


class _Token:
    """The last token of a trace: its entries, their fields and what can be said of runs of them."""

    def __init__(self, trace: "Trace") -> None:
        bounds = np.append(trace.starts, np.uint64(trace.cycles)).astype(np.int64)
        words = {name: trace.words >> np.uint64(field.offset) for name, field in TRACE}
        field = {name: (words[name] & np.uint64((1 << f.width) - 1)).astype(np.int64) for name, f in TRACE}
        busy = np.flatnonzero(field["cycle"] != Cycle.IDLE)
        if not busy.size:
            raise TritforgeError("The trace holds no token; run one while it is recorded.")
        end = int(busy[-1]) + 1
        idle = np.flatnonzero(field["cycle"][:end] == Cycle.IDLE)
        first = int(idle[-1]) + 1 if idle.size else 0
        self.field: dict[str, Column] = {name: values[first:end] for name, values in field.items()}
        self._bounds = bounds[first : end + 1] - bounds[first]

    def counted(self, where: NDArray[np.bool_]) -> Column:
        """[n + 1]: cycles of the chosen entries before each entry."""
        return np.concatenate([[0], np.cumsum(np.diff(self._bounds) * where)])

    def blocks(self, group: str, matrix: str, block: str, where: NDArray[np.bool_]) -> list[Column]:
        """Columns layer, group, matrix and block; a layer begins where the group of chosen entries becomes MIX."""
        chosen = np.flatnonzero(where)
        mix = self.field[group][chosen] == Group.MIX
        begins = np.zeros(len(where), np.int64)
        begins[chosen] = mix & ~np.concatenate([[False], mix[:-1]])
        return [np.cumsum(begins) - 1, *(self.field[name] for name in (group, matrix, block))]

    def pieces(self, columns: list[Column], where: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """(first, end) of each longest run of chosen entries in which no column changes."""
        changes = np.ones(len(where), np.bool_)
        changes[1:] = np.any([a[1:] != a[:-1] for a in (where, *columns)], axis=0)
        firsts = np.flatnonzero(changes)
        for first, end in zip(firsts.tolist(), [*firsts[1:].tolist(), len(where)], strict=True):
            if where[first]:
                yield first, end

    def event(
        self, track: str, name: str, first: int, end: int, args: dict[str, int] | None = None
    ) -> dict[str, Any]:
        """A complete event of the entries first..end."""
        start, stop = int(self._bounds[first]), int(self._bounds[end])
        where = {"pid": 1, "tid": TRACKS.index(track), "ts": start, "dur": stop - start}
        return {"name": name, "ph": "X", **where, **({"args": args} if args else {})}


def _block_name(block: list[Column], entry: int) -> str:
    layer, group, matrix, number = (int(column[entry]) for column in block)
    group = Group(group)
    names = MATRICES[group]
    layered = [] if group in (Group.EMBED, Group.HEAD) else [f"L{layer}"]
    return " ".join([*layered, group.name, *names[matrix : matrix + 1], f"#{number}"])
