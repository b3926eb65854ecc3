# SPDX-License-Identifier: Apache-2.0
"""The stream front: walks the schedule and sorts the beats of a packet into side words and trits."""

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.header import token_shape
from hw.ops import OneHot, context_bits, delay
from hw.params import CoreParams
from hw.schedule import Group, Status
from hw.trace import Cycle
from hw.walker import PLACE, RUN, Walker


def packet_beat(core: CoreParams) -> data.StructLayout:
    """A beat of the weight stream and whether it ends its packet."""
    return data.StructLayout({"data": unsigned(8 * core.lanes), "last": unsigned(1)})


class _Now:
    """Of this cycle: the run of beats and its next beat, what may come and what comes, and of the cycle before it.

    The fields of `PLACE`, and first, last, second : the beat is its run's first, last, last but one. context, final :
    whose turn it is, and that it is the last one's. offer : the array takes a beat. lacks : activations. drop : beats
    are dropped. taken, fed, ends : a beat is accepted, given to the array, its run's last. rests, walks : between
    packets, in the body of one.
    """

    def __init__(self, core: CoreParams) -> None:
        for name, field in RUN:
            if name in PLACE:
                setattr(self, name, Signal(field.shape, name=name))
        self.first, self.last, self.second = Signal(), Signal(), Signal()
        self.context, self.final = Signal(context_bits(core)), Signal()
        self.offer, self.lacks, self.drop = Signal(), Signal(), Signal()
        self.rests, self.walks = Signal(), Signal()
        self.taken, self.fed, self.ends = Signal(), Signal(), Signal()
        self.was_taken, self.was_over, self.was_last, self.was_end = Signal(), Signal(), Signal(), Signal()


class StreamFront(wiring.Component):
    """Accepts one beat a cycle whenever its destination can take it.

    Whether a beat may come is decided a cycle ahead and in registers, and what becomes of a beat leaves a cycle after
    it. Side beats go out with ``side_put``, while ``side_room``. A trit beat is given to the array once for each
    context, with ``feed``, ``feed_first``, ``feed_last``, ``feed_context`` and ``final_context``; with its last
    context it is accepted. That needs the activations at ``code_address``, which is a cycle ahead of ``feed``, to be
    quantised (below ``available``) and, if the beat ends a row block, the block before it to be ``drained``.
    Throughput: one feed a cycle.

    ``idle`` lets a new packet in. After the header the front waits for ``accept`` or ``reject``. A packet that
    ends early or late, or ``abort_token``, raises ``fault`` with its ``fault_status`` until ``clear`` (after the last
    beat: or until ``idle``); then, as after ``reject``, the front drops beats up to the packet's last.
    ``embed_block`` pulses when a row block of the embedding is complete, ``release`` with the last trit beat of a
    group. ``cycle`` says what the stream did; ``group``, ``matrix`` and ``block`` where it was.
    """

    latency = 2
    """Cycles from ``available`` or ``drained`` to the first beat that it lets in, at whose ``code_address`` it is."""
    opening = 4 + Walker.opening
    """Cycles from ``accept`` to the first beat of constants."""

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        self.positions = core.batch * max(3 * core.beats(core.max_hidden), core.beats(core.max_intermediate))
        super().__init__(
            {
                "weights": In(stream.Signature(packet_beat(core))),
                "beat": Out(8 * core.lanes),
                "side_put": Out(1),
                "side_room": In(1),
                "idle": In(1),
                "clear": In(1),
                "accept": In(1),
                "reject": In(1),
                "abort_token": In(1),
                "shape": In(token_shape(core)),
                "available": In(range(self.positions + 1)),
                "drained": In(1),
                "code_address": Out(range(self.positions)),
                "feed": Out(1),
                "feed_first": Out(1),
                "feed_last": Out(1),
                "feed_context": Out(context_bits(core)),
                "final_context": Out(1),
                "release": Out(1),
                "embed_block": Out(1),
                "fault": Out(1),
                "fault_status": Out(4),
                "busy": Out(1),
                "cycle": Out(Cycle),
                "group": Out(Group),
                "matrix": Out(2),
                "block": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weights = self.weights
        m.submodules.walker = walker = Walker(self._core)
        now = _Now(self._core)
        ahead = Signal(RUN)
        kill, begin = Signal(), Signal()
        taken, fed, ends, over = now.taken, now.fed, now.ends, weights.payload.last
        none, alone = ~(now.side | now.trits), ~(ahead.side | ahead.trits)
        m.d.comb += [
            taken.eq(weights.ready & weights.valid),
            fed.eq(now.offer & weights.valid),
            ends.eq(taken & now.last),
            walker.shape.eq(self.shape),
            walker.pop.eq(ends | none | alone),
        ]
        # dropped beats are of no run
        released = ends & now.trits & now.release
        self._decide(m, now, ahead, released)
        with m.If(taken):
            m.d.sync += [now.left.eq(now.left - 1), now.first.eq(0), now.last.eq(now.second)]
            m.d.sync += now.second.eq(now.left == 2)
        with m.If(ends | none):
            m.d.sync += [getattr(now, name).eq(ahead[name]) for name in PLACE]
            m.d.sync += [now.first.eq(1), now.last.eq(ahead.one), now.second.eq(ahead.two)]
        with m.If(walker.pop):
            m.d.sync += ahead.eq(walker.run)
            m.d.sync += [ahead.side.eq(walker.run.side & now.walks), ahead.trits.eq(walker.run.trits & now.walks)]
        m.d.sync += [
            self.beat.eq(weights.payload.data),
            self.side_put.eq(taken & now.side),
            self.feed.eq(fed),
            self.feed_first.eq(now.first),
            self.feed_last.eq(now.last),
            self.feed_context.eq(now.context),
            self.final_context.eq(now.final),
            self.embed_block.eq(ends & now.side & now.embed),
            self.release.eq(released),
        ]
        self._control(m, now, walker, kill, begin)
        header = sc.side_beats(self._core, sc.HEADER_WORDS)
        with m.If(begin):
            m.d.sync += [getattr(now, name).eq(0) for name in PLACE]
            m.d.sync += [now.side.eq(1), now.left.eq(header - 1)]
            m.d.sync += [now.last.eq(header == 1), now.second.eq(header == 2)]
        with m.If(taken & over):
            m.d.sync += now.drop.eq(0)
        with m.If(kill):
            m.d.sync += [weights.ready.eq(0), now.offer.eq(0), now.drop.eq(~(now.was_over | (taken & over)))]
            m.d.sync += [now.side.eq(0), now.trits.eq(0), ahead.side.eq(0), ahead.trits.eq(0)]
        return m

    def _decide(self, m: Module, now: _Now, ahead: data.View, released: Value) -> None:
        """What may come in the next cycle."""
        shape, weights, over = self.shape, self.weights, self.weights.payload.last
        taken, fed, last, room = now.taken, now.fed, now.last, self.side_room
        batched = self._core.batch > 1

        # whether the activations at this address, the one after it and the next but one are there, of a cycle ago
        position = [self.code_address, *(Signal.like(self.code_address, name=f"address_{i}") for i in (1, 2))]
        known = [Signal(name=f"known_{i}") for i in range(3)]
        whole, wraps, pending = Signal(), Signal(), Signal()
        m.d.comb += wraps.eq(now.ends & now.trits & ~now.onward)
        m.d.sync += whole.eq((whole | wraps) & ~released)
        for address, there in zip(position, known, strict=True):
            m.d.sync += there.eq((whole | wraps | (address < self.available)) & ~(released | self.release))
        with m.If(wraps | now.rests):
            m.d.sync += [address.eq(i) for i, address in enumerate(position)]
        with m.Elif(fed):
            m.d.sync += [position[0].eq(position[1]), position[1].eq(position[2]), position[2].eq(position[2] + 1)]
        with m.If(now.rests):
            m.d.sync += whole.eq(0)
        # a vector begins anew only when it is whole
        here = Mux(self.feed, known[1], known[0])
        beyond = Mux(self.feed, known[2], known[1]) | (last & now.final & ~now.onward)

        # a row block's last beat waits until the rows before it are drained
        m.d.sync += pending.eq(((pending & ~self.drained) | (now.ends & now.trits)) & ~now.rests)
        another = ahead.trits & Mux(now.trits, beyond, here) & ~(ahead.one & (pending | now.trits))
        following = now.trits & beyond & ~(now.second & pending)
        repeated = now.trits & beyond & ~(last & pending)
        same = now.trits & here & ~(last & pending)

        contexts, next_final = Signal.like(shape.contexts), Signal()
        if batched:
            m.d.sync += contexts.eq(shape.contexts - 1)
            m.d.comb += next_final.eq(Mux(fed, Mux(now.final, contexts == 0, now.context + 1 == contexts), now.final))
            m.d.sync += now.final.eq(next_final)
            with m.If(fed):
                m.d.sync += now.context.eq(Mux(now.final, 0, now.context + 1))
            with m.If(~now.trits):
                m.d.sync += [now.context.eq(0), now.final.eq(contexts == 0)]
        else:
            m.d.comb += [next_final.eq(1), now.final.eq(1), contexts.eq(0)]

        trits = Mux(last, another, following)
        side = Mux(last, ahead.side, now.side) & room
        unchanged = now.side & room | now.drop
        offer = Mux(taken, ~over & trits, Mux(fed, repeated, same) if batched else same)
        m.d.sync += [
            now.offer.eq(offer),
            weights.ready.eq((offer & next_final) | Mux(taken, ~over & (side | now.drop), unchanged)),
            now.lacks.eq(now.trits & ~here),
        ]

    def _control(self, m: Module, now: _Now, walker: Walker, kill: Signal, begin: Signal) -> None:
        """Header, body and end of a packet, a cycle behind its beats; and what the cycles are spent on."""
        begun, tail, checks, outside = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            now.was_taken.eq(now.taken),
            now.was_over.eq(now.taken & self.weights.payload.last),
            now.was_last.eq(now.ends),
            now.was_end.eq(now.ends & now.end),
        ]
        states = OneHot(m, ("REST", "HEADER", "CHECK", "BODY", "TAIL", "FAULT", "DROP"))
        at, go = states.at, states.go
        abort, over, end = self.abort_token, now.was_over, now.was_end
        fails, aborted, idle = Signal(), Signal(), Signal(name="was_idle")
        m.d.comb += [
            # an abort, an early end or a missing one
            fails.eq(
                at["HEADER"] & begun & (abort | over)
                | at["CHECK"] & abort & ~self.reject
                | at["BODY"] & (abort | over ^ end)
            ),
            aborted.eq(at["TAIL"] & abort & ~idle),
            kill.eq(fails | at["CHECK"] & self.reject),
            begin.eq(at["REST"] & idle),
            now.rests.eq(at["REST"]),
            now.walks.eq(at["BODY"]),
            checks.eq(at["CHECK"]),
            outside.eq(at["HEADER"] & ~begun | at["BODY"] & end | ~(at["HEADER"] | at["CHECK"] | at["BODY"])),
            walker.clear.eq(~now.walks),
        ]
        m.d.sync += [
            idle.eq(self.idle),
            begun.eq((~at["REST"] & begun) | now.taken),
            tail.eq(~at["REST"] & (tail | aborted)),
            walker.start.eq(at["CHECK"] & self.accept),
        ]
        with m.If(fails | aborted):
            m.d.sync += [self.fault.eq(1), self.fault_status.eq(Mux(over, Status.SHORT, Status.LONG))]
            with m.If(abort):
                m.d.sync += self.fault_status.eq(Status.ABORTED)
        # of the last packet's end the sequencer may know already
        answered = self.clear | tail & idle
        with m.If(at["FAULT"] & answered):
            m.d.sync += self.fault.eq(0)
        go("REST", "HEADER", idle)
        go("HEADER", "CHECK", now.was_last)
        go("CHECK", "BODY", self.accept)
        go("CHECK", "DROP", self.reject)
        go("BODY", "TAIL", end)
        go("TAIL", "REST", idle)
        go("TAIL", "FAULT", aborted)
        go("FAULT", "DROP", answered)
        go("DROP", "REST", ~now.drop)
        states.interrupt("FAULT", fails)
        states.build()

        # a cycle is accounted for when it is known what came of it
        was_outside, was_checks, was_fed, was_open, was_lacking = (
            Signal(name=f"was_{name}") for name in ("outside", "checks", "fed", "open", "lacking")
        )
        cycle = Signal(Cycle)
        m.d.sync += [
            was_outside.eq(outside),
            was_checks.eq(checks),
            was_fed.eq(now.fed),
            was_open.eq(self.weights.ready | now.offer),
            was_lacking.eq(now.lacks | ~(now.side | now.trits)),
            self.cycle.eq(cycle),
            self.busy.eq(cycle != Cycle.IDLE),
        ]
        with m.If(now.was_taken):
            m.d.comb += cycle.eq(Cycle.BEAT)
        with m.Elif(was_outside & idle):
            m.d.comb += cycle.eq(Cycle.IDLE)
        with m.Elif(was_fed):
            m.d.comb += cycle.eq(Cycle.REPEAT)
        with m.Elif(was_open):
            m.d.comb += cycle.eq(Cycle.STARVED)
        with m.Elif(was_outside):
            m.d.comb += cycle.eq(Cycle.RESULT)
        with m.Elif(was_checks | was_lacking):
            m.d.comb += cycle.eq(Cycle.DEPENDENCY)
        with m.Else():
            m.d.comb += cycle.eq(Cycle.DRAIN)
        for name in ("group", "matrix", "block"):
            m.d.sync += getattr(self, name).eq(delay(m, getattr(now, name), 1, f"was_{name}"))
