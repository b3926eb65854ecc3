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

from hw import schedule as sc
from hw.ops import OPS, Op, slots, tag_layout
from hw.packet import Context
from hw.schedule import Group, Shape, Status
from hw.sequencer import settle_cycles
from hw.side import SideWords
from sim.tb_header import packed, some_contexts, some_shape, token_fields
from sim.tb_result import core
from sim.tb_units import begin

STATES = ("IDLE", "HEADER", "CHECK", "CONSTANTS", "ARRIVE", "WAIT", "ROWS", "DEPEND", "FINISH", "RESULT")
"""Those in which a fault may come; it has no effect in the last two."""
ROUNDS = 4
"""Packets with a fault in each of them."""
RING = 16
"""Beats that the ring of side words holds."""
STUCK = 3000
"""Cycles without a step that a slow neighbour does not explain."""
ENDS = (Status.SHORT, Status.LONG, Status.ABORTED)


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
    geometry = core()
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
        self.fault_group = random.randrange(groups - 1) if self.fault_state in STATES[3:8] else 0
        self.fields = token_fields(self.shape, self.contexts, 0)


def some_packet(fault_state: str | None = None, header_status: Status = Status.OK) -> Packet:
    """A packet of random size, most often of a few row blocks."""
    shape = some_shape()
    if random.random() < 0.8:
        n = [min(random.randint(1, 2 * core().rows + 1), limit) for limit in (core().max_hidden, core().max_vocab)]
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
        self.reads: deque[Read | None] = deque([None] * SideWords.latency)
        self.hits: Counter[tuple[str, str]] = Counter()
        self.next_packet()

    def next_packet(self) -> None:
        """Begin anew, in IDLE."""
        self.packet: Packet | None = next(self.packets, None)
        self.status, self.faulted, self.at, self.count, self.part = Status.OK, False, 0, 0, 0
        self.gap = self.settled = self.done_in = self.fed = 0
        self.loaded = self.pending = self.valid = False
        self.loading: list[int] = []
        self.ring: deque[tuple[str, int]] = deque()
        self.arriving: deque[tuple[str, int]] = deque()
        self.scales: set[tuple[int, int]] = set()
        if self.packet:
            self.arriving.extend([("words", 0)] * sc.side_beats(core(), sc.HEADER_WORDS))
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
        env = dict.fromkeys(("fault", "fed", "loaded", "embed_block", "restored", "finished", "header_done"), False)
        env["level"] = len(self.ring)
        env["buffered"], env["head_ready"] = self.chance("ready"), self.chance("ready")
        gains = ("gains", self.part)
        env["empty"] = self.chance("ready") and not (state == "DEPEND" and gains in (*self.ring, *self.arriving))
        env["scale_ready"] = random.random() < 0.5
        if state in ("WAIT", "ROWS") and self.row.group is not Group.EMBED:
            env["scale_ready"] = scale in self.scales
            if self.chance("scale"):
                matrices = 3 if self.row.group is Group.MIX else 1
                self.scales.add((random.randrange(matrices), random.randrange(len(packet.contexts))))
        env["fault_status"], env["header_status"] = random.choice(ENDS), random.choice(list(Status))
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
            if state == packet.fault_state and self.part > packet.fault_group - (state in STATES[:3]):
                often = {"WAIT": 0.03, "ROWS": 0.03, "CHECK": 0.8 if env["header_done"] else 0.05}
                often |= {"FINISH": 1.0, "RESULT": 1.0}
                env["fault"] = random.random() < often.get(state, 0.4)
            # trits and embedding words come behind the constants
            here = state in STATES[3:7] and ("words", self.part) not in self.arriving
            if here and self.chance("feed"):
                if self.row.group is Group.EMBED:
                    env["embed_block"] = self.fed < core().blocks(packet.shape.hidden)
                    self.fed += env["embed_block"]
                elif not self.pending and not self.loading and not self.loaded:
                    n = core().blocks(packet.shape.outputs(self.row.group)) * len(OPS[self.row.group])
                    env["fed"] = self.fed < n
                    self.fed += env["fed"]
        return env

    def outputs(self, env: dict[str, int]) -> dict[str, int]:
        """What the ports must show; those that do not matter are left out."""
        state, packet = self.state, self.packet
        beat_words = core().lanes // 4
        reading = state in ("HEADER", "CONSTANTS") and env["level"] > self.count // beat_words
        release = reading and self.count == len(self.words) - 1
        done = state == "CHECK" and env["header_done"]
        accept = done and packet.header_status is Status.OK
        found = {
            "reading": reading,
            "side_release": release,
            "idle": state == "IDLE",
            "accept": accept,
            "begin_packet": accept,
            "reject": done and not accept,
            "clear": state == "SETTLE",
            "begin": state == "ARRIVE" and self.valid,
            "rows_active": state == "ROWS",
            "dependency": state == "DEPEND" and env["empty"],
            "finish": state == "FINISH",
            "torn": self.torn,
            "block_pending": self.pending,
            "constants_valid": self.valid,
            "issue_valid": False,
            "drain": False,
            "head_valid": False,
        }
        due = self.reads[0]
        found["header_pop"] = bool(due and due.header)
        if found["header_pop"]:
            found["word"] = due.word
        if reading:
            found["address"] = self.count // core().vector_rows
        if release:
            found["side_amount"] = sc.side_beats(core(), len(self.words))
        if self.valid and state != "SETTLE":
            scales, (kappa, low, high) = self.words[:3], self.words[3:6]
            found["scale_words"] = sum(word << 32 * i for i, word in enumerate(scales))
            found |= {"kappa": kappa & 0x1FFFF, "bias": low | high << 32}
        if state in ("FINISH", "RESULT"):
            found["status"] = self.status
        if state in ("ARRIVE", "WAIT", "ROWS", "DEPEND"):
            row = packet.rows[self.at - (state == "DEPEND")]
            last_layer = row.layer == packet.shape.layers - 1
            found["group"] = row.group
            found["next_three"] = row.group is Group.EMBED or (row.group is Group.CONTRACT and not last_layer)
            found["next_inner"] = row.group is Group.EXPAND
        if state in ("WAIT", "ROWS") and row.group is not Group.EMBED:
            found |= {"scale_matrix": row.matrix if row.group is Group.MIX else 0, "scale_context": row.context}
        if state == "ROWS":
            found |= {"matrix": row.matrix, "block": row.block} | self.leaving(row, env)
        return found

    def leaving(self, row: Row, env: dict[str, int]) -> dict[str, int]:
        """What shows that the next row group leaves; ``issue`` has its whole tag."""
        embed, head = row.group is Group.EMBED, row.group is Group.HEAD
        offered = not self.gap and (embed or env["scale_ready"])
        leaves = offered and (not head or not row.live or env["head_ready"])
        found = {"issue_valid": leaves and not head, "drain": leaves and not embed, "leaves": leaves}
        found["head_valid"] = head and offered and row.live != 0
        if found["head_valid"]:
            found |= {"head_row": row.index * core().vector_rows, "head_live": row.live}
        if found["drain"]:
            found["reload"] = row.last_of_context and not row.ends
            if found["reload"]:
                found["next_context"] = row.context + 1
        if found["issue_valid"]:
            found |= {"tag": (row.op, row.context, row.live, row.ends), "zero": row.zero}
            if row.live:
                found["index"] = row.index
            if row.op is Op.G:
                found["state_base"] = row.state
        return found

    def step(self, env: dict[str, int], found: dict[str, int]) -> None:
        """On to the next cycle."""
        state, packet = self.state, self.packet
        # what a fault must not leave behind
        amid = state == "ROWS" and not found["leaves"]
        amid = amid and (self.row.context > 0 if core().batch > 1 else self.row.index % core().row_groups > 0)
        self.surroundings(env, found)
        self.faulted |= env["fault"]
        self.gap -= self.gap > 0
        self.loaded = self.loaded or env["loaded"]
        self.pending |= env["fed"]
        embed_taken = state == "WAIT" and self.row.group is Group.EMBED and self.embed_blocks > 0
        self.embed_blocks += env["embed_block"] - embed_taken
        if state == "IDLE":
            self.state = "HEADER" if env["level"] else "IDLE"
        elif found["side_release"]:
            self.state, self.count = "CHECK" if state == "HEADER" else "ARRIVE", 0
        elif found["reading"]:
            self.count += 1
        elif found["accept"]:
            self.state, self.part = "CONSTANTS", 1
            self.torn &= ~packet.fields["used"]
        elif found["reject"]:
            self.state, self.status, self.faulted = "SETTLE", packet.header_status, True
        elif found["begin"]:
            self.state = "WAIT"
        elif state == "WAIT":
            settled = env["buffered"] or self.row.op not in (Op.G, Op.UP)
            if embed_taken or (self.row.group is not Group.EMBED and self.loaded and env["scale_ready"] and settled):
                self.state = "ROWS"
        elif state == "ROWS" and found["leaves"]:
            self.row_leaves(self.row)
        elif found["dependency"]:
            self.state, self.valid, self.part = "CONSTANTS", False, self.part + 1
            self.fed, self.scales = 0, set()
        elif state == "SETTLE":
            self.settled += 1
            self.loaded = self.pending = self.valid = False
            self.embed_blocks = 0
            if self.settled >= settle_cycles(core()) and env["empty"]:
                self.state = "FINISH"
        elif state == "FINISH":
            self.state, self.valid = "RESULT", False
        elif env["finished"]:
            self.state = "IDLE"
            self.next_packet()
        if env["fault"]:
            event = "accept" if found["accept"] else "reject" if found["reject"] else "amid" if amid else ""
            self.hits[state, event] += 1
            if state not in ("FINISH", "RESULT"):
                self.state, self.status = "SETTLE", env["fault_status"]
                if found["accept"] or state not in STATES[:3]:
                    self.torn |= packet.fields["used"]
        if env["restored"]:
            self.torn = 0

    def row_leaves(self, row: Row) -> None:
        """The row group is out."""
        self.at += 1
        self.gap = slots(core())[row.op] - 1
        if row.ends:
            self.state, self.loaded = "WAIT", False
            self.pending = self.pending and row.group is Group.EMBED
        if row.leaves:
            self.state = "FINISH" if row.group is Group.HEAD else "DEPEND"

    def surroundings(self, env: dict[str, int], found: dict[str, int]) -> None:
        """Side words come and go, words that were read arrive, the array loads."""
        beat_words, lanes = core().lanes // 4, core().vector_rows
        due = self.reads.popleft()
        if due and due.last:
            self.valid = not due.header
            self.done_in = 2 if due.header else 0
        read = None
        if found["reading"]:
            assert self.ring[self.count // beat_words] == ("words", self.part)
            first = self.count // lanes * lanes
            answer = sum(word << 32 * k for k, word in enumerate(self.words[first : first + lanes]))
            read = Read(answer, self.words[self.count], self.part == 0, found["side_release"])
        self.reads.append(read)
        if found["side_release"]:
            for _ in range(found["side_amount"]):
                self.ring.popleft()
        elif (
            self.state in STATES[5:8] and self.ring and self.ring[0] == ("gains", self.part) and self.chance("beats")
        ):
            self.ring.popleft()
        if found["accept"]:
            for part in range(1, len(self.packet.words)):
                self.arriving.extend([("words", part)] * sc.side_beats(core(), sc.CONSTANT_WORDS))
                self.arriving.extend([("gains", part)] * random.randint(0, 4))
        if self.arriving and not self.faulted and len(self.ring) < RING and self.chance("beats"):
            self.ring.append(self.arriving.popleft())
        if found["clear"]:
            self.ring.clear()
        if env["fed"]:
            self.loading.append(random.randint(2, settle_cycles(core()) - 2))


@cocotb.test()
async def packets(dut: Any) -> None:
    """Packets in a row, with faults in every state: what leaves, when, and what is torn afterwards."""
    plan = [some_packet(state) for state in (*STATES, "ROWS", "ROWS", None, None) for _ in range(ROUNDS)]
    bad = [status for status in Status if status not in (Status.OK, *ENDS)]
    plan += [some_packet(state, status) for state in (None, "CHECK") for status in bad]
    random.shuffle(plan)
    model = Model(plan)
    constant = ("level", "words", "shape", "header_done", "fault", "restored", "embed_block", "loaded", "fed")
    for name in (*constant, "finished"):
        getattr(dut, name).value = 0
    await begin(dut)
    scale_matrix, scale_context, issue = dut.scale_matrix, dut.scale_context, dut.issue
    shape, groups = 0, Counter[Group]()
    tags = tag_layout(core())
    at, since = ("", 0), 0
    for cycle in count():
        if not model.packet and model.state == "IDLE":
            break
        env = model.inputs((int(scale_matrix.value), int(scale_context.value)))
        if env["header_done"]:
            shape = packed(model.packet.fields)
        elif model.state in STATES[:3]:
            shape = random.getrandbits(len(dut.shape))
        for name, value in env.items():
            getattr(dut, name).value = int(value)
        due = model.reads[0]
        dut.words.value = due.answer if due else random.getrandbits(len(dut.words))
        dut.shape.value = shape
        await ReadOnly()
        found = model.outputs(env)
        if at != (model.state, model.at):
            at, since = (model.state, model.at), cycle
        assert cycle - since < STUCK, at
        own = {"issue_valid", "tag", "index", "leaves"}
        for name, value in found.items():
            if name not in own:
                assert int(getattr(dut, name).value) == value, (name, value, at)
        tag = tags.from_bits(int(issue.value))
        assert tag.valid == found["issue_valid"], at
        if tag.valid:
            groups[model.row.group] += 1
            assert (tag.op, tag.context, tag.live, tag.last) == found["tag"], at
            assert tag.index == found.get("index", tag.index), at
        model.step(env, found)
        await FallingEdge(dut.clk)
    assert min(groups[group] for group in Group if group is not Group.HEAD) > 100, groups
    missed = {(state, "") for state in STATES} | {("CHECK", "accept"), ("CHECK", "reject"), ("ROWS", "amid")}
    missed -= set(model.hits)
    assert not missed, missed
