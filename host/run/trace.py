# SPDX-License-Identifier: Apache-2.0
"""The timeline of a token: what the trace ports of its cores showed, as Chrome trace events that Perfetto opens."""

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
    from tritforge.sim.native import Trace

STREAM, ROWS = "weight stream", "vector path"
UNITS = ("reciprocals", "scales", "quantiser")
TRACKS = (STREAM, ROWS, *UNITS)
WAITS = (Cycle.STARVED, Cycle.DRAIN, Cycle.DEPENDENCY, Cycle.EXCHANGE)

Timeline = dict[str, Any]
Column = NDArray[np.int64]


def timeline(*traces: "Trace") -> Timeline:
    """Chrome trace events of the last token in the traces of its cores, recorded together; 1 us is one cycle.

    Each core is a process. Its weight stream's track has a slice for each row block, with its ``beats`` and
    ``repeats`` as arguments, and one for the result; they follow one another without a gap. Below a row block lie the
    waits in it: ``starved``, ``drain``, ``dependency``, ``exchange``. The other tracks show the row blocks whose rows
    go to the vector path, and when a unit is busy.

    Returns
    -------
    An object for JSON; ``otherData`` holds the unit of time and the cycles of each kind (hw.taps.Cycle), of many
    cores those of each, in order.

    Raises
    ------
    TritforgeError
        If there is no token in a trace.
    """
    tokens = [_Token(trace, core) for core, trace in enumerate(traces)]
    start = min(token.begin for token in tokens)
    events: list[dict[str, Any]] = []
    for token in tokens:
        token.begin -= start
        events += _events(token, f"core {token.core}" if len(tokens) > 1 else "tritforge core")
    kinds = [kind for kind in Cycle if kind is not Cycle.IDLE and (kind is not Cycle.EXCHANGE or len(tokens) > 1)]
    cycles = [{k.name.lower(): int(token.counted(token.field["cycle"] == k)[-1]) for k in kinds} for token in tokens]
    told = {"cycles": cycles[0]} if len(tokens) == 1 else {"cores": cycles}
    return {"traceEvents": events, "otherData": {"time": "1 us is one cycle", **told}}


def _events(token: "_Token", name: str) -> Iterator[dict[str, Any]]:
    """Those of one core, which has a name."""
    kind, rows, result = token.field["cycle"], token.field["rows"] == 1, token.result
    block = token.blocks("group", "matrix", "block", ~result)
    beats, repeats = token.counted(kind == Cycle.BEAT), token.counted(kind == Cycle.REPEAT)

    yield token.about("process_name", {"name": name})
    for track, title in enumerate(TRACKS):
        for about, value in (("thread_name", {"name": title}), ("thread_sort_index", {"sort_index": track})):
            yield token.about(about, value) | {"tid": track}
    for first, end in token.pieces(block, ~result):
        args = {"beats": int(beats[end] - beats[first]), "repeats": int(repeats[end] - repeats[first])}
        yield token.event(STREAM, _block_name(block, first), first, end, args)
    for first, end in token.pieces([], result):
        yield token.event(STREAM, "result", first, end)
    # a wait ends with the row block that it lies in: slices must nest
    for first, end in token.pieces([kind, *block, result.astype(np.int64)], np.isin(kind, WAITS)):
        yield token.event(STREAM, Cycle(kind[first]).name.lower(), first, end)

    block, context = token.blocks("rows_group", "rows_matrix", "rows_block", rows), token.field["rows_context"]
    for first, end in token.pieces([context, *block], rows):
        yield token.event(ROWS, f"{_block_name(block, first)} ctx {context[first]}", first, end)
    for unit in UNITS:
        for first, end in token.pieces([], token.field[unit] == 1):
            yield token.event(unit, unit, first, end)


def write_timeline(path: Path, *traces: "Trace") -> None:
    """Write the timeline of the last token in the traces of its cores as JSON; TritforgeError if there is none."""
    write_text(path, json.dumps(timeline(*traces), separators=(",", ":")))


class _Token:
    """The last token of a core's trace: its entries, their fields and what can be said of runs of them."""

    def __init__(self, trace: "Trace", core: int) -> None:
        self.core = core
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
        self.begin = int(bounds[first])
        self._bounds = bounds[first : end + 1] - bounds[first]
        # other cores may be waited for within the result, too
        others = np.flatnonzero(~np.isin(self.field["cycle"], (Cycle.RESULT, Cycle.EXCHANGE)))
        self.result = np.arange(end - first) > (others[-1] if others.size else -1)

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

    def about(self, name: str, args: dict[str, Any]) -> dict[str, Any]:
        """What is to be known of the core or of a track."""
        return {"name": name, "ph": "M", "pid": 1 + self.core, "args": args}

    def event(
        self, track: str, name: str, first: int, end: int, args: dict[str, int] | None = None
    ) -> dict[str, Any]:
        """A complete event of the entries first..end."""
        start, stop = int(self._bounds[first]), int(self._bounds[end])
        where = {"pid": 1 + self.core, "tid": TRACKS.index(track), "ts": self.begin + start, "dur": stop - start}
        return {"name": name, "ph": "X", **where, **({"args": args} if args else {})}


def _block_name(block: list[Column], entry: int) -> str:
    layer, group, matrix, number = (int(column[entry]) for column in block)
    group = Group(group)
    names = MATRICES[group]
    layered = [] if group in (Group.EMBED, Group.HEAD) else [f"L{layer}"]
    return " ".join([*layered, group.name, *names[matrix : matrix + 1], f"#{number}"])
