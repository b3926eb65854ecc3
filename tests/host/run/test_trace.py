# SPDX-License-Identifier: Apache-2.0
"""The timeline of a token: its events, its picture, and the way from a core's trace port to the file."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.checkpoints import random_checkpoint
from tests.command_line import ask, call, invoke, refuse
from tests.cores import CORES, packed, with_taps
from tests.fake_core import FakeSim
from tests.loopback import Loopback, random_packet, trace_word
from tritforge.golden import TritforgeError
from tritforge.host.image.decode import DecodedImage
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.locate import locate_difference
from tritforge.host.run.trace import STREAM, TRACKS, Timeline, timeline, write_timeline
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import MATRICES, Group, Shape, groups, segments
from tritforge.hw.taps import TRACE, Cycle
from tritforge.rtl_gen.verilog.cached import TOP
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.native import Trace
from tritforge.sim.simulator import IDLE_CYCLES, SimTransport

KINDS = ("beat", "repeat", "starved", "drain", "dependency", "result")
SHAPE = Shape(hidden=8, layers=3, intermediate=8, vocab=8)

Entry = dict[str, int]
Row = tuple[str, str, int, int]


def recorded(*runs: tuple[int, Entry]) -> Trace:
    """The trace of runs (cycles, fields); fields not named are zero."""
    words = np.array([TRACE.const(fields).as_bits() for _, fields in runs], np.uint64)
    starts = np.cumsum([0, *(cycles for cycles, _ in runs)])
    return Trace(starts[:-1].astype(np.uint64), words, int(starts[-1]))


def stream(cycle: Cycle, group: Group = Group.EMBED, matrix: int = 0, block: int = 0, **more: int) -> Entry:
    return {"cycle": cycle, "group": group, "matrix": matrix, "block": block, **more}


def rows(group: Group, matrix: int = 0, block: int = 0, context: int = 0) -> Entry:
    return {"rows": 1, "rows_group": group, "rows_matrix": matrix, "rows_block": block, "rows_context": context}


def slices(told: Timeline, track: str) -> list[Row]:
    """(name, start, cycles) of a track's events."""
    events = [e for e in told["traceEvents"] if e["ph"] == "X" and TRACKS[e["tid"]] == track]
    return [(e["name"], e["ts"], e["dur"]) for e in events]


IDLE = (7, stream(Cycle.IDLE))
TOKEN = (
    (2, stream(Cycle.BEAT)),
    (3, stream(Cycle.DEPENDENCY)),
    (1, stream(Cycle.STARVED)),
    (4, stream(Cycle.BEAT, reciprocals=1)),
    (4, stream(Cycle.BEAT, block=1, reciprocals=1, **rows(Group.EMBED))),
    (5, stream(Cycle.DEPENDENCY, Group.MIX, quantiser=1, **rows(Group.EMBED, block=1))),
    (3, stream(Cycle.BEAT, Group.MIX)),
    (1, stream(Cycle.REPEAT, Group.MIX)),
    (2, stream(Cycle.DRAIN, Group.MIX)),
    (1, stream(Cycle.DRAIN, Group.MIX, scales=1)),
    (2, stream(Cycle.DRAIN, Group.MIX, 1)),
    (2, stream(Cycle.BEAT, Group.MIX, 1, **rows(Group.MIX, context=0))),
    (2, stream(Cycle.BEAT, Group.MIX, 1, **rows(Group.MIX, context=1))),
    (6, stream(Cycle.BEAT, Group.HEAD, block=9)),
    (5, stream(Cycle.RESULT, 6, **rows(Group.HEAD, block=9))),
)
"""What may end in a HEAD right after a MIX is no token of the core, but short."""


def test_a_timeline_is_the_token_slice_by_slice() -> None:
    told = timeline(recorded(IDLE, *TOKEN, IDLE))
    assert slices(told, STREAM) == [
        ("EMBED #0", 0, 10),
        ("EMBED #1", 10, 4),
        ("L0 MIX f #0", 14, 12),
        ("L0 MIX i #0", 26, 6),
        ("HEAD lm_head #9", 32, 6),
        ("result", 38, 5),
        ("dependency", 2, 3),
        ("starved", 5, 1),
        ("dependency", 14, 5),
        ("drain", 23, 3),
        ("drain", 26, 2),
    ]
    assert slices(told, "vector path") == [
        ("EMBED #0 ctx 0", 10, 4),
        ("EMBED #1 ctx 0", 14, 5),
        ("L0 MIX f #0 ctx 0", 28, 2),
        ("L0 MIX f #0 ctx 1", 30, 2),
        ("HEAD lm_head #9 ctx 0", 38, 5),
    ]
    assert slices(told, "reciprocals") == [("reciprocals", 6, 8)]
    assert slices(told, "scales") == [("scales", 25, 1)]
    assert slices(told, "quantiser") == [("quantiser", 14, 5)]
    cycles = {"beat": 23, "repeat": 1, "starved": 1, "drain": 5, "dependency": 8, "result": 5}
    assert told["otherData"] == {"time": "1 us is one cycle", "cycles": cycles}
    named = {e["tid"]: e["args"]["name"] for e in told["traceEvents"] if e["name"] == "thread_name"}
    assert tuple(named[tid] for tid in range(len(TRACKS))) == TRACKS


def block_name(group: Group, layer: int, matrix: str, block: int) -> str:
    place = "" if group in (Group.EMBED, Group.HEAD) else f"L{layer} "
    return f"{place}{group.name} {matrix}".strip() + f" #{block}"


def random_token(seed: int) -> tuple[list[Entry], list[tuple[str, str | None]]]:
    """A token cycle by cycle, and for each its row block and the wait in it by their names."""
    dice = np.random.default_rng(seed)
    entries: list[Entry] = []
    names: list[tuple[str, str | None]] = []
    for group, layer in groups(SHAPE):
        for block in range(2):
            for matrix, what in enumerate(MATRICES[group] or ("",)):
                name = block_name(group, layer, what, block)
                for kind in dice.choice([1, 2, 3, 4, 5], dice.integers(1, 12)).tolist():
                    entries.append(stream(Cycle(kind), group, matrix, block, scales=int(dice.integers(2))))
                    names.append((name, Cycle(kind).name.lower() if kind > 2 else None))
    entries += [stream(Cycle.RESULT, Group.HEAD, block=1)] * 6
    names += [("result", None)] * 6
    return entries, names


@pytest.mark.parametrize("seed", range(5))
def test_the_stream_covers_every_cycle_and_sums_to_the_counters(seed: int) -> None:
    first, last = random_token(seed)[0], random_token(seed + 100)
    told = timeline(recorded(*((1, e) for e in first), IDLE, *((1, e) for e in last[0])))
    blocks, waits = [None] * len(last[0]), [None] * len(last[0])
    totals = dict.fromkeys(KINDS, 0)
    for e in told["traceEvents"]:
        if e["ph"] != "X" or TRACKS[e["tid"]] != STREAM:
            continue
        into = waits if e["name"] in KINDS[2:5] else blocks
        for cycle in range(e["ts"], e["ts"] + e["dur"]):
            assert into[cycle] is None
            into[cycle] = e["name"]
        if e["name"] in KINDS:
            totals[e["name"]] += e["dur"]
        for kind, cycles in e.get("args", {}).items():
            totals[f"{kind}".removesuffix("s")] += cycles
    assert list(zip(blocks, waits, strict=True)) == last[1]
    wanted = {kind: sum(e["cycle"].name.lower() == kind for e in last[0]) for kind in KINDS}
    assert totals == wanted == told["otherData"]["cycles"]


def test_equal_slices_are_one_and_nest() -> None:
    told = timeline(recorded(*((1, e) for e in random_token(1)[0])))
    found = slices(told, STREAM)
    blocks = [s for s in found if s[0] not in KINDS[2:5]]
    waits = [s for s in found if s[0] in KINDS[2:5]]
    assert len({name for name, _, _ in blocks}) == len(blocks)
    for _, start, cycles in waits:
        assert sum(s <= start and start + cycles <= s + c for _, s, c in blocks) == 1
    for (name, start, cycles), (other, behind, _) in pairwise(waits):
        border = any(s == behind for _, s, _ in blocks)
        assert name != other or start + cycles < behind or border


def test_the_cores_of_a_ring_are_processes_in_one_time() -> None:
    """The second begins four cycles later, and waits for the first within and behind its last row block."""
    head = [(3, stream(Cycle.BEAT, Group.HEAD)), (2, stream(Cycle.EXCHANGE, Group.HEAD))]
    head += [(1, stream(Cycle.BEAT, Group.HEAD)), (1, stream(Cycle.RESULT, 6)), (4, stream(Cycle.EXCHANGE, 6))]
    told = timeline(recorded(IDLE, *TOKEN), recorded(IDLE, (4, stream(Cycle.IDLE)), *head))
    events = {core: [e for e in told["traceEvents"] if e["pid"] == core + 1] for core in (0, 1)}
    alone = timeline(recorded(*TOKEN))["traceEvents"]
    assert [e for e in events[0] if e["ph"] == "X"] == [e for e in alone if e["ph"] == "X"]
    assert [e["args"]["name"] for e in told["traceEvents"] if e["name"] == "process_name"] == ["core 0", "core 1"]
    assert [(e["name"], e["ts"], e["dur"]) for e in events[1] if e["ph"] == "X"] == [
        ("HEAD lm_head #0", 4, 6),
        ("result", 10, 5),
        ("exchange", 7, 2),
        ("exchange", 11, 4),
    ]
    cycles = [
        {"beat": 23, "repeat": 1, "starved": 1, "drain": 5, "dependency": 8, "result": 5, "exchange": 0},
        {"beat": 4, "repeat": 0, "starved": 0, "drain": 0, "dependency": 0, "result": 1, "exchange": 6},
    ]
    assert told["otherData"] == {"time": "1 us is one cycle", "cores": cycles}


def test_a_picture_of_a_ring_shows_all_streams(tmp_path: Path) -> None:
    token = [(5, stream(Cycle.BEAT)), (3, stream(Cycle.BEAT, Group.MIX)), (2, stream(Cycle.EXCHANGE, Group.MIX))]
    token += [(10, stream(Cycle.BEAT, Group.OUT, quantiser=1))]
    write_timeline(tmp_path / "t.json", recorded(*token), recorded(*token))
    call("draw", "trace", tmp_path / "t.json", "-o", tmp_path / "t.svg", "--layers", 1)
    tree = ElementTree.parse(tmp_path / "t.svg")
    labels = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert labels[:4] == ["core 0", "waits of 0", "core 1", "waits of 1"]
    paths = {e.get("fill"): e.get("d") for e in tree.iter("{http://www.w3.org/2000/svg}path") if e.get("fill")}
    unit = 860 / 20
    assert "#5b6b7b" not in paths
    assert paths["#00838f"] == f"M{110 + 8 * unit:.1f} 120h{2 * unit:.1f}v22h-{2 * unit:.1f}z"


@pytest.mark.parametrize("trace", [recorded(), recorded(IDLE)])
def test_a_trace_without_a_token_is_refused(trace: Trace) -> None:
    with pytest.raises(TritforgeError, match=r"^The trace holds no token; run one"):
        timeline(trace)


def test_a_picture_shows_the_first_layers(tmp_path: Path) -> None:
    token = [(5, stream(Cycle.BEAT)), (3, stream(Cycle.BEAT, Group.MIX)), (2, stream(Cycle.DRAIN, Group.MIX))]
    token += [(10, stream(Cycle.BEAT, Group.OUT, quantiser=1, **rows(Group.MIX, context=1)))]
    token += [(10, stream(Cycle.BEAT, Group.MIX, quantiser=1)), (20, stream(Cycle.BEAT, Group.OUT))]
    write_timeline(tmp_path / "t.json", recorded(*token))
    for layers, end in ((1, 20), (2, 50)):
        call("draw", "trace", tmp_path / "t.json", "-o", tmp_path / "t.svg", "--layers", layers)
        paths = {}
        for path in ElementTree.parse(tmp_path / "t.svg").iter("{http://www.w3.org/2000/svg}path"):
            if path.get("fill"):
                paths.setdefault(path.get("fill"), []).append(path.get("d"))
        unit = 860 / end
        mix_f = f"M{110 + 5 * unit:.1f} 30h{5 * unit:.1f}v22h-{5 * unit:.1f}z"
        again = f"M{110 + 20 * unit:.1f} 30h{10 * unit:.1f}v22h-{10 * unit:.1f}z" if layers == 2 else ""
        rows_f = f"M{110 + 10 * unit:.1f} 90h{10 * unit:.1f}v22h-{10 * unit:.1f}z"
        assert paths["#1f5fa8"] == [mix_f + again, rows_f]
        assert paths["#e07b7b"] == [f"M{110 + 8 * unit:.1f} 60h{2 * unit:.1f}v22h-{2 * unit:.1f}z"]
        busy = (10 if layers == 1 else 20) * unit  # the quantiser is busy beyond the first layer's end
        assert paths["#5b6b7b"] == [f"M{110 + 10 * unit:.1f} 180h{busy:.1f}v22h-{busy:.1f}z"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json", "t.svg"]


def test_the_transport_keeps_the_last_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = emit_verilog(Loopback(16, rows=4), TOP, tmp_path)
    monkeypatch.setattr("tritforge.sim.simulator.cached_verilog", lambda params, status: files)
    with SimTransport(CoreParams(lanes=16, vector_rows=4, taps=True)) as transport:
        transport.exchange([random_packet(300, 16)])
        before = transport.cycles
        transport.record_trace()
        transport.exchange([random_packet(200, 16)])
        middle = transport.cycles
        transport.exchange([random_packet(100, 16)])
        trace = transport.fetch_trace()
    assert before < middle and trace.cycles == transport.cycles - middle + IDLE_CYCLES
    assert trace.words[0] == trace_word(middle + 2 * IDLE_CYCLES)


@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_a_core_shows_all_its_rows_and_cycles(stall: float, tmp_path: Path) -> None:
    """Four rows a cycle and two contexts; a timeline of both, then one token's rows by the golden model."""
    params = with_taps(CORES["64x4"])
    image = packed(params, tmp_path)
    ids = np.array([3, 100, 7])
    with SimTransport(params, stall=stall) as transport:
        backend = CoreBackend(transport, image)
        transport.record_trace()
        backend.run(ids[:2])
        told, counters = timeline(transport.fetch_trace()), asdict(backend.counters())
        transport.record_taps()
        backend.run(ids[2:])
        taps = transport.fetch_taps()
    wanted = {kind: counters[f"{kind}s" if kind in KINDS[:2] else kind] for kind in KINDS}
    assert told["otherData"]["cycles"] == wanted and wanted["repeat"] > 0
    trits = [s for s in segments(params, image.shape, 2) if s.kind in (*MATRICES[s.group], "gains")]
    # gains go with the first matrix of their block; those of EMBED are all it has
    trits = [s for s in trits if s.kind != "gains" or s.group is Group.EMBED]
    names = [block_name(s.group, s.layer, s.kind if s.kind != "gains" else "", s.block) for s in trits]
    has = [name for name, _, _ in slices(told, STREAM) if name not in KINDS[2:]]
    assert has == names
    rows = [name for name, _, _ in slices(told, "vector path")]
    assert rows == [f"{name} ctx {context}" for name in names for context in (0, 1)]
    assert all(slices(told, unit) for unit in TRACKS[2:])
    assert locate_difference([taps], DecodedImage(image), ids.tolist()) is None


class TracedSim(FakeSim):
    """The core in software with a trace port."""

    def __init__(self, params: CoreParams, *more: object, **named: object) -> None:
        super().__init__(params, *more, **named)
        self.taps, self.recording = params.taps, False

    def record_trace(self) -> None:
        assert self.taps and not self.packets
        self.recording = True

    def fetch_trace(self) -> Trace:
        assert self.recording and self.packets
        return recorded(IDLE, *TOKEN)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tritforge.sim.simulator.SimTransport", TracedSim)
    return random_checkpoint(tmp_path / "model")


def test_generate_and_logits_write_the_timeline(model: Path) -> None:
    np.save("ids.npy", np.array([1, 2]))
    generate = ("generate", model, "--preset", "tiny", "--prompt", "a", "--max-new-tokens", 2, "--backend", "rtl")
    logits = ("logits", model, "--preset", "tiny", "--ids", "ids.npy", "--out", "x.npz", "--backend", "rtl")
    for command in (generate, logits):
        assert ask(*command)["counters"] == ask(*command, "--trace", "t.json")["counters"]
        assert json.loads(Path("t.json").read_text()) == timeline(recorded(*TOKEN))
        Path("t.json").unlink()
        result = invoke(*command, "--trace", "none/t.json")
        assert result.exit_code == 2 and "none/t.json cannot be written" in result.stderr


@pytest.mark.parametrize("backend", ["float", "integer"])
def test_only_a_core_has_a_timeline(model: Path, backend: str) -> None:
    np.save("ids.npy", np.array([1, 2]))
    options = ("--backend", backend, "--trace", "t.json")
    message = "--trace shows what a core does in every cycle; it needs --backend rtl."
    refuse(message, "generate", model, "--prompt", "a", *options)
    refuse(message, "logits", model, "--ids", "ids.npy", "--out", "x.npz", *options)
    assert not Path("t.json").exists()
