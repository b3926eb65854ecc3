# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the sequencer: what must hold whatever its states are.

Row groups leave in the order of the schedule, each with its tag, and not before their accumulators, scales, row
buffers and the room for them are there; side words are read once and released when they have been; a header is
accepted or refused as its reader says; a packet has one result; after a fault nothing of it is left. Nothing happens
before it may, and nothing more than `PATIENCE` cycles later; how many exactly, the whole core's cycle model knows.
"""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from tritforge.hw.control.sequencer import Sequencer, settle_cycles
from tritforge.hw.operations import OPS, Op, slots, tag_layout
from tritforge.hw.schedule import Group, Status
from tritforge.hw.stream.header_reader import HeaderReader
from tritforge.hw.stream.side import depth
from tritforge.sim.benches.common import begin, under_test
from tritforge.sim.benches.models.peers import Peers
from tritforge.sim.benches.models.sequencer import (
    BUFFERED,
    LARGE,
    OLDEST,
    YOUNGEST,
    Pace,
    Packet,
    Path,
    Ports,
    Producers,
    Reads,
    Ring,
    Row,
    packets_at_the_ends,
    some_packet,
)

PHASES = ("header", "check", "constants", "begin", "wait", "turn", "rows", "leaving", "finish", "result")
"""Where a packet is, as far as it can be seen; a fault may come in each, without effect in the last two."""
ROUNDS = 4
"""Packets with a fault in each of them."""
PATIENCE = 8
"""Cycles in which all that something needs is there, and it must have happened."""
IDLE_FALLS = 2
"""Cycles from the first beat in the ring until the front must know that a packet has begun."""
GRACE = 3
"""Cycles in which a change may take effect."""
STUCK = 3000
"""Cycles without a step that slow neighbours do not explain."""
LINGERS = 3
"""Cycles for which the front's fault is seen after it has been answered."""
ENDS = (Status.SHORT, Status.LONG, Status.ABORTED)


class Bench:
    """Plays what surrounds the sequencer and looks at all that it does, cycle by cycle.

    What it shows are registers: in each cycle the bench looks first and then gives the inputs.
    """

    def __init__(self, ports: Ports, packets: list[Packet]) -> None:
        self.ports, self.packets = ports, self.course(packets)
        self.ring, self.path, self.reads, self.producers = Ring(), Path(), Reads(), Producers()
        self.peers = Peers(under_test().linked)
        self.tags, self.gaps = tag_layout(under_test()), slots(under_test())
        self.valid_bit = self.tags["valid"].offset
        self.now, self.env = 0, dict.fromkeys(("finished", "restored"), 0)
        self.room = [0] * GRACE
        self.torn = self.was_torn = self.torn_at = 0
        self.fault: Status | None = None
        self.answered_at: int | None = None
        self.was_active = False
        self.step: tuple[int, ...] = ()
        self.waited, self.hits, self.left = Counter[str](), Counter[tuple[str, str]](), Counter[Any]()
        self.ends = Counter[Status]()
        self.rest()

    def rest(self) -> None:
        """Between packets; the next one's header is on its way.

        part : whose words are read, 0 the header, then a group after the other. asked : words of it. answered, begun
        : the parts up to this are there, their groups have begun. at : row groups that have left. outcome : how the
        packet must end.
        """
        self.packet = next(self.packets, None)
        self.producers.quick = self.packet is not None and len(self.packet.rows) > LARGE
        self.pace = Pace(self.producers.quick)
        self.oldest = random.choice([YOUNGEST + 1, OLDEST])
        # whether a fault among rows waits for a place between two of them
        self.hasty = random.choice([0.02, 0.2]) if self.hits["rows", "amid"] else 0.02
        self.rest_at = self.left_at = self.now
        self.busy = self.accepted = self.rejected = self.released = self.finished = self.may_succeed = False
        self.part = self.asked = self.begun = self.at = 0
        self.answered = -1
        self.outcome = Status.OK
        self.done_at: int | None = None
        self.fault_at: int | None = None
        self.clear_at: int | None = None
        self.cleared_at: int | None = None
        self.finish_at: int | None = None
        self.peers.rest()
        self.producers.begin_group()
        self.producers.pending = False
        if self.packet:
            self.ring.put(0, "words", self.packet.beats(0))

    # where the packet is

    @property
    def row(self) -> Row | None:
        """The row group that leaves next."""
        return self.packet.rows[self.at] if self.packet and self.at < len(self.packet.rows) else None

    @property
    def gap(self) -> int:
        """Cycles that the row group which left last needs."""
        return self.gaps[self.packet.rows[self.at - 1].op] if self.at else 0

    @property
    def through(self) -> bool:
        """All row groups of the part's group have left."""
        return self.part > 0 and (self.row is None or self.row.part > self.part)

    @property
    def going(self) -> bool:
        """A packet that nothing has ended."""
        return self.packet is not None and self.outcome is Status.OK and self.finish_at is None

    @property
    def acting(self) -> bool:
        """The same, or it may not have heard of a fault yet."""
        fresh = self.fault_at is not None and self.now < self.fault_at + GRACE
        return self.going or (fresh and self.finish_at is None)

    @property
    def phase(self) -> str:
        """One of PHASES, or none."""
        if self.finish_at is not None:
            return "result"
        if not self.going or not self.busy:
            return "none"
        if not self.accepted:
            return "header" if self.asked < len(self.packet.words[0]) else "check"
        if self.row is None:
            return "finish"
        if self.begun < self.part:
            return "constants" if self.answered < self.part else "begin"
        if self.through:
            return "leaving"
        if self.row.first:
            return "turn" if self.at and self.now - self.left_at < 2 and self.row.part == self.part else "wait"
        return "rows"

    def late(self, what: str, may: Any, patience: int = PATIENCE) -> None:
        """It has not happened in this cycle, in which it might have; 0 if it has or may not."""
        self.waited[what] = self.waited[what] + 1 if may else 0
        assert self.waited[what] <= patience, f"{what} is late"

    def goals(self) -> set[Any]:
        """What has not been seen yet: faults by phase, groups, ends, and what a core that has it must show."""
        params = under_test()
        faults = {(phase, "") for phase in PHASES} | {("check", "done"), ("rows", "amid")}
        missed: set[Any] = {fault for fault in faults if not self.hits[fault]}
        missed |= {group for group in Group if self.left[group] <= 30}
        # where rows of the head need a longer number than a tag has room for
        beyond = params.max_vocab > params.vector_rows << self.tags["index"].width
        missed |= {"beyond the tag"} if beyond and not self.left["beyond the tag"] else set()
        if self.peers.linked:
            missed |= {Status.PEER} if not self.ends[Status.PEER] else set()
            missed |= {wait for wait in ("room", "group", "packet") if not self.peers.seen[wait]}
        return missed

    def course(self, plan: list[Packet]) -> Iterator[Packet]:
        """The packets, and more of them until all has been seen."""
        yield from plan
        for _ in range(len(plan)):
            if not self.goals():
                return
            phases = [goal[0] for goal in self.goals() if isinstance(goal, tuple)]
            yield some_packet(random.choice(phases or [None]))
        raise AssertionError(f"{self.goals()} could not be seen")

    # what must hold

    def look(self) -> None:
        """At all that the sequencer shows in this cycle."""
        self.reads.step()
        released = self.look_at_reads()
        self.look_at_header()
        self.look_at_constants()
        self.look_at_rows()
        self.look_at_groups()
        self.look_at_faults()
        if self.peers.linked:
            self.look_at_ring()
        self.look_at_result()
        self.look_at_torn()
        arrives = self.now > self.rest_at + 2 * LINGERS and self.going and self.pace("beats")
        self.ring.step(arrives, released, gains_go=self.begun == self.part and self.at > 0)
        self.look_at_idle()
        step = (self.rest_at, self.part, self.asked, self.at, self.outcome)
        self.late("any step", step == self.step, STUCK)
        self.step = step

    def look_at_reads(self) -> int:
        """Each word is asked for once, in order, when it is in the ring and nothing else reads there; a part is
        released when all of it was. Beats released."""
        ports, packet, part, due = self.ports, self.packet, self.part, self.reads.now
        assert ports.header_pop == (due is not None and due.part == 0), "a word of the header"
        if due and due.part == 0 and due.last:
            self.done_at = self.now + HeaderReader.latency
        count = len(packet.words[part]) if packet else 0
        if ports.reading:
            assert self.acting and self.now >= self.path.settled, "reads when it may not"
            assert self.asked < count, "reads more than there is"
            beat = self.asked // (under_test().lanes // 4)
            assert list(self.ring.beats)[: beat + 1] == [(part, "words")] * (beat + 1), "reads what is not there"
            assert ports.address == self.asked // under_test().vector_rows
            self.reads.ask(packet, part, self.asked)
            self.asked += 1
        complete = packet and self.ring.beats.count((part, "words")) == packet.beats(part)
        self.late("a word", self.going and not ports.reading and complete and self.asked < count)
        released = ports.side_release
        if released:
            assert self.acting and self.asked == count and not self.released, "releases what is in use"
            assert released == packet.beats(part)
            self.released = True
        self.late("the release", self.going and self.busy and self.asked == count and not self.released)
        return released

    def look_at_header(self) -> None:
        """Accepted or refused, once, as its reader says, and neither if a fault was there before."""
        ports, packet = self.ports, self.packet
        assert ports.begin_packet == ports.accept
        checked = self.done_at is not None and self.done_at < self.now and self.finish_at is None
        decided = self.accepted or self.rejected
        if ports.accept or ports.reject:
            assert checked and not decided and (self.fault_at is None or self.fault_at > self.done_at)
            assert self.released and not (ports.accept and ports.reject)
            assert ports.accept == (packet.header_status is Status.OK), "the wrong verdict"
        self.late("the verdict", self.going and checked and not (decided or ports.accept or ports.reject))
        if ports.accept:
            self.accepted, self.part, self.asked, self.released = True, 1, 0, False
            self.tear(self.torn & ~packet.fields["used"])
            for part in range(1, len(packet.words)):
                self.ring.put(part, "words", packet.beats(part))
                if packet.groups[part - 1][0] is not Group.HEAD:
                    self.ring.put(part, "gains", random.randint(0, 4))
        if ports.reject:
            self.rejected, self.outcome = True, packet.header_status

    def look_at_constants(self) -> None:
        """They show a group's words from when all are there to its dependency, and nothing else."""
        ports, due = self.ports, self.reads.now
        whole = self.part > 0 and self.answered == self.part and self.finish_at is None
        if ports.constants_valid:
            assert whole and (self.clear_at is None or self.now < self.clear_at + GRACE), "constants of nothing"
            scales, (kappa, low, high) = self.packet.words[self.part][:3], self.packet.words[self.part][3:6]
            assert ports.scale_words == sum(word << 32 * i for i, word in enumerate(scales))
            assert (ports.kappa, ports.bias) == (kappa & 0x1FFFF, low | high << 32)
        self.late("constants", whole and self.going and not ports.constants_valid and self.row is not None)
        if due and due.last:
            self.answered = due.part

    def look_at_rows(self) -> None:
        """The next row group, with all that goes with it."""
        ports, row = self.ports, self.row
        leaves = bool(ports.tag >> self.valid_bit & 1 or ports.drain)
        self.late("a row group", self.going and not leaves and row is not None and self.may_leave(row))
        if leaves:
            assert row is not None and self.acting and self.was_active, "a row group of nothing"
            self.check_needs(row)
            self.check_tag(row, self.tags.from_bits(ports.tag))
            self.count(row)
        else:
            assert not ports.drained and not ports.head_valid
        self.was_active = bool(ports.rows_active)
        if self.was_active:
            row = self.row
            assert row is not None and self.acting
            place = (ports.group, ports.matrix, ports.block, ports.rows_context)
            assert place == (row.group, row.matrix, row.block, row.context)

    def may_leave(self, row: Row) -> bool:
        """Whether all that it needs is there, as far as the inputs of the cycle before say."""
        producers = self.producers
        if self.begun < row.part or self.now - self.left_at < self.gap:
            return False
        if row.others_need and not all(self.peers.rooms):
            return False
        if row.group is Group.EMBED:
            return producers.embedded > row.block
        loaded = producers.loaded > row.block * len(OPS[row.group]) + row.matrix
        scaled = (row.scale[0], len(self.packet.contexts) - 1) < producers.scaled
        room = row.group is not Group.HEAD or all(self.room)
        return loaded and scaled and room and (row.op not in BUFFERED or self.now >= self.path.buffered)

    def check_needs(self, row: Row) -> None:
        """It leaves, and not before what it needs is there."""
        producers, distance = self.producers, self.now - self.left_at
        assert self.begun == row.part, "its group has not begun"
        assert not row.others_need or any(self.peers.rooms), "other cores have no room for it"
        assert distance >= self.gap, "it is too close to the one before it"
        # the rate of the vector path; the result unit may have no room
        assert distance == self.gap or row.first or row.group is Group.HEAD, "it is too far from the one before it"
        if row.group is Group.EMBED:
            assert producers.embedded > row.block, "its side words are not there"
            return
        assert producers.loaded > row.block * len(OPS[row.group]) + row.matrix, "its accumulators are not there"
        assert self.now >= producers.loaded_at + Sequencer.reaction, "its accumulators are not there yet"
        assert row.scale < producers.scaled, "its scale is not there"
        if row.op in BUFFERED and row.first:
            assert self.now >= self.path.buffered + Sequencer.reaction, "others are not in row buffers"
        if row.group is Group.HEAD and row.live:
            assert any(self.room), "there is no room for it"

    def check_tag(self, row: Row, tag: Any) -> None:
        """It is the one that is next, and says so."""
        ports = self.ports
        embed, head = row.group is Group.EMBED, row.group is Group.HEAD
        assert (bool(tag.valid), ports.drain) == (not head, not embed), "it goes the wrong way"
        assert ports.head_valid == (head and row.live != 0)
        assert ports.drained == (row.ends and not embed)
        if tag.valid:
            assert (tag.op, tag.context, tag.live, tag.last) == (row.op, row.context, row.live, row.ends)
            assert ports.zero == row.zero
            assert not row.live or tag.index == row.index
        if row.op is Op.G and row.live:
            assert ports.state_word == row.state + row.index
        if head and row.live:
            assert (ports.head_row, ports.head_live) == (row.index * under_test().vector_rows, row.live)
        if not embed:
            assert (ports.scale_matrix, ports.scale_context) == row.scale
            reload = row.last_of_context and not row.ends
            assert ports.reload == reload
            assert not reload or ports.next_context == row.context + 1

    def count(self, row: Row) -> None:
        """It has left."""
        self.left[row.group] += 1
        self.left["beyond the tag"] += row.live > 0 and row.index >> self.tags["index"].width
        if row.op is not Op.HEAD:
            self.path.issue(self.now, row.op, self.oldest)
        if row.ends and row.group is not Group.EMBED:
            self.producers.pending = False
        self.at, self.left_at = self.at + 1, self.now
        # a fault came while the last one left
        self.may_succeed = self.row is None and self.outcome is not Status.OK

    def look_at_groups(self) -> None:
        """``begin`` with a group's constants and before its rows, ``dependency`` when these are through the path."""
        ports = self.ports
        if ports.begin:
            assert self.acting and ports.constants_valid and self.begun == self.part - 1, "a group begins"
            self.begun = self.part
        self.late("begin", self.going and self.begun < self.part == self.answered)
        if ports.dependency:
            assert self.acting and self.begun == self.part and self.through and self.row is not None
            assert self.now >= self.path.settled + Sequencer.conclusion, "rows are still under way"
            assert self.released and not ports.constants_valid
        over = self.going and self.through and self.row is not None and self.env["empty"]
        if self.peers.linked:
            joined = self.peers.joined == self.part
            assert joined or not ports.dependency, "the group is not over on other cores"
            self.late("the last row", over and not (joined or ports.ring_finished))
            over = self.going and self.part > 0 and joined
        self.late("the dependency", over and not ports.dependency)
        if self.accepted and self.begun == self.part and self.going:
            group, layer = self.packet.groups[self.part - 1]
            three = group is Group.EMBED or (group is Group.CONTRACT and layer < self.packet.shape.layers - 1)
            assert (ports.next_three, ports.next_inner) == (three, group is Group.EXPAND)
        if ports.dependency:
            self.part, self.asked, self.released = self.part + 1, 0, False
            self.producers.begin_group()
            self.producers.scaled = (0, 0)

    def look_at_faults(self) -> None:
        """After a fault or a refusal all settles under ``clear``, for as long as something may be under way."""
        ports, failed = self.ports, self.outcome is not Status.OK and not self.may_succeed
        if ports.clear and self.clear_at is None:
            assert self.outcome is not Status.OK and self.finish_at is None, "cleared for no reason"
            self.clear_at = self.now
        settled = self.clear_at is not None and self.now >= self.clear_at + settle_cycles(under_test())
        if self.clear_at is not None and not ports.clear and self.cleared_at is None:
            assert settled and self.now > self.path.settled, "something is still under way"
            self.cleared_at = self.now
        assert not ports.clear or self.cleared_at is None, "cleared twice"
        self.late("clear", failed and self.clear_at is None and self.finish_at is None)
        self.late("the end of clear", ports.clear and settled and self.env["empty"])
        if ports.clear:
            self.ring = Ring()

    def look_at_ring(self) -> None:
        """What other cores hear of the course, and that it waits for them."""
        ports, row = self.ports, self.row
        assert (ports.ring_idle, ports.ring_begin) == (ports.idle, ports.begin)
        if self.going and self.begun == self.part > 0:
            assert ports.ring_of_head == (self.packet.groups[self.part - 1][0] is Group.HEAD)
        if ports.ring_finished:
            assert self.acting and self.begun == self.part and self.through and row is not None
            assert self.now > self.path.settled, "rows are still under way"
        if ports.ring_ended:
            assert self.concluded and self.finish_at is None, "the packet is not at its end"
            assert ports.ring_failed == (self.clear_at is not None)
        assert not ports.ring_failed or self.clear_at is not None, "nothing has failed"
        self.late("the end", self.concluded and self.finish_at is None and not (ports.ring_ended or self.peers.over))
        # a row block that may only wait for room is a cycle late, too
        waits = row is not None and self.begun == row.part and row.others_need
        if ports.exchanges and not self.peers.waits:
            assert waits and self.acting and not self.peers.rooms[-1], "nobody is waited for"
            self.peers.seen["room"] += 1
        assert ports.exchanges or not self.peers.waits, "other cores are waited for"
        self.late("the wait", self.going and waits and not any(self.peers.rooms) and not ports.exchanges)

    @property
    def complete(self) -> bool:
        """All of its rows have left."""
        return self.accepted and self.row is None and self.clear_at is None

    @property
    def concluded(self) -> bool:
        """All rows or all that settles are behind it."""
        return (self.complete and (self.going or self.may_succeed)) or self.cleared_at is not None

    def look_at_result(self) -> None:
        """One for each packet, when it is concluded, on all cores; good if it is on all of them."""
        ports, complete = self.ports, self.complete
        ready = self.concluded and self.peers.over
        if ports.finish:
            assert ready and self.finish_at is None, "a result too early or twice"
            self.finish_at, status = self.now, Status(ports.status)
            good = Status.PEER if self.peers.spoilt else Status.OK
            assert status is (good if complete else self.outcome), "the wrong result"
            self.ends[status] += 1
            self.outcome = status
            if status is not Status.OK and self.accepted:
                self.torn = self.was_torn = self.torn | self.packet.fields["used"]
        self.late("the result", ready and self.finish_at is None)
        if self.finish_at is not None:
            assert ports.status == self.outcome

    def look_at_torn(self) -> None:
        """The slots of packets that a fault ended once they were accepted."""
        if self.env["restored"]:
            self.tear(0)
        allowed = {self.torn}
        if self.now < self.torn_at + GRACE:
            allowed.add(self.was_torn)
        if self.accepted and self.finish_at is None and self.outcome is not Status.OK:
            allowed |= {slots | self.packet.fields["used"] for slots in allowed}
        assert self.ports.torn in allowed, "the wrong slots are torn"

    def tear(self, torn: int) -> None:
        """The mask of torn slots becomes another."""
        self.was_torn, self.torn, self.torn_at = self.torn, torn, self.now

    def look_at_idle(self) -> None:
        """From a packet's first beat until its result is finished it is not idle, and else it is."""
        self.finished = self.finished or (self.finish_at is not None and bool(self.env["finished"]))
        self.late("the packet", self.ports.idle and not self.busy and self.ring.level, IDLE_FALLS)
        self.late("idle", self.finished and not self.ports.idle)
        if not self.ports.idle:
            assert self.busy or self.ring.level, "a packet of nothing"
            self.busy = True
        elif self.busy:
            assert self.finished, "idle amid a packet"
            self.rest()

    # what surrounds it

    def inputs(self) -> dict[str, int]:
        """Of this cycle."""
        ports, packet, row, due = self.ports, self.packet, self.row, self.reads.now
        done, shown = self.done_at == self.now, self.accepted and self.finish_at is None
        empty, buffered = self.path.says(self.now)
        gains = self.ring.awaits(self.part, "gains") or (self.part, "gains") in self.ring.beats
        env = {
            "level": self.ring.level,
            "words": due.answer if due else ports.noise("words"),
            "shape": packet.bits if done or shown else ports.noise("shape"),
            "empty": empty and not (self.going and self.through and row is not None and gains),
            "buffered": buffered,
            "head_room": self.pace("ready"),
            "scale_ready": (ports.scale_matrix, ports.scale_context) < self.producers.scaled,
            "header_done": done,
            "header_status": packet.header_status if done else random.choice(list(Status)),
            "finished": self.finish_at is not None and not self.finished and self.pace("ready"),
            "restored": not self.busy and random.random() < 0.02,
            **self.products(),
            **self.peers.inputs(ports, self.part, self.pace),
        }
        self.fail(done)
        env["fault"] = self.fault is not None
        env["fault_status"] = random.choice(ENDS) if self.fault is None else self.fault
        self.room = [*self.room[1:], env["head_room"]]
        self.env = env
        return env

    def products(self) -> dict[str, int]:
        """Scales, accumulators and embedding words come behind the constants, until a fault and a little longer."""
        row, producers, packet = self.row, self.producers, self.packet
        if packet is None or row is None or not self.accepted:
            return producers.step(self.now, Group.EMBED, 0, feeds=False)
        group = packet.groups[self.part - 1][0]
        if self.answered == self.part and group is not Group.EMBED and self.going and self.pace("scales"):
            producers.scale(3 if group is Group.MIX else 1, len(packet.contexts))
        feeds = self.acting and not self.ring.awaits(self.part, "words") and self.pace("feed")
        # of the embedding no more row blocks than there is room for their side words
        feeds = feeds and (group is not Group.EMBED or producers.embedded < row.block + depth(under_test()))
        return producers.step(self.now, group, under_test().blocks(packet.shape.outputs(group)), feeds)

    def fail(self, done: bool) -> None:
        """The front's fault comes in the packet's phase and stays until it is answered and a little longer."""
        packet, phase = self.packet, self.phase
        if self.fault is not None:
            if self.answered_at is None and (self.clear_at is not None or not self.busy):
                self.answered_at = self.now
            if self.answered_at is not None and self.now >= self.answered_at + LINGERS:
                self.fault = None
        elif packet and phase == packet.fault_phase and self.fault_at is None and self.part >= packet.fault_group:
            # best between two row groups, behind the first context
            amid = phase == "rows" and self.now + 1 - self.left_at < self.gap
            amid = amid and (self.row.context > 0 or under_test().batch == 1)
            often = {"wait": 0.03, "finish": 1.0, "result": 1.0}
            often |= {"rows": 0.4 if amid else self.hasty, "check": 0.8 if done else 0.1}
            if random.random() < often.get(phase, 0.4):
                self.fault, self.fault_at, self.answered_at = random.choice(ENDS), self.now, None
                self.hits[phase, "done" if done else "amid" if amid else ""] += 1
                if phase not in ("finish", "result"):
                    self.outcome = self.fault


@cocotb.test()
async def packets(dut: Any) -> None:
    """Packets in a row, with faults in every phase and bad headers: what must hold, and what must have been."""
    plan = [some_packet(phase) for phase in (*PHASES, "rows", "wait", None, None, None) for _ in range(ROUNDS)]
    bad = [status for status in Status if status not in (Status.OK, Status.PEER, *ENDS)]
    plan += [some_packet(phase, status) for phase in (None, "check") for status in bad]
    plan += packets_at_the_ends()
    random.shuffle(plan)
    ports = Ports(dut)
    ports.silence()
    await begin(dut)
    bench = Bench(ports, plan)
    while bench.packet or bench.busy:
        try:
            bench.look()
            ports.drive(**bench.inputs())
            await ReadOnly()
            due = bench.reads.now
            assert not due or due.part or ports.word == due.word, "the wrong word"
        except AssertionError as error:
            error.add_note(f"cycle {bench.now}, {bench.phase}, part {bench.part}, row group {bench.at}: {bench.row}")
            raise
        await FallingEdge(dut.clk)
        bench.now += 1
