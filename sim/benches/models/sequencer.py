# SPDX-License-Identifier: Apache-2.0
"""What surrounds the sequencer: packets and what must leave of them; side words, vector path, front, array, scales,
each as slow as it likes."""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tritforge.hw import schedule as sc
from tritforge.hw.control.sequencer import Sequencer, settle_cycles
from tritforge.hw.operations import OPS, Op
from tritforge.hw.packet import Context
from tritforge.hw.schedule import Group, Shape, Status
from tritforge.sim.benches.common import (
    limits,
    packed,
    shapes_at_the_ends,
    shared,
    shrunk,
    some_contexts,
    some_shape,
    token_fields,
    under_test,
)

INPUTS = (
    *("level", "words", "header_done", "header_status", "shape", "fault", "fault_status", "restored", "embed_block"),
    *("loaded", "scale_ready", "head_room", "empty", "buffered", "finished"),
)
LINKED = ("ring_room", "ring_joined", "ring_over", "peer_failed")
RING = 16
"""Beats that the ring of side words holds."""
LARGE, LARGEST = 800, 4000
"""Row groups of a packet of random size, and of one that is at a limit: a large core's are shrunk to as many."""
RELEASE = 2
"""Cycles from a release to the ring's new base."""
YOUNGEST, OLDEST = 3, 40
"""Cycles from the issue of a row group until it has settled in the vector path."""
BUFFERED = {Op.G: (Op.F, Op.I), Op.UP: (Op.GATE,)}
"""Operations whose rows wait for those of others in row buffers."""


INTERFACES = {
    "side": {"address": "address", "words": "words", "release": "side_release"},
    "header": {"word": "word", "pop": "header_pop", "done": "header_done", "status": "header_status", "torn": "torn"},
    "packet": {name: name for name in ("idle", "accept", "reject", "fault", "fault_status", "clear")}
    | {"embed_block": "embed_block", "drained": "drained"},
    "array": {name: name for name in ("loaded", "drain", "reload", "next_context")},
    "scale": {"matrix": "scale_matrix", "context": "scale_context", "ready": "scale_ready"},
    "rows": {"tag": "tag", "zero": "zero", "state_word": "state_word", "empty": "empty", "buffered": "buffered"},
    "head": {"valid": "head_valid", "room": "head_room", "row": "head_row", "live": "head_live"},
    "course": {name: name for name in ("begin", "dependency", "next_three", "next_inner")},
    "constants": {"kappa": "kappa", "bias": "bias"},
    "scale_words": {"word": "scale_words", "valid": "constants_valid"},
    "result": {"begin": "begin_packet", "finish": "finish", "status": "status", "done": "finished"},
    "ring": {name: f"ring_{name}" for name in ("idle", "begin", "of_head", "room", "finished", "joined", "ended")}
    | {"failed": "ring_failed", "over": "ring_over", "peer_failed": "peer_failed"},
}
"""Members of the sequencer's interfaces and their names in the bench; ``ring`` is that of a core with a link."""


class Ports:
    """The sequencer's ports by their names in the bench."""

    _PORTS: ClassVar = {
        name: f"{port}__{member}" for port, names in INTERFACES.items() for member, name in names.items()
    }

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self._found: dict[str, Any] = {}
        self._driven: dict[str, int] = {}

    def _port(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = getattr(self._dut, self._PORTS.get(name, name))
        return self._found[name]

    def __getattr__(self, name: str) -> int:
        return int(self._port(name).value)

    def drive(self, **values: int) -> None:
        for name, value in values.items():
            if self._driven.get(name) != value:
                self._driven[name] = self._port(name).value = int(value)

    def silence(self) -> None:
        """All inputs low."""
        self.drive(**dict.fromkeys((*INPUTS, *(LINKED if under_test().linked else ())), 0))

    def noise(self, name: str) -> int:
        """Random bits of a port's width."""
        return random.getrandbits(len(self._port(name)))


@dataclass(frozen=True)
class Row:
    """A row group as it must leave.

    part : its group's number, from 1 on. first, ends : of its row block and matrix, contexts and all. state : word of
    the context's state, of the layer's row group 0.
    """

    part: int
    group: Group
    matrix: int
    block: int
    op: Op
    context: int
    index: int
    live: int
    last_of_context: bool
    first: bool
    ends: bool
    zero: bool
    state: int

    @property
    def others_need(self) -> bool:
        """The first row group of those that leave only when other cores have room for them."""
        return self.first and self.group is not Group.HEAD

    @property
    def scale(self) -> tuple[int, int]:
        """(matrix, context) of its scale; gate and up share one."""
        return (self.matrix if self.group is Group.MIX else 0, self.context)


def rows_of(shape: Shape, contexts: Sequence[Context]) -> Iterator[Row]:
    """All row groups of a packet, in order."""
    geometry = under_test()
    lanes = geometry.vector_rows
    for part, (group, layer) in enumerate(sc.groups(shape), 1):
        n, ops = shape.outputs(group), OPS[group]
        if group is Group.CONTRACT and layer == shape.layers - 1:
            ops = (Op.OUT,)
        order = (
            (block, matrix, c, r)
            for block in range(geometry.blocks(n))
            for matrix in range(len(ops))
            for c in range(len(contexts))
            for r in range(geometry.row_groups)
        )
        for block, matrix, c, r in order:
            first = block * geometry.rows + r * lanes
            slot_base = contexts[c].slot * geometry.max_layers * geometry.max_hidden // lanes
            yield Row(
                *(part, group, matrix, block, ops[matrix], c, first // lanes),
                live=(1 << min(lanes, max(0, n - first))) - 1,
                last_of_context=r == geometry.row_groups - 1,
                first=r == 0 and c == 0,
                ends=r == geometry.row_groups - 1 and c == len(contexts) - 1,
                zero=contexts[c].zero,
                state=slot_base + layer * -(-shape.outputs(Group.OUT) // lanes),
            )


@dataclass(eq=False)
class Packet:
    """A packet, whether its header is good, and in which phase (from which group on) a fault hits it.

    groups : of its parts from 1 on. words : the header's (part 0) and the constants of each group. bits : the port
    ``shape``.
    """

    shape: Shape
    contexts: list[Context]
    header_status: Status
    fault_phase: str | None
    groups: list[tuple[Group, int]] = field(init=False)
    rows: list[Row] = field(init=False)
    words: list[list[int]] = field(init=False)
    fault_group: int = field(init=False)
    bits: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = list(rows_of(self.shape, self.contexts))
        self.groups = list(sc.groups(self.shape))
        counts = [sc.HEADER_WORDS] + [sc.CONSTANT_WORDS] * len(self.groups)
        self.words = [[random.getrandbits(32) for _ in range(count)] for count in counts]
        everywhere = self.fault_phase in ("constants", "begin", "wait", "rows", "leaving")
        self.fault_group = random.randrange(len(self.groups) - 1) if everywhere else 0
        self.fields = token_fields(self.shape, self.contexts, 0)
        self.bits = packed(self.fields)

    def beats(self, part: int) -> int:
        """Of a part's words."""
        return sc.side_beats(under_test(), len(self.words[part]))


def row_groups(shape: Shape) -> int:
    """How many there are in a packet of all contexts."""
    params = under_test()
    blocks = sum(params.blocks(shape.outputs(group)) * len(OPS[group]) for group, _ in sc.groups(shape))
    return blocks * params.row_groups * params.batch


def some_packet(fault_phase: str | None = None, header_status: Status = Status.OK) -> Packet:
    """A packet of random size, most often of a few row blocks."""
    shape = shrunk(some_shape(), row_groups, LARGE)
    if random.random() < 0.8:
        n = [
            min(random.randint(1, 2 * under_test().rows + 1), limit)
            for limit in (under_test().max_hidden, under_test().max_vocab)
        ]
        intermediate = min(random.randint(1, n[0]), under_test().max_intermediate)
        shape = Shape(n[0], random.randint(1, min(2, under_test().max_layers)), intermediate, n[1])
    return Packet(shared(shape), some_contexts(shape.vocab), header_status, fault_phase)


def packets_at_the_ends() -> Iterator[Packet]:
    """Those with one dimension as large as core and `LARGEST` let it be and, of a small core, with all of them."""
    whole = Shape(*limits())
    for shape in (*shapes_at_the_ends(), *([whole] if row_groups(whole) <= LARGEST else [])):
        fitting = shared(shrunk(shape, row_groups, LARGEST))
        yield Packet(fitting, some_contexts(fitting.vocab), Status.OK, None)


class Pace:
    """How likely things are in a cycle, of each packet anew; a large one has no slow neighbours."""

    def __init__(self, large: bool) -> None:
        names = ("beats", "scales", "ready", "feed", "room", "peers")
        self._chances = {name: random.choice([1.0, 0.5, 0.1] if not large else [1.0, 0.5]) for name in names}

    def __call__(self, name: str) -> bool:
        return random.random() < self._chances[name]


class Ring:
    """Beats of side words, each (part, "words" or "gains")."""

    def __init__(self) -> None:
        self.beats: deque[tuple[int, str]] = deque()
        self.arriving: deque[tuple[int, str]] = deque()
        self._released = deque([0] * RELEASE)

    @property
    def level(self) -> int:
        return len(self.beats)

    def put(self, part: int, kind: str, count: int) -> None:
        """They are on their way."""
        self.arriving.extend([(part, kind)] * count)

    def awaits(self, part: int, kind: str) -> bool:
        """Whether any is still on its way."""
        return (part, kind) in self.arriving

    def step(self, arrives: bool, released: int, gains_go: bool) -> None:
        """A cycle: what was released goes, or gains that the vector path has used, and a beat may come."""
        self._released.append(released)
        for _ in range(self._released.popleft()):
            self.beats.popleft()
        if gains_go and self.beats and self.beats[0][1] == "gains":
            self.beats.popleft()
        if arrives and self.arriving and len(self.beats) < RING:
            self.beats.append(self.arriving.popleft())


class Path:
    """The vector path: when each row group that was issued is settled, and what of it is in row buffers."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int]] = []
        self.settled = self.buffered = 0

    def issue(self, cycle: int, op: Op, oldest: int) -> None:
        """A row group that takes up to so many cycles."""
        needed = any(op in others for others in BUFFERED.values())
        settled = cycle + random.randint(YOUNGEST, oldest)
        buffered = cycle + random.randint(YOUNGEST, oldest if needed else YOUNGEST)
        self._rows.append((cycle, settled, buffered))
        self.settled, self.buffered = max(self.settled, settled), max(self.buffered, buffered)

    def says(self, cycle: int) -> tuple[bool, bool]:
        """The ports ``empty`` and ``buffered``: they speak of what was issued before this cycle."""
        before = [row for row in self._rows if row[0] < cycle]
        self._rows = [row for row in self._rows if max(row) > cycle]
        return all(cycle >= row[1] for row in before), all(cycle >= row[2] for row in before)


class Producers:
    """Array, front and scales: row blocks are loaded one at a time, scales come in order.

    loaded, embedded : row blocks of the group so far. loaded_at : the cycle of the last. scaled : (matrix, context)
    of the first scale that is not there; those of the packet before count until a dependency. pending : a row block
    is on its way or in the array. quick : no row block takes longer than it must.
    """

    def __init__(self) -> None:
        self.scaled, self.loaded_at, self.quick = (0, 0), 0, False
        self.begin_group()
        self.pending, self._loading = False, 0

    def begin_group(self) -> None:
        """Rows of another group are next."""
        self.loaded = self.embedded = self._fed = 0

    def scale(self, matrices: int, contexts: int) -> None:
        """One more is there."""
        matrix, context = self.scaled
        if matrix < matrices:
            wraps = context == contexts - 1
            self.scaled = (matrix + wraps, 0 if wraps else context + 1)

    def step(self, cycle: int, group: Group, blocks: int, feeds: bool) -> dict[str, int]:
        """The pulses ``loaded`` and ``embed_block`` of a cycle; ``feeds`` : the front may have beats of the group."""
        found = {"loaded": 0, "embed_block": 0}
        if self._loading:
            self._loading -= 1
            if not self._loading:
                self.loaded, self.loaded_at, found["loaded"] = self.loaded + 1, cycle, 1
        if feeds and group is Group.EMBED and self.embedded < blocks:
            self.embedded, found["embed_block"] = self.embedded + 1, 1
        elif feeds and group is not Group.EMBED and not self.pending and self._fed < blocks * len(OPS[group]):
            self._fed, self.pending = self._fed + 1, True
            self._loading = random.randint(4, 4 if self.quick else settle_cycles(under_test()) - 4)
        return found


@dataclass
class Read:
    """A word that was asked for: what the ring answers, the word itself, of which part, whether it is the last."""

    answer: int
    word: int
    part: int
    last: bool


class Reads:
    """Words under way from the ring to the sequencer."""

    def __init__(self) -> None:
        self._way: deque[Read | None] = deque([None] * Sequencer.read_latency)
        self.now: Read | None = None

    def ask(self, packet: Packet, part: int, number: int) -> None:
        """Word ``number`` of a part, with the V - 1 around it."""
        words, lanes = packet.words[part], under_test().vector_rows
        first = number // lanes * lanes
        answer = sum(word << 32 * k for k, word in enumerate(words[first : first + lanes]))
        self._way[-1] = Read(answer, words[number], part, number == len(words) - 1)

    def step(self) -> None:
        self.now = self._way.popleft()
        self._way.append(None)
