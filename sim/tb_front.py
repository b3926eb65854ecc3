# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the stream front: every port in every cycle against a walk over the schedule's segments.

The bench plays what surrounds the front: side words with random room, activations that become available at random,
row blocks that are drained at random, a sequencer that accepts, rejects and becomes idle at random.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from hw.front import packet_beat
from hw.packet import Context
from hw.schedule import MATRICES, Group, Segment, Shape, Status, segments
from hw.trace import Cycle
from sim.tb_header import packed, some_shape, token_fields
from sim.tb_result import core
from sim.tb_units import begin

ROUNDS = 8
"""Packets of every ending."""
ENDINGS = (Status.OK, Status.OK, Status.SHORT, Status.LONG, Status.ABORTED, Status.TOKEN)
"""TOKEN stands for whatever the sequencer rejects."""
IDLE_FALLS = 2
"""Cycles from a packet's first beat until the sequencer has seen it."""


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
    return contexts * core().beats(shape.inputs(group)) * (3 if group is Group.MIX else 1)


def beats_of(shape: Shape, contexts: int) -> list[Beat]:
    """A packet's beats."""
    found: list[Beat] = []
    order: list[Segment | None] = [*segments(core(), shape, contexts), None]
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
            self.sent = random.choice([1, random.randrange(1, min(total, 20)), random.randrange(1, total), total - 1])
        elif self.ending is Status.LONG or (self.ending is Status.ABORTED and random.random() < 0.3):
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
    shape = some_shape()
    if random.random() < 0.85:
        rows, columns = core().rows, core().columns
        sizes = [1, 2, rows, rows + 1, columns, columns + 1, 2 * columns]
        small = [min(random.choice(sizes), limit) for limit in (core().max_hidden, core().max_intermediate)]
        shape = Shape(small[0], random.randint(1, 2), small[1], random.randint(1, 2 * rows))
    return Packet(shape, random.randint(1, core().batch), ending, number)


class Model:
    """Where the front is: a mode, a beat of the packet, and which context takes it next."""

    def __init__(self, packets: Iterator[Packet]) -> None:
        self.packets = packets
        self.packet = next(packets)
        self.mode, self.at, self.context = "header", 0, 0

    @property
    def beat(self) -> Beat | None:
        """The beat that is waited for."""
        return self.packet.beats[self.at] if self.mode in ("header", "body") else None

    def outputs(self, env: dict[str, int]) -> dict[str, int]:
        """The outputs that this cycle must show; those that do not matter are left out."""
        beat, valid, begun = self.beat, env["valid"], self.at > 0
        side = self.mode in ("header", "body") and beat.address is None
        trits = self.mode == "body" and not side
        final = self.context == self.packet.contexts - 1
        available = trits and beat.address + self.context < env["available"]
        fits = available and not (beat.last and env["block_pending"])
        open_ = side and (self.mode == "body" or begun or env["idle"])
        ready = self.mode == "drop" or (open_ and env["side_ready"]) or (fits and final)
        taken, feed = valid and ready, valid and fits
        found = {
            "weights__ready": ready,
            "side__valid": open_ and valid,
            "feed": feed,
            "release": feed and final and beat.release,
            "embed_block": taken and self.mode == "body" and beat.embed,
        }
        if open_ and valid:
            found["side__payload"] = env["data"]
        if trits:
            found["code_address"] = beat.address + self.context
        if feed:
            found |= {"feed_first": beat.first, "feed_last": beat.last}
            found |= {"feed_context": self.context, "final_context": final}
        if begun and beat:
            found |= {"group": beat.group, "matrix": beat.matrix, "block": beat.block}
        fault = self.fault(env, taken)
        found["fault"] = fault is not None
        if fault is not None:
            found["fault_status"] = fault

        outside = self.mode in ("tail", "drop") or (self.mode == "header" and not begun)
        found["busy"] = taken or not (outside and env["idle"])
        if not found["busy"]:
            cycle = Cycle.IDLE
        elif taken:
            cycle = Cycle.BEAT
        elif feed:
            cycle = Cycle.REPEAT
        elif fits or ready:
            cycle = Cycle.STARVED
        elif outside:
            cycle = Cycle.RESULT
        elif self.mode == "check" or (trits and not available):
            cycle = Cycle.DEPENDENCY
        else:
            cycle = Cycle.DRAIN
        found["cycle"] = cycle
        return found

    def fault(self, env: dict[str, int], taken: bool) -> Status | None:
        """How this cycle ends the packet, if it does so before its time."""
        if self.mode == "drop" or (self.mode == "header" and not (self.at or taken)):
            return None
        if env["abort"] and not (self.mode == "tail" and env["idle"]):
            return Status.ABORTED
        if taken:
            end = self.at == len(self.packet.beats) - 1
            if env["last"] != end:
                return Status.SHORT if env["last"] else Status.LONG
        return None

    def step(self, env: dict[str, int], found: dict[str, int]) -> None:
        """On to the next cycle."""
        taken = env["valid"] and found["weights__ready"]
        mode = self.mode
        if found["fault"]:
            self.mode = "header" if mode == "tail" or (taken and env["last"]) else "drop"
        elif mode == "drop":
            self.mode = "header" if taken and env["last"] else "drop"
        elif mode == "tail":
            self.mode = "header" if env["idle"] else "tail"
        elif mode == "check":
            self.mode = "body" if env["accept"] else "drop" if env["reject"] else "check"
        elif taken:
            self.at, self.context = self.at + 1, 0
            if self.at == len(self.packet.beats):
                self.mode = "tail"
            elif mode == "header" and not self.packet.beats[self.at].header:
                self.mode = "check"
        elif found["feed"]:
            self.context += 1
        if self.mode == "header" and (mode != "header" or found["fault"]):
            self.at = self.context = 0
            self.packet = next(self.packets)


class Surroundings:
    """Everything around the front but the weight stream, a dictionary of inputs a cycle."""

    def __init__(self) -> None:
        self.idle, self.falls, self.available, self.pending, self.limit = 1, 0, 0, 0, 0
        self.new_pace()

    def new_pace(self) -> None:
        """Other probabilities, from the next packet on."""
        names = ("offer", "side", "codes", "drained")
        self.pace = {name: random.choice([1.0, 0.7, 0.2]) for name in names}
        self.pace["answer"] = random.choice([0.6, 0.2])

    def chance(self, name: str) -> bool:
        return random.random() < self.pace[name]

    def inputs(self, model: Model) -> dict[str, int]:
        """Of this cycle."""
        packet, mode = model.packet, model.mode
        answer = mode == "check" and self.chance("answer")
        abort = packet.ending is Status.ABORTED and model.at >= packet.abort_from
        abort = abort and (mode in ("check", "tail") or random.random() < 0.2)
        between = mode == "drop" or (mode == "header" and not model.at)
        if between:
            # without effect, unless it meets a packet's first beat
            abort = random.random() < 0.02
        if (mode == "tail" and not abort and self.chance("answer")) or (between and random.random() < 0.1):
            self.idle = 1
        if mode == "tail" and self.idle:
            # too late
            abort = random.random() < 0.5
        return {
            "idle": self.idle,
            "side_ready": self.chance("side"),
            "accept": answer and packet.ending is not Status.TOKEN,
            "reject": answer and packet.ending is Status.TOKEN,
            "abort": abort,
            "available": self.available,
            "block_pending": self.pending,
        }

    def step(self, model: Model, env: dict[str, int], found: dict[str, int]) -> None:
        """After a cycle in which the front showed ``found``; ``model`` is still in it."""
        packet = model.packet
        if self.falls:
            self.falls -= 1
            self.idle = int(self.falls > 0)
        if model.mode == "header" and not model.at and env["valid"] and found["weights__ready"]:
            self.idle, self.falls = 1, IDLE_FALLS - 1
        if found["fault"]:
            self.idle = self.falls = 0
        if found["release"] or found["fault"] or env["accept"]:
            following = packet.beats[min(model.at + 1, len(packet.beats) - 1)].group
            self.available, self.limit = 0, positions(packet.shape, packet.contexts, max(following, Group.MIX))
        elif self.chance("codes"):
            self.available = min(self.limit, self.available + random.choice([1, 1, self.limit]))
        if found["feed"] and found["feed_last"] and found["final_context"]:
            self.pending = 1
        elif self.chance("drained"):
            self.pending = 0


@cocotb.test()
async def packets(dut: Any) -> None:
    """Packets in a row, whole and broken ones, each offered while the one before it is still on its way."""
    for name in ("weights__valid", "weights__payload", "idle", "accept", "reject", "abort_token", "available"):
        getattr(dut, name).value = 0
    await begin(dut)
    plan = [some_packet(ending, number) for number in range(ROUNDS) for ending in ENDINGS]
    random.shuffle(plan)
    offers = ((i == packet.sent - 1) for packet in plan for i in range(packet.sent))
    never = some_packet(Status.OK)
    model, around = Model(iter([*plan, never])), Surroundings()
    payload, offered = 0, False
    faults: Counter[tuple[str, Status]] = Counter()
    cycles: Counter[Cycle] = Counter()
    shape, last = 0, False
    while model.packet is not never or not around.idle:
        if not offered and around.chance("offer"):
            following = next(offers, None)
            offered, last = following is not None, bool(following)
            payload = random.getrandbits(8 * core().lanes)
        env = around.inputs(model) | {"valid": offered, "last": last, "data": payload}
        if model.packet.ending is Status.SHORT and model.packet.number % 2 and last:
            # an abort in the very cycle of the early end
            env["abort"] = offered and model.outputs(env)["weights__ready"]
        if env["accept"]:
            shape = model.packet.fields()
        elif model.mode not in ("body", "tail"):
            shape = random.getrandbits(len(dut.shape))
        dut.weights__valid.value = int(offered)
        dut.weights__payload.value = packet_beat(core()).const({"data": payload, "last": last}).as_value().value
        dut.side__ready.value, dut.shape.value = int(env["side_ready"]), shape
        for name in ("idle", "accept", "reject", "available", "block_pending"):
            getattr(dut, name).value = int(env[name])
        dut.abort_token.value = int(env["abort"])
        await ReadOnly()
        found = model.outputs(env)
        for name, value in found.items():
            assert int(getattr(dut, name).value) == value, (name, value, model.mode, model.at, env)
        mode, packet = model.mode, model.packet
        cycles[found["cycle"]] += 1
        if found["fault"]:
            faults[mode, found["fault_status"]] += 1
            early = last and offered and found["weights__ready"] and model.at < len(packet.beats) - 1
            faults["early end", found["fault_status"]] += early
        if env["reject"]:
            faults[mode, Status.TOKEN] += 1
        offered = offered and not found["weights__ready"]
        around.step(model, env, found)
        model.step(env, found)
        if model.packet is not packet:
            around.new_pace()
        await FallingEdge(dut.clk)
    assert min(cycles[kind] for kind in Cycle if kind is not Cycle.REPEAT or core().batch > 1) > 50, cycles
    expected = {(mode, Status.ABORTED) for mode in ("header", "check", "body", "tail")}
    expected |= {("early end", Status.ABORTED)}
    expected |= {("header", Status.SHORT), ("body", Status.SHORT), ("body", Status.LONG), ("check", Status.TOKEN)}
    assert not expected - set(+faults), faults
