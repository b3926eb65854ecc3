# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the sequencer: every port that matters in every cycle, the row groups against the schedule.

The bench plays what surrounds the sequencer: a ring of side words with random arrivals, the header reader, an array
that loads sums, scales, the vector path's and the result unit's readiness, and a front that reports faults.
"""

import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from tritforge.hw import schedule as sc
from tritforge.hw.control.sequencer import Sequencer, settle_cycles
from tritforge.hw.operations import OPS, Op, slots, tag_layout
from tritforge.hw.packet import Context
from tritforge.hw.schedule import Group, Shape, Status
from tritforge.hw.stream.header_reader import HeaderReader
from tritforge.sim.benches.tb_header import packed, some_contexts, some_shape, token_fields
from tritforge.sim.benches.tb_result import params
from tritforge.sim.benches.tb_units import begin

EARLY = ("HEADER", "CHECK")
AT_WORK = ("CONSTANTS", "ARRIVE", "TURN", "TURNED", "WAIT", "ROWS")
GOING = ("LEAVE", "LEFT", "DEPEND")
STATES = (*EARLY, *AT_WORK, *GOING, "FINISH", "RESULT")
"""Those in which a fault may come; it has no effect in the last two."""
ROUNDS = 3
"""Packets with a fault in each of them."""
RING = 16
"""Beats that the ring of side words holds."""
STUCK = 3000
"""Cycles without a step that a slow neighbour does not explain."""
ENDS = (Status.SHORT, Status.LONG, Status.ABORTED)
_PULSES = ("accept", "begin_packet", "reject", "begin", "dependency", "finish", "side_release")
_PULSES += ("issue_valid", "drain", "drained", "head_valid")

_INTERFACES = {
    "side": {"address": "address", "words": "words", "release": "side_release"},
    "header": {"word": "word", "pop": "header_pop", "done": "header_done", "status": "header_status", "torn": "torn"},
    "packet": {name: name for name in ("idle", "accept", "reject", "fault", "fault_status", "clear")}
    | {"embed_block": "embed_block", "drained": "drained"},
    "array": {name: name for name in ("loaded", "drain", "reload", "next_context")},
    "scale": {"matrix": "scale_matrix", "context": "scale_context", "ready": "scale_ready"},
    "rows": {"tag": "issue", "zero": "zero", "state_word": "state_word", "empty": "empty", "buffered": "buffered"},
    "head": {"valid": "head_valid", "room": "head_room", "row": "head_row", "live": "head_live"},
    "course": {name: name for name in ("begin", "dependency", "next_three", "next_inner")},
    "constants": {"kappa": "kappa", "bias": "bias"},
    "scale_words": {"word": "scale_words", "valid": "constants_valid"},
    "result": {"begin": "begin_packet", "finish": "finish", "status": "status", "done": "finished"},
}
PORTS = {name: f"{port}__{member}" for port, names in _INTERFACES.items() for member, name in names.items()}
"""Members of interfaces by the names that they have here."""


def port(dut: Any, name: str) -> Any:
    """A port by its name here."""
    return getattr(dut, PORTS.get(name, name))


@dataclass(frozen=True)
class Row:
    """A row group as it must leave; ``ends`` : the last of its row block and matrix, ``leaves`` : of its group."""

    group: Group
    layer: int
    matrix: int
    block: int
    op: Op
    context: int
    index: int
    live: int
    last_of_context: bool
    ends: bool
    leaves: bool
    zero: bool
    state: int


def rows_of(shape: Shape, contexts: Sequence[Context]) -> Iterator[Row]:
    """All row groups of a packet, in order."""
    geometry = params()
    lanes = geometry.vector_rows
    for group, layer in sc.groups(shape):
        n, ops = shape.outputs(group), OPS[group]
        if group is Group.CONTRACT and layer == shape.layers - 1:
            ops = (Op.OUT,)
        order = [
            (block, matrix, c, r)
            for block in range(geometry.blocks(n))
            for matrix in range(len(ops))
            for c in range(len(contexts))
            for r in range(geometry.row_groups)
        ]
        for number, (block, matrix, c, r) in enumerate(order):
            first = block * geometry.rows + r * lanes
            slot_base = contexts[c].slot * geometry.max_layers * geometry.max_hidden // lanes
            yield Row(
                *(group, layer, matrix, block, ops[matrix], c, first // lanes),
                live=(1 << min(lanes, max(0, n - first))) - 1,
                last_of_context=r == geometry.row_groups - 1,
                ends=r == geometry.row_groups - 1 and c == len(contexts) - 1,
                leaves=number == len(order) - 1,
                zero=contexts[c].zero,
                state=slot_base + layer * -(-shape.hidden // lanes),
            )


@dataclass(eq=False)
class Packet:
    """A packet, whether its header is good, and in which state (from which group on) a fault hits it."""

    shape: Shape
    contexts: list[Context]
    header_status: Status
    fault_state: str | None
    rows: list[Row] = field(init=False)
    words: list[list[int]] = field(init=False)
    fault_group: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = list(rows_of(self.shape, self.contexts))
        groups = 2 + 4 * self.shape.layers
        counts = [sc.HEADER_WORDS] + [sc.CONSTANT_WORDS] * groups
        self.words = [[random.getrandbits(32) for _ in range(count)] for count in counts]
        anywhere = (*AT_WORK, *GOING)
        # a row block is followed by another in the second group at the latest
        anywhere = [state for state in anywhere if not state.startswith("TURN")]
        self.fault_group = random.randrange(groups - 1) if self.fault_state in anywhere else 0
        self.fields = token_fields(self.shape, self.contexts, 0)


def some_packet(fault_state: str | None = None, header_status: Status = Status.OK) -> Packet:
    """A packet of random size, most often of a few row blocks."""
    shape = some_shape()
    if random.random() < 0.8:
        n = [
            min(random.randint(1, 2 * params().rows + 1), limit)
            for limit in (params().max_hidden, params().max_vocab)
        ]
        shape = Shape(n[0], random.randint(1, 2), random.randint(1, n[0]), n[1])
    return Packet(shape, some_contexts(shape.vocab), header_status, fault_state)


@dataclass
class Read:
    """A word that was asked for: what the ring answers, the word itself, whose, and whether it is the last."""

    answer: int
    word: int
    header: bool
    last: bool


class Model:
    """What the sequencer does, state by state, and all that it reads from its surroundings."""

    def __init__(self, packets: list[Packet]) -> None:
        self.packets = iter(packets)
        self.state, self.torn, self.embed_blocks = "IDLE", 0, 0
        self.reads: deque[Read | None] = deque([None] * Sequencer.read_latency)
        self.hits: Counter[tuple[str, str]] = Counter()
        self.was = dict.fromkeys(("level", "empty", "buffered", "scale_ready", "head_room", "embed_blocks"), 0)
        self.due: dict[str, Any] = {}
        self.tears, self.valid_before = 0, False
        self.next_packet()

    def next_packet(self) -> None:
        """Begin anew, in IDLE."""
        self.packet: Packet | None = next(self.packets, None)
        self.status, self.fault, self.at, self.count, self.part = Status.OK, None, 0, 0, 0
        self.gap = self.settled = self.done_in = self.fed = 0
        self.loaded = self.pending = self.valid = self.accepted = self.reading = self.faulted = False
        self.loading: list[int] = []
        self.ring: deque[tuple[str, int]] = deque()
        self.arriving: deque[tuple[str, int]] = deque()
        self.scales: set[tuple[int, int]] = set()
        # whether a fault among rows waits for such a place
        self.hasty = random.choice([0.02, 0.2])
        if self.packet:
            self.arriving.extend([("words", 0)] * sc.side_beats(params(), sc.HEADER_WORDS))
        self.pace = {name: random.choice([1.0, 0.5, 0.1]) for name in ("beats", "scale", "ready", "feed")}

    @property
    def row(self) -> Row:
        return self.packet.rows[self.at]

    @property
    def words(self) -> list[int]:
        """Of the segment that is read."""
        return self.packet.words[self.part]

    def chance(self, name: str) -> bool:
        return random.random() < self.pace[name]

    def inputs(self, scale: tuple[int, int]) -> dict[str, int]:
        """Of this cycle; ``scale`` is the one that is asked for."""
        packet, state = self.packet, self.state
        env = dict.fromkeys(("loaded", "embed_block", "restored", "finished", "header_done"), False)
        env["level"] = len(self.ring)
        env["buffered"], env["head_room"] = self.chance("ready"), self.chance("ready")
        gains = ("gains", self.part)
        env["empty"] = self.chance("ready") and not (state in GOING and gains in (*self.ring, *self.arriving))
        env["scale_ready"] = random.random() < 0.5
        if state in ("TURNED", "WAIT", "ROWS") and self.row.group is not Group.EMBED:
            env["scale_ready"] = scale in self.scales
            if self.chance("scale"):
                matrices = 3 if self.row.group is Group.MIX else 1
                self.scales.add((random.randrange(matrices), random.randrange(len(packet.contexts))))
        env["header_status"] = random.choice(list(Status))
        env["finished"] = state == "RESULT" and self.chance("ready")
        env["restored"] = state == "IDLE" and random.random() < 0.02
        if self.done_in:
            self.done_in -= 1
            env["header_done"] = self.done_in == 0
            if env["header_done"]:
                env["header_status"] = packet.header_status
        if self.loading:
            self.loading[0] -= 1
            env["loaded"] = self.loading[0] == 0
            self.loading = [left for left in self.loading if left]
        if packet and not self.faulted:
            if state == packet.fault_state and self.part > packet.fault_group - (state in EARLY):
                # best between two row groups, behind the first context
                amid = state == "ROWS" and self.gap > 1 and (self.row.context > 0 or params().batch == 1)
                often = {
                    "WAIT": 0.03,
                    "ROWS": 0.4 if amid else self.hasty,
                    "CHECK": 0.8 if env["header_done"] else 0.1,
                }
                often |= {"FINISH": 1.0, "RESULT": 1.0}
                if random.random() < often.get(state, 0.4):
                    self.fault, self.faulted = random.choice(ENDS), True
            # trits and embedding words come behind the constants
            here = state in AT_WORK and ("words", self.part) not in self.arriving and not self.faulted
            if here and self.chance("feed"):
                if self.row.group is Group.EMBED:
                    env["embed_block"] = self.fed < params().blocks(packet.shape.hidden)
                    self.fed += env["embed_block"]
                elif not self.pending and not self.loading and not self.loaded:
                    n = params().blocks(packet.shape.outputs(self.row.group)) * len(OPS[self.row.group])
                    if self.fed < n:
                        self.pending = True
                        self.fed += 1
                        self.loading.append(random.randint(4, settle_cycles(params()) - 4))
        # the front holds it until the sequencer clears or is idle
        env["fault"] = self.fault is not None
        env["fault_status"] = self.fault if env["fault"] else random.choice(ENDS)
        return env

    def outputs(self, env: dict[str, int]) -> dict[str, int]:
        """What the ports must show; those that do not matter are left out."""
        state, packet = self.state, self.packet
        found = dict.fromkeys(_PULSES, False) | self.due
        found |= {
            "reading": self.reading,
            "idle": state == "IDLE",
            "clear": state == "SETTLE",
            "rows_active": state == "ROWS",
            "torn": self.torn,
            "constants_valid": self.valid,
        }
        due = self.reads[0]
        found["header_pop"] = bool(due and due.header)
        if found["header_pop"]:
            found["word"] = due.word
        if self.reading:
            found["address"] = self.count // params().vector_rows
        if self.valid and state != "SETTLE":
            scales, (kappa, low, high) = self.words[:3], self.words[3:6]
            found["scale_words"] = sum(word << 32 * i for i, word in enumerate(scales))
            found |= {"kappa": kappa & 0x1FFFF, "bias": low | high << 32}
        if state == "RESULT":
            found["status"] = self.status
        if state in ("ARRIVE", *AT_WORK[2:], *GOING):
            row = packet.rows[self.at - (state in GOING)]
            last_layer = row.layer == packet.shape.layers - 1
            found["group"] = row.group
            found["next_three"] = row.group is Group.EMBED or (row.group is Group.CONTRACT and not last_layer)
            found["next_inner"] = row.group is Group.EXPAND
        if state == "WAIT" and row.group is not Group.EMBED:
            found["scale_matrix"] = row.matrix if row.group is Group.MIX else 0
            found["scale_context"] = len(packet.contexts) - 1
        if state == "ROWS":
            found |= {"matrix": row.matrix, "block": row.block, "rows_context": row.context}
        return found

    def leaving(self, row: Row, room: int) -> dict[str, int]:
        """What shows, a cycle later, that the next row group leaves; ``issue`` has its whole tag."""
        embed, head = row.group is Group.EMBED, row.group is Group.HEAD
        if self.gap or (head and not room):
            return {}
        found = {"issue_valid": not head, "drain": not embed, "head_valid": head and row.live != 0}
        found["drained"] = not embed and row.ends
        if not embed:
            found |= {"scale_matrix": row.matrix if row.group is Group.MIX else 0, "scale_context": row.context}
        if found["head_valid"]:
            found |= {"head_row": row.index * params().vector_rows, "head_live": row.live}
        if found["drain"]:
            found["reload"] = row.last_of_context and not row.ends
            if found["reload"]:
                found["next_context"] = row.context + 1
        if found["issue_valid"]:
            found |= {"tag": (row.op, row.context, row.live, row.ends), "zero": row.zero}
            if row.live:
                found["index"] = row.index
            if row.op is Op.G and row.live:
                found["state_word"] = row.state + row.index
        return found

    def step(self, env: dict[str, int], found: dict[str, int]) -> None:
        """On to the next cycle."""
        state, packet, was, due = self.state, self.packet, self.was, {}
        self.surroundings(env, found)
        self.gap -= self.gap > 0
        embed = state == "WAIT" and self.row.group is Group.EMBED and was["embed_blocks"] > 0
        self.was = {name: env[name] for name in was if name != "embed_blocks"} | {"embed_blocks": self.embed_blocks}
        self.embed_blocks += env["embed_block"] - embed
        loaded, self.loaded = self.loaded, self.loaded or env["loaded"]
        amid, accepted = False, self.accepted
        if state == "IDLE":
            self.state = "HEADER" if was["level"] else "IDLE"
        elif state in ("HEADER", "CONSTANTS"):
            if not self.reading:
                self.reading = was["level"] >= sc.side_beats(params(), len(self.words))
            elif self.count == len(self.words) - 1:
                self.reading, self.count = False, 0
                self.state = "CHECK" if state == "HEADER" else "ARRIVE"
                due = {"side_release": sc.side_beats(params(), len(self.words))}
            else:
                self.count += 1
        elif state == "CHECK":
            if env["header_done"] and not env["fault"]:
                if packet.header_status is Status.OK:
                    due = {"accept": True, "begin_packet": True}
                    self.state, self.part, self.accepted = "CONSTANTS", 1, True
                    self.torn &= ~packet.fields["used"]
                else:
                    due = {"reject": True}
                    self.state, self.status, self.faulted = "SETTLE", packet.header_status, True
        elif state == "ARRIVE":
            if self.valid_before:
                due = {"begin": True}
                self.state = "WAIT"
        elif state in ("TURN", "LEAVE", "TURNED", "LEFT"):
            self.state = {"TURN": "TURNED", "TURNED": "WAIT", "LEAVE": "LEFT", "LEFT": "DEPEND"}[state]
        elif state == "WAIT":
            buffered = was["buffered"] or self.row.op not in (Op.G, Op.UP)
            if embed or (self.row.group is not Group.EMBED and loaded and was["scale_ready"] and buffered):
                self.state = "ROWS"
        elif state == "ROWS":
            row = self.row
            due = self.leaving(row, was["head_room"])
            amid = not due and (row.context > 0 if params().batch > 1 else row.index % params().row_groups > 0)
            if due:
                self.row_leaves(row)
        elif state == "DEPEND":
            if was["empty"]:
                due = {"dependency": True}
                self.state, self.valid, self.part = "CONSTANTS", False, self.part + 1
                self.fed, self.scales = 0, set()
        elif state == "SETTLE":
            self.loaded = self.valid = self.reading = False
            self.count = self.embed_blocks = 0
            if self.settled < settle_cycles(params()):
                self.settled += 1
            elif was["empty"]:
                self.state = "FINISH"
        elif state == "FINISH":
            due = {"finish": True}
            self.state, self.valid = "RESULT", False
        elif env["finished"]:
            self.state = "IDLE"
            self.next_packet()
        if env["fault"] and state not in ("IDLE", "SETTLE"):
            event = "done" if env["header_done"] else "amid" if amid else ""
            self.hits[state, event] += 1
            if state not in ("FINISH", "RESULT"):
                self.state, self.status = "SETTLE", env["fault_status"]
                if accepted:
                    self.tears = packet.fields["used"]
        if state == "SETTLE":
            self.torn |= self.tears
            self.tears = 0
        if env["restored"]:
            self.torn = 0
        if env["fault"] and state in ("SETTLE", "FINISH", "RESULT"):
            self.fault = None
        self.due = due

    def row_leaves(self, row: Row) -> None:
        """The row group is out."""
        self.at += 1
        self.gap = slots(params())[row.op]
        if row.ends:
            self.state, self.loaded = "TURN", False
        if row.leaves:
            self.state = "FINISH" if row.group is Group.HEAD else "LEAVE"

    def surroundings(self, env: dict[str, int], found: dict[str, int]) -> None:
        """Side words come and go, words that were read arrive, the array loads."""
        beat_words, lanes = params().lanes // 4, params().vector_rows
        due = self.reads.popleft()
        self.valid_before = self.valid
        if due and due.last:
            self.valid = not due.header
            self.done_in = HeaderReader.latency if due.header else 0
        read = None
        if found["reading"]:
            assert self.ring[self.count // beat_words] == ("words", self.part)
            first = self.count // lanes * lanes
            answer = sum(word << 32 * k for k, word in enumerate(self.words[first : first + lanes]))
            read = Read(answer, self.words[self.count], self.part == 0, self.count == len(self.words) - 1)
        self.reads.append(read)
        for _ in range(found["side_release"]):
            self.ring.popleft()
        if not found["side_release"] and (
            self.state in (*AT_WORK[2:], *GOING)
            and self.ring
            and self.ring[0] == ("gains", self.part)
            and self.chance("beats")
        ):
            self.ring.popleft()
        if found["accept"]:
            for part in range(1, len(self.packet.words)):
                self.arriving.extend([("words", part)] * sc.side_beats(params(), sc.CONSTANT_WORDS))
                self.arriving.extend([("gains", part)] * random.randint(0, 4))
        if self.arriving and not self.faulted and len(self.ring) < RING and self.chance("beats"):
            self.ring.append(self.arriving.popleft())
        if found["clear"]:
            self.ring.clear()
        if found["drained"] or found["clear"]:
            self.pending = False


@cocotb.test()
async def packets(dut: Any) -> None:
    """Packets in a row, with faults in every state: what leaves, when, and what is torn afterwards."""
    plan = [some_packet(state) for state in (*STATES, "ROWS", None, None) for _ in range(ROUNDS)]
    bad = [status for status in Status if status not in (Status.OK, *ENDS)]
    plan += [some_packet(state, status) for state in (None, "CHECK") for status in bad]
    random.shuffle(plan)
    model = Model(plan)
    constant = ("level", "words", "shape", "header_done", "fault", "restored", "embed_block", "loaded")
    for name in (*constant, "finished"):
        port(dut, name).value = 0
    await begin(dut)
    scale_matrix, scale_context, issue = (port(dut, name) for name in ("scale_matrix", "scale_context", "issue"))
    shape, groups = 0, Counter[Group]()
    tags = tag_layout(params())
    at, since = ("", 0), 0
    for cycle in count():
        if not model.packet and model.state == "IDLE":
            break
        env = model.inputs((int(scale_matrix.value), int(scale_context.value)))
        if env["header_done"]:
            shape = packed(model.packet.fields)
        elif model.state in ("IDLE", *EARLY):
            shape = random.getrandbits(len(dut.shape))
        for name, value in env.items():
            port(dut, name).value = int(value)
        due = model.reads[0]
        dut.side__words.value = due.answer if due else random.getrandbits(len(dut.side__words))
        dut.shape.value = shape
        await ReadOnly()
        found = model.outputs(env)
        if at != (model.state, model.at):
            at, since = (model.state, model.at), cycle
        assert cycle - since < STUCK, at
        own = {"issue_valid", "tag", "index"}
        for name, value in found.items():
            if name not in own:
                assert int(port(dut, name).value) == value, (
                    name,
                    value,
                    at,
                    model.packet.rows[max(0, model.at - 2) : model.at + 1],
                )
        tag = tags.from_bits(int(issue.value))
        assert tag.valid == found["issue_valid"], at
        if tag.valid:
            groups[next(g for g, ops in OPS.items() if Op(tag.op) in ops)] += 1
            assert (tag.op, tag.context, tag.live, tag.last) == found["tag"], at
            assert tag.index == found.get("index", tag.index), at
        model.step(env, found)
        await FallingEdge(dut.clk)
    assert min(groups[group] for group in Group if group is not Group.HEAD) > 30, groups
    missed = {(state, "") for state in STATES} | {("CHECK", "done"), ("ROWS", "amid")}
    missed -= set(model.hits)
    assert not missed, missed
