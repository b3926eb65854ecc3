# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the stream front: what becomes of every beat against a walk over the schedule's segments.

The bench plays what surrounds the front: side words with random room, activations that become available at random,
row blocks that are drained at random, a sequencer that accepts, rejects, clears and becomes idle at random. A beat
must not come before what it needs is there, and not long after; how long exactly, the whole core's cycle model knows.
"""

import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise, tee
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from tritforge.hw.packet import Context
from tritforge.hw.schedule import MATRICES, Group, Segment, Shape, Status, segments, token_beats
from tritforge.hw.taps import Cycle
from tritforge.sim.benches.common import (
    begin,
    packed,
    shapes_at_the_ends,
    shared,
    shrunk,
    some_shape,
    token_fields,
    under_test,
)

ROUNDS = 8
"""Packets of every ending."""
ENDINGS = (Status.OK, Status.OK, Status.SHORT, Status.LONG, Status.ABORTED, Status.TOKEN)
"""TOKEN stands for whatever the sequencer rejects."""
IDLE_FALLS = 4
"""Cycles from a packet's first beat until the sequencer has seen it."""
INPUTS = {name: f"packet__{name}" for name in ("idle", "accept", "reject", "clear", "drained")}
INPUTS |= {"side_room": "side__room", "available": "codes__available"}
LINKED = ("peer_failed", "exchanges")
"""Inputs of a core with a link."""
OUTPUTS = {"side_put": "side__put", "feed": "feed__valid", "release": "codes__release"}
OUTPUTS |= {"embed_block": "packet__embed_block", "feed_first": "feed__first", "feed_last": "feed__last"}
OUTPUTS |= {"feed_context": "feed__context", "final_context": "feed__final_context"}
"""Ports by the names that they have here."""
LARGE, LARGEST = 2500, 6000
"""Beats of a packet of random size, and of one that is at a limit: a large core's are shrunk to as many."""
PATIENCE = 12
"""Cycles in which what the next beat needs is there, and it must have been let in."""


@dataclass(frozen=True)
class Beat:
    """A beat of a packet: where it is; ``address`` of its activations, None for side words; what comes with it.

    first, last : of its row block of trits. embed : completes a row block of the embedding. release : of a group.
    """

    group: Group
    matrix: int
    block: int
    header: bool
    address: int | None = None
    first: bool = False
    last: bool = False
    embed: bool = False
    release: bool = False


def positions(shape: Shape, contexts: int, group: Group) -> int:
    """Activation words of a group's vectors."""
    return contexts * under_test().beats(shape.inputs(group)) * (3 if group is Group.MIX else 1)


def beats_of(shape: Shape, contexts: int) -> list[Beat]:
    """A packet's beats."""
    found: list[Beat] = []
    order: list[Segment | None] = [*segments(under_test(), shape, contexts), None]
    for segment, following in pairwise(order):
        trits = segment.kind in MATRICES[segment.group]
        matrix = MATRICES[segment.group].index(segment.kind) if trits else 0
        base = matrix * segment.beats if segment.group is Group.MIX else 0
        leaves = trits and (following is None or following.kind == "constants")
        for word in range(segment.beats):
            last = word == segment.beats - 1
            found.append(
                Beat(
                    segment.group,
                    matrix,
                    segment.block,
                    header=segment.kind == "header",
                    address=(base + word) * contexts if trits else None,
                    first=trits and word == 0,
                    last=trits and last,
                    embed=last and segment.group is Group.EMBED and segment.kind == "gains",
                    release=last and leaves,
                )
            )
    return found


@dataclass(eq=False)
class Packet:
    """A packet and how it is to end.

    number : of the packets with its ending. sent : beats that are offered. abort_from : no abort before that beat.
    """

    shape: Shape
    contexts: int
    ending: Status
    number: int
    beats: list[Beat] = field(init=False)
    sent: int = field(init=False)
    abort_from: int = field(init=False)

    def __post_init__(self) -> None:
        self.beats = beats_of(self.shape, self.contexts)
        total = len(self.beats)
        self.sent = total
        if self.ending is Status.SHORT:
            # each twice: with an abort as the early end becomes known and without
            early, anywhere = random.randrange(1, min(total, 20)), random.randrange(1, total)
            self.sent = [1, early, anywhere, total - 1][self.number // 2 % 4]
        elif self.ending is Status.LONG or (self.ending in (Status.ABORTED, Status.PEER) and random.random() < 0.3):
            self.sent = total + random.randint(1, 5)
        header = sum(beat.header for beat in self.beats)
        early, anywhere = random.randrange(min(20, total)), random.randrange(total)
        self.abort_from = [0, header, total, early, anywhere, total - 1, header, total][self.number]

    def fields(self) -> int:
        """The port ``shape``."""
        contexts = [Context(0)] * self.contexts
        return packed(token_fields(self.shape, contexts, random.getrandbits(32)))


def some_packet(ending: Status, number: int = 0) -> Packet:
    """A packet of random size, most often small."""
    params = under_test()
    shape = fitting(some_shape(), LARGE)
    if random.random() < 0.85:
        rows, columns = params.rows, params.columns
        sizes = [1, 2, rows, rows + 1, columns, columns + 1, 2 * columns]
        small = [min(random.choice(sizes), limit) for limit in (params.max_hidden, params.max_intermediate)]
        vocab = min(random.randint(1, 2 * rows), params.max_vocab)
        shape = Shape(small[0], random.randint(1, min(2, params.max_layers)), small[1], vocab)
    return Packet(shared(shape), random.randint(1, params.batch), ending, number)


def fitting(shape: Shape, most: int) -> Shape:
    """One whose packets have no more beats."""
    return shrunk(shape, lambda shape: token_beats(under_test(), shape, under_test().batch), most)


def abortions() -> list[Status]:
    """How a packet can end: by the host and, in a core with a link, by another core."""
    return [Status.ABORTED, *([Status.PEER] if under_test().linked else [])]


def abortion(env: dict[str, int]) -> Status:
    """Which of them it is."""
    return Status.ABORTED if env["abort_token"] else Status.PEER


class Model:
    """Where the front is: a mode, a beat of the packet, and which context takes it next."""

    def __init__(self, packets: Iterator[Packet]) -> None:
        self.packets = packets
        self.packet = next(packets)
        self.mode, self.at, self.context = "header", 0, 0
        self.over = self.late = False

    @property
    def beat(self) -> Beat | None:
        """The beat that is waited for."""
        return self.packet.beats[self.at] if self.mode in ("header", "body") else None

    @property
    def final(self) -> bool:
        """It is the turn of the packet's last context."""
        return self.context == self.packet.contexts - 1

    def may(self, env: dict[str, int]) -> bool:
        """Whether the beat may come, as far as these inputs say."""
        beat = self.beat
        if self.mode == "drop":
            return not self.over
        if beat is None or (self.mode == "header" and not self.at and not env["idle"]):
            return False
        if beat.address is None:
            return bool(env["side_room"])
        return beat.address + self.context < env["counted"] and not (beat.last and env["pending"])

    def left(self, taken: bool) -> dict[str, int]:
        """What must leave, a cycle later, of a beat that was accepted or (not ``taken``) given to the array."""
        beat, body = self.beat, self.mode == "body"
        if beat is None:
            return {"side_put": 0, "feed": 0, "release": 0, "embed_block": 0}
        side = beat.address is None
        found: dict[str, int] = {"side_put": side, "feed": not side, "release": taken and beat.release}
        found["embed_block"] = body and side and beat.embed
        if not side:
            found |= {"feed_first": beat.first, "feed_last": beat.last}
            found |= {"feed_context": self.context, "final_context": self.final}
        return found

    def step(self, env: dict[str, int], taken: bool, fed: bool, last: bool) -> Status | None:
        """A cycle's beat, known in the next one with the inputs ``env``; how that ends the packet, if it does."""
        mode, begun = self.mode, self.at > 0 or (taken and self.mode == "header")
        if mode == "drop":
            self.over = self.over or (taken and last)
        elif taken:
            self.at, self.context, end = self.at + 1, 0, self.at + 1 == len(self.packet.beats)
            if env["abort"] or last != end:
                self.mode, self.over = "drop", last
                return abortion(env) if env["abort"] else Status.SHORT if last else Status.LONG
            if end:
                self.mode = "tail"
            elif mode == "header" and not self.packet.beats[self.at].header:
                self.mode = "check"
            return None
        elif fed:
            self.context += 1
        if mode in ("check", "body") or (mode == "header" and begun) or (mode == "tail" and not env["was_idle"]):
            if mode == "check" and env["accept"]:
                self.mode = "body"
            elif env["reject"]:
                self.mode, self.over = "drop", False
            elif env["abort"]:
                self.over = self.late = mode == "tail"
                self.mode = "drop"
                return abortion(env)
        return None

    def rest(self) -> None:
        """On to the next packet."""
        self.mode, self.at, self.context, self.over, self.late = "header", 0, 0, False, False
        self.packet = next(self.packets)


class Surroundings:
    """Everything around the front but the weight stream, a dictionary of inputs a cycle."""

    def __init__(self) -> None:
        self.idle, self.falls, self.available, self.pending, self.limit = 1, 0, 0, 0, 0
        self.stale = 0
        self.clear, self.was_idle = 0, 1
        self.new_pace()

    def new_pace(self) -> None:
        """Other probabilities, from the next packet on."""
        names = ("offer", "side", "codes", "drained")
        self.pace = {name: random.choice([1.0, 0.7, 0.2]) for name in names}
        self.pace |= {"answer": random.choice([0.6, 0.2]), "exchanges": random.choice([0.0, 0.5, 0.9])}

    def chance(self, name: str) -> bool:
        return random.random() < self.pace[name]

    def inputs(self, model: Model, fault: bool, ending: bool) -> dict[str, int]:
        """Of this cycle; ``ending``: a fault is there or about to be."""
        packet, mode = model.packet, model.mode
        answer = mode == "check" and self.chance("answer")
        abort = packet.ending in (Status.ABORTED, Status.PEER) and model.at >= packet.abort_from
        abort = abort and (mode in ("check", "tail") or random.random() < 0.2)
        if mode == "drop" or (mode == "header" and not model.at):
            # without effect, unless it meets a packet's first beat
            abort = random.random() < 0.02
        self.clear -= self.clear > 0
        if fault and not self.falls and not self.idle and not self.clear and self.chance("answer"):
            self.clear = random.randint(1, 9)
        if answer and packet.ending is Status.TOKEN:
            self.clear = random.randint(1, 9)
        if not self.clear and (model.late or not ending) and mode in ("tail", "drop") and self.chance("answer"):
            self.idle = 1
        drained = self.pending and self.chance("drained")
        abort = abort and not answer
        return {
            **self.aborts(abort, packet.ending),
            "exchanges": self.chance("exchanges"),
            "idle": self.idle,
            "was_idle": self.was_idle,
            "clear": self.clear > 0,
            "side_room": self.chance("side"),
            "accept": answer and packet.ending is not Status.TOKEN,
            "reject": answer and packet.ending is Status.TOKEN,
            # after a release the store shows for a cycle what was there
            "available": self.stale or self.available,
            "counted": self.available,
            "drained": drained,
            "pending": self.pending,
        }

    @staticmethod
    def aborts(abort: bool, ending: Status) -> dict[str, int]:
        """Whether a packet is aborted, and by whom: the host, another core or, which counts as the host, both."""
        peer = abort and ending is Status.PEER
        both = abort and not peer and random.random() < 0.5
        return {"abort": abort, "abort_token": abort and not peer, "peer_failed": peer or both}

    def step(self, model: Model, env: dict[str, int], left: dict[str, int], began: bool, status: Any) -> None:
        """After a cycle; ``left`` shows what became of the beat before it."""
        packet, self.was_idle = model.packet, self.idle
        self.stale = self.available if left["release"] else 0
        if self.falls:
            self.falls -= 1
            self.idle = int(self.falls > 0)
        if began:
            self.idle, self.falls = 1, IDLE_FALLS - 2
        if left["release"] or status is not None or env["accept"]:
            following = packet.beats[min(model.at, len(packet.beats) - 1)].group
            self.available, self.limit = 0, positions(packet.shape, packet.contexts, max(following, Group.MIX))
        elif self.chance("codes"):
            self.available = min(self.limit, self.available + random.choice([1, 1, self.limit]))
        if env["drained"] or status is not None:
            self.pending = 0
        if left["feed"] and left["feed_last"] and left["final_context"]:
            self.pending = 1


def goals(faults: Counter[tuple[str, Status]], cycles: Counter[Cycle]) -> set[Any]:
    """What has not been seen yet: kinds of cycles, and (mode, end) of packets that ended before their time."""
    params = under_test()
    there = {Cycle.REPEAT: params.batch > 1, Cycle.EXCHANGE: params.linked}
    kinds = {kind for kind in Cycle if there.get(kind, True) and cycles[kind] <= 30}
    expected = {(mode, end) for mode in ("header", "check", "body", "tail", "early end") for end in abortions()}
    expected |= {("header", Status.SHORT), ("body", Status.SHORT), ("body", Status.LONG), ("check", Status.TOKEN)}
    return kinds | (expected - set(+faults))


def plan(faults: Counter[tuple[str, Status]], cycles: Counter[Cycle]) -> Iterator[Packet]:
    """Packets of every ending and of sizes at the limits, and more of them until all has been seen."""
    endings = [*ENDINGS, *abortions()[1:]]
    found = [some_packet(ending, number) for number in range(ROUNDS) for ending in endings]
    found += [Packet(shared(fitting(shape, LARGEST)), 1, Status.OK, 0) for shape in shapes_at_the_ends()]
    yield from random.sample(found, len(found))
    for _ in range(10 * ROUNDS):
        if not goals(faults, cycles):
            return
        yield from (some_packet(ending, random.randrange(ROUNDS)) for ending in random.sample(endings, len(endings)))
    raise AssertionError(f"{goals(faults, cycles)} could not be seen")


@cocotb.test()
async def packets(dut: Any) -> None:
    """Packets in a row, whole and broken ones, each offered while the one before it is still on its way."""
    inputs = INPUTS | {name: name for name in ("abort_token", *(LINKED if under_test().linked else ()))}
    for name in ("weights__tvalid", "weights__tdata", "weights__tlast", *inputs.values()):
        getattr(dut, name).value = 0
    await begin(dut)
    faults: Counter[tuple[str, Status]] = Counter()
    cycles: Counter[Cycle] = Counter()
    never = some_packet(Status.OK)
    course, ahead = tee(chain(plan(faults, cycles), [never]))
    offers = (i == packet.sent - 1 for packet in ahead if packet is not never for i in range(packet.sent))
    model, around = Model(course), Surroundings()
    payload, offered, last, shape, waited = 0, False, False, 0, 0
    # of the cycles before: what the inputs were, whether a beat was accepted, which, and what the accounts must say
    envs: deque[dict[str, int]] = deque(maxlen=3)
    before: dict[str, int] = {"taken": 0, "last": 0, "data": 0, "address": 0, "valid": 0}
    accounts: deque[tuple[str, Any, int]] = deque([("header", None, 0)])
    # of the last two cycles: how the packet ended before its time, which the core knows a cycle later
    ended: deque[Status | None] = deque([None, None], maxlen=2)
    fault = None
    while model.packet is not never or not around.idle:
        if not offered and around.chance("offer"):
            following = next(offers, None)
            offered, last = following is not None, bool(following)
            payload = random.getrandbits(under_test().beat_bits)
        env = around.inputs(model, fault is not None, fault is not None or any(ended))
        if model.packet.ending is Status.SHORT and model.packet.number % 2 and before["taken"] and before["last"]:
            # an abort as the early end becomes known
            env |= around.aborts(not env["accept"] and not env["reject"], random.choice(abortions()))
        if env["accept"]:
            shape = model.packet.fields()
        elif model.mode not in ("body", "tail"):
            shape = random.getrandbits(len(dut.shape))
        dut.weights__tvalid.value = int(offered)
        dut.weights__tdata.value, dut.weights__tlast.value = payload, int(last)
        dut.shape.value = shape
        for name, port in inputs.items():
            getattr(dut, port).value = int(env[name])
        await ReadOnly()

        # what became of the beat that was there a cycle before
        taken, fed = bool(before["taken"]), bool(int(dut.feed__valid.value))
        left = dict.fromkeys(("side_put", "feed", "release", "embed_block"), 0)
        mode, at = model.mode, model.at
        calm = not any(ended)
        if (taken or fed) and calm:
            assert before["valid"]
            assert any(model.may(past) for past in envs) or not envs, (mode, at, envs)
            left = model.left(taken)
            assert taken == (left["side_put"] or mode == "drop" or (fed and model.final)), (mode, at)
            if left["feed"]:
                assert before["address"] == model.beat.address + model.context
            if mode != "drop":
                assert int(dut.feed__beat.value) == before["data"]
        for name, value in left.items():
            # a beat that comes while the packet ends before its time may go anywhere
            assert not calm or int(getattr(dut, OUTPUTS[name]).value) == value, (name, value, mode, at)
        may = envs and all(model.may(past) for past in envs)
        waited = waited + 1 if may and before["valid"] and not (taken or fed) else 0
        assert waited < PATIENCE, (mode, at, env)
        assert int(dut.packet__fault.value) == (fault is not None), (fault, mode, at)
        if fault is not None:
            assert int(dut.packet__fault_status.value) == fault
        # the accounts are two cycles late
        expected_mode, kind, exchanges = accounts.popleft()
        cycle = Cycle(int(dut.cycle.value))
        cycles[cycle] += 1
        assert int(dut.busy.value) == (cycle is not Cycle.IDLE)
        if kind is not None:
            assert cycle is kind, (cycle, kind, expected_mode)
        elif cycle is not Cycle.STARVED and (expected_mode == "body" or exchanges):
            waits = {Cycle.EXCHANGE} if exchanges else {Cycle.DRAIN, Cycle.DEPENDENCY}
            assert cycle in waits or (expected_mode != "body" and cycle is Cycle.IDLE), (cycle, expected_mode)
        assert cycle is not Cycle.EXCHANGE or exchanges
        exchanges = bool(envs) and under_test().linked and envs[-1]["exchanges"]
        accounts.append((mode, Cycle.BEAT if taken else Cycle.REPEAT if fed else None, exchanges))
        packet = model.packet
        status = model.step(env, taken, fed, bool(before["last"]))
        if status is not None:
            faults[mode, status] += 1
            early = taken and before["last"] and at < len(packet.beats) - 1
            faults["early end", status] += bool(early)
        if env["reject"]:
            faults[mode, Status.TOKEN] += 1
        around.step(model, env, left, taken and mode == "header" and not at, status)
        if fault is not None and (env["clear"] or (model.late and env["was_idle"])):
            fault = None
        elif ended[-1]:
            fault = ended[-1]
        if (model.mode == "tail" and env["was_idle"]) or (
            model.mode == "drop" and model.over and fault is None and around.idle and not any(ended) and not status
        ):
            model.rest()
            around.new_pace()
        accepted = offered and int(dut.weights__tready.value)
        before = {"taken": accepted, "last": last, "data": payload, "valid": offered}
        before["address"] = int(dut.codes__address.value)
        offered = offered and not accepted
        envs.append(env)
        ended.append(status)
        await FallingEdge(dut.clk)
