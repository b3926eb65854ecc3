# SPDX-License-Identifier: Apache-2.0
"""The stream front: walks the schedule and sorts the beats of a packet into side words and trits."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw import schedule as sc
from tritforge.hw.array.array import Feed
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import minus_one, plus_one
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group, Status
from tritforge.hw.stream.beat_decision import BeatDecision
from tritforge.hw.stream.header_reader import token_shape
from tritforge.hw.stream.side import SideBeats
from tritforge.hw.stream.walker import FLAGS, Walker, run_layout
from tritforge.hw.taps import Cycle


class PacketControl(wiring.Signature):
    """The course of a packet, seen from the sequencer.

    Attributes
    ----------
    idle : Out, lets a new packet in.
    accept, reject : Out, pulse, after the header.
    fault, fault_status : In, the packet ends early or late or was aborted: until ``clear`` (after the last beat: or
        until ``idle``).
    clear : Out, everything under way is abandoned.
    embed_block : In, pulse, a row block of the embedding is complete.
    drained : Out, pulse, with the last row group of a row block.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "idle": Out(1),
                "accept": Out(1),
                "reject": Out(1),
                "fault": In(1),
                "fault_status": In(sc.STATUS_BITS),
                "clear": Out(1),
                "embed_block": In(1),
                "drained": Out(1),
            }
        )


class CodeRead(wiring.Signature):
    """The front's way through the codes that go with its beats.

    Attributes
    ----------
    address : Out, of the codes for the beat that comes in this cycle.
    available : In, codes at addresses below it are there, or are `StreamFront.latency` cycles later.
    release : Out, pulse, with the last trit beat of a group: its codes are used up; ``available`` is 0 two cycles
        later.
    """

    def __init__(self, params: CoreParams) -> None:
        depth = params.store_positions
        super().__init__({"address": Out(range(depth)), "available": In(range(depth + 1)), "release": Out(1)})


class _State:
    """Of this cycle: the run of beats and its next beat, what may come and what comes, and of the cycle before it.

    run : that of the next beat. first, last, second : the beat is its run's first, last, last but one. context, final
    : whose turn it is, and that it is the last one's. offer : the array takes a beat. no_codes : it waits for codes.
    drop : beats are dropped. accepted, fed, ends, over : a beat is accepted, given to the array, its run's last, the
    packet's. wraps : its vector's. complete : the packet's last beat came before. between, in_body : the front is
    between two packets, in the body of one.
    """

    def __init__(self, params: CoreParams) -> None:
        self.run = Signal(run_layout(params), name="now")
        self.first, self.last, self.second = flags("first", "last", "second")
        self.context = Signal(params.context_bits)
        self.final = Signal()
        self.offer, self.no_codes, self.drop = flags("offer", "no_codes", "drop")
        self.between, self.in_body, self.complete = flags("between", "in_body", "complete")
        self.accepted, self.fed, self.ends, self.over, self.wraps = (
            Signal(name=name) for name in ("accepted", "fed", "ends", "over", "wraps")
        )
        self.accepted_d1, self.over_d1, self.ends_d1, self.end_d1 = flags(
            "accepted_d1", "over_d1", "ends_d1", "end_d1"
        )


class StreamFront(wiring.Component):
    """Accepts one beat a cycle whenever its destination can take it.

    The beats of a packet come in the order of the schedule, so what a beat is follows from counting: the walker looks
    runs of beats up, ahead of the stream, and the front takes the beats off. Of the next beat it asks only what may
    hold it up: are its activations quantised, are the rows before it drained, have the side words room? The answer is
    a register, so it is found a cycle before the beat. Here a row block of four beats (A), then gains (g) and trits
    (B) of the next one, whose last beat waits until A's rows are drained::

        cycle              0  1  2  3  4  5  6  7  8  9 10 11 12 13 ~ 33 34 35 36 37 38
        codes.available    1  2  3  4  4  4  4  4  4  4  4  4  4  4 ~  4  4  4  4  4  4
        codes.address      0  0  0  0  1  2  3  0  0  0  1  2  3  3 ~  3  3  3  3  0  0
        weights.tready     .  .  .  #  #  #  #  #  #  #  #  #  .  . ~  .  .  .  #  #  #
        a beat comes       .  .  . A0 A1 A2 A3  g  g B0 B1 B2  .  . ~  .  .  . B3  g  g
        feed.valid         .  .  .  . A0 A1 A2 A3  .  . B0 B1 B2  . ~  .  .  .  . B3  .
        side.put           .  .  .  .  .  .  .  .  #  #  .  .  .  . ~  .  .  .  .  .  #
        packet.drained     .  .  .  .  .  .  .  .  .  .  .  .  .  . ~  .  #  .  .  .  .

    Whether a beat may come is decided a cycle ahead and in registers, and what becomes of a beat leaves a cycle after
    it. Side beats go out to ``side``, while it has room. A trit beat is given to the array once for each context, by
    ``feed``; with its last context it is accepted. That needs the activations at ``codes.address``, which is a cycle
    ahead of ``feed``, to be quantised (below ``codes.available``) and, if the beat ends a row block, the block before
    it to be ``packet.drained``. Throughput: one feed a cycle.

    After the header the front waits for ``accept`` or ``reject``. A packet that ends early or late, or
    ``abort_token``, raises ``fault``; then, as after ``reject``, the front drops beats up to the packet's last.
    In a core with a link ``peer_failed`` does as an abort, and ``exchanges`` says that other cores are waited for.
    ``cycle`` says what the stream did, ``busy`` that it was something; with debug ports, ``group``, ``matrix`` and
    ``block`` say where it was.
    """

    latency = 3
    """Cycles from ``codes.available`` to the first beat that it lets in, at whose ``codes.address`` it is."""
    drained_latency = 2
    """The same from ``drained``."""
    opening = 4 + Walker.opening
    """Cycles from ``accept`` to the first beat of constants."""
    side_latency = 1
    """Cycles from the acceptance of a beat to its ``side_put`` and ``embed_block``."""

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        place = {"group": Out(Group), "matrix": Out(2), "block": Out(16)} if params.taps else {}
        super().__init__(
            {
                "weights": In(AxiStream(params.beat_bits)),
                "packet": In(PacketControl()),
                "shape": In(token_shape(params)),
                "side": Out(SideBeats(params)),
                "codes": Out(CodeRead(params)),
                "feed": Out(Feed(params)),
                "abort_token": In(1),
                **({"peer_failed": In(1), "exchanges": In(1)} if params.linked else {}),
                "busy": Out(1),
                "cycle": Out(Cycle),
                **place,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        weights = self.weights
        m.submodules.walker = walker = Walker(self._params)
        state = _State(self._params)
        run = state.run
        ahead = Signal.like(state.run)
        beat = Signal(self._params.beat_bits)
        kill, begin, popped, run_valid = flags("kill", "begin", "popped", "run_valid")
        m.submodules.beat_decision = decision = BeatDecision()
        loads, released = decision.loads, decision.released
        accepted, fed, ends, over = state.accepted, state.fed, state.ends, state.over
        header = sc.side_beats(self._params, sc.HEADER_WORDS)
        m.d.comb += [
            self.side.beat.eq(beat),
            self.feed.beat.eq(beat),
            decision.valid.eq(weights.tvalid),
            decision.ready.eq(weights.tready),
            decision.last.eq(state.last),
            decision.run_valid.eq(run.valid),
            # dropped beats are of no run
            decision.wrap.eq(run.wrap),
            decision.release.eq(run.release),
            accepted.eq(decision.accepted),
            ends.eq(decision.ends),
            state.wraps.eq(decision.wraps),
            fed.eq(state.offer & weights.tvalid),
            over.eq(accepted & weights.tlast),
            walker.shape.eq(self.shape),
            # what was popped stays for a cycle
            run_valid.eq(walker.run.valid & state.in_body & ~popped),
            walker.pop.eq(popped),
        ]
        self._decide(m, state, ahead, released)
        with m.If(accepted | ~run.valid):
            m.d.sync += [
                run.left.eq(Mux(loads, ahead.left, minus_one(run.left))),
                state.first.eq(loads),
                state.last.eq(Mux(loads, ahead.one, state.second)),
                state.second.eq(Mux(loads, ahead.two, run.left == 2)),
            ]
        with m.If(loads):
            m.d.sync += [run[name].eq(ahead[name]) for name in run.shape().members if name != "left"]
        m.d.sync += popped.eq((loads | ~ahead.valid) & run_valid)
        with m.If(loads | ~ahead.valid):
            m.d.sync += [ahead.eq(walker.run), *(ahead[name].eq(walker.run[name] & run_valid) for name in FLAGS)]
            # between packets there is nothing ahead, and the header comes as any other run
            with m.If(state.between):
                m.d.sync += [ahead.left.eq(header - 1), ahead.one.eq(header == 1), ahead.two.eq(header == 2)]
                m.d.sync += [ahead.valid.eq(begin), ahead.side.eq(begin)]
        m.d.sync += [
            beat.eq(weights.tdata),
            self.side.put.eq(accepted & run.side),
            self.feed.valid.eq(fed),
            self.feed.first.eq(state.first),
            self.feed.last.eq(state.last),
            self.feed.context.eq(state.context),
            self.feed.final_context.eq(state.final),
            self.packet.embed_block.eq(ends & run.embed),
            self.codes.release.eq(released),
            state.complete.eq(~state.between & (state.complete | over)),
        ]
        self._control(m, state, walker, kill, begin)
        with m.If(over):
            # nothing of the next packet before this one's end is understood
            m.d.sync += [state.drop.eq(0), run.valid.eq(0), run.side.eq(0), run.trits.eq(0)]
        with m.If(kill):
            m.d.sync += [weights.tready.eq(0), state.offer.eq(0), state.drop.eq(~(state.complete | over))]
            m.d.sync += [one[name].eq(0) for one in (run, ahead) for name in FLAGS]
        return m

    def _decide(self, m: Module, state: _State, ahead: data.View, released: Value) -> None:
        """What may come in the next cycle."""
        shape, weights, over, run = self.shape, self.weights, self.weights.tlast, state.run
        accepted, fed, last, room = state.accepted, state.fed, state.last, self.side.room
        batched = self._params.batch > 1

        # whether the activations of this cycle's address and the one after it are valid: as of a cycle ago, but a
        # vector begins anew only when it is whole
        # (the store is far away: what it gets is a counter of its own)
        position = [Signal.like(self.codes.address, name=f"address_{i}", reset_less=True) for i in range(3)]
        code_address = Signal.like(self.codes.address, reset_less=True)
        m.d.comb += self.codes.address.eq(code_address)
        codes_valid, next_codes_valid, whole, pending, release_d1 = flags(
            "codes_valid", "next_codes_valid", "whole", "pending", "release_d1"
        )
        wraps = state.wraps
        available = Signal.like(self.codes.available, name="available_d1")
        m.d.sync += [
            # nothing until what is available is of the next group
            release_d1.eq(self.codes.release),
            available.eq(
                self.codes.available & ~(released | self.codes.release | release_d1).replicate(len(available))
            ),
            whole.eq((whole | wraps) & ~released),
        ]
        below = [address < available for address in position]
        for valid, at in ((codes_valid, 0), (next_codes_valid, 1)):
            m.d.sync += valid.eq((Mux(fed, below[at + 1], below[at]) | whole | wraps) & ~released)
        counters = [(code_address, 0, plus_one(code_address)), (position[0], 0, position[1])]
        counters += [(position[1], 1, position[2]), (position[2], 2, plus_one(position[2]))]
        for address, first, next_address in counters:
            # no condition with it: the reset of a register far away
            with m.If(wraps):
                m.d.sync += address.eq(first)
            with m.Elif(fed | state.between):
                m.d.sync += address.eq(Mux(state.between, first, next_address))
        with m.If(state.between):
            m.d.sync += whole.eq(0)
        following_valid = next_codes_valid | (last & state.final & ~run.onward)

        # a row block's last beat waits until the rows before it are drained
        m.d.sync += pending.eq(((pending & ~self.packet.drained) | (state.ends & run.trits)) & ~state.between)
        another = ahead.trits & Mux(run.trits, following_valid, codes_valid) & ~(ahead.one & (pending | run.trits))
        following = run.trits & following_valid & ~(state.second & pending)
        repeated = run.trits & following_valid & ~(last & pending)
        same = run.trits & codes_valid & ~(last & pending)

        contexts = Signal.like(shape.contexts)
        next_final = Signal()
        if batched:
            m.d.sync += contexts.eq(minus_one(shape.contexts))
            m.d.comb += next_final.eq(
                Mux(fed, Mux(state.final, contexts == 0, state.context + 1 == contexts), state.final)
            )
            m.d.sync += state.final.eq(next_final)
            with m.If(fed):
                m.d.sync += state.context.eq(Mux(state.final, 0, plus_one(state.context)))
            with m.If(~run.trits):
                m.d.sync += [state.context.eq(0), state.final.eq(contexts == 0)]
        else:
            m.d.comb += [next_final.eq(1), state.final.eq(1), contexts.eq(0)]

        trits = Mux(last, another, following)
        side = Mux(last, ahead.side, run.side) & room
        unchanged = run.side & room | state.drop
        offer = Mux(accepted, ~over & trits, Mux(fed, repeated, same) if batched else same)
        m.d.sync += [
            state.offer.eq(offer),
            weights.tready.eq((offer & next_final) | Mux(accepted, ~over & (side | state.drop), unchanged)),
            state.no_codes.eq(run.trits & ~codes_valid),
        ]

    def _control(self, m: Module, state: _State, walker: Walker, kill: Signal, begin: Signal) -> None:
        """Header, body and end of a packet, a cycle behind its beats; and what the cycles are spent on."""
        started, tail_aborted, checks, outside = flags("started", "tail_aborted", "checks", "outside")
        m.d.sync += [
            state.accepted_d1.eq(state.accepted),
            state.over_d1.eq(state.over),
            state.ends_d1.eq(state.ends),
            state.end_d1.eq(state.ends & state.run.end),
        ]
        states = OneHot(m, ("REST", "HEADER", "CHECK", "BODY", "TAIL", "FAULT", "DROP"))
        at, go = states.at, states.go
        linked = self._params.linked
        abort, over, end = self.abort_token, state.over_d1, state.end_d1
        if linked:
            abort = abort | self.peer_failed
        fails, aborted = flags("fails", "aborted")
        idle = Signal(name="idle_d1")
        failed = Signal()
        reason = Signal.like(self.packet.fault_status)
        m.d.comb += [
            # an abort, an early end or a missing one
            fails.eq(
                (
                    at["HEADER"] & started & (abort | over)
                    | at["CHECK"] & abort & ~self.packet.reject
                    | at["BODY"] & (abort | over ^ end)
                    | aborted
                )
                & ~failed
            ),
            aborted.eq(at["TAIL"] & abort & ~idle),
            begin.eq(at["REST"] & idle),
            state.between.eq(at["REST"]),
            state.in_body.eq(at["BODY"]),
            checks.eq(at["CHECK"]),
            outside.eq(at["HEADER"] & ~started | at["BODY"] & end | ~(at["HEADER"] | at["CHECK"] | at["BODY"])),
            walker.clear.eq(~state.in_body),
        ]
        m.d.sync += [
            idle.eq(self.packet.idle),
            started.eq((~at["REST"] & started) | state.accepted),
            tail_aborted.eq(~at["REST"] & (tail_aborted | aborted)),
            walker.start.eq(at["CHECK"] & self.packet.accept),
            # that a packet ends before its time takes effect a cycle after it is known
            failed.eq(fails),
            kill.eq(fails | (at["CHECK"] & self.packet.reject)),
            reason.eq(Mux(over, Status.SHORT, Status.LONG)),
        ]
        with m.If(abort):
            m.d.sync += reason.eq(Mux(self.abort_token, Status.ABORTED, Status.PEER) if linked else Status.ABORTED)
        # of the last packet's end the sequencer may know already
        answered = self.packet.clear | tail_aborted & idle
        with m.If(at["FAULT"] & answered):
            m.d.sync += self.packet.fault.eq(0)
        with m.If(failed):
            m.d.sync += [self.packet.fault.eq(1), self.packet.fault_status.eq(reason)]
        go("REST", "HEADER", idle)
        go("HEADER", "CHECK", state.ends_d1)
        go("CHECK", "BODY", self.packet.accept)
        go("CHECK", "DROP", self.packet.reject)
        go("BODY", "TAIL", end)
        go("TAIL", "REST", idle)
        go("FAULT", "DROP", answered)
        go("DROP", "REST", ~(state.drop | kill))
        states.interrupt("FAULT", failed)
        states.build()

        # a cycle is accounted for when it is known what came of it
        outside_d1, checks_d1, fed_d1, ready_d1, no_codes_d1 = (
            Signal(name=f"{name}_d1") for name in ("outside", "checks", "fed", "ready", "no_codes")
        )
        cycle = Signal(Cycle)
        exchanges_d1 = delay(m, self.exchanges, 1, "exchanges") if linked else None
        m.d.sync += [
            outside_d1.eq(outside),
            checks_d1.eq(checks),
            fed_d1.eq(state.fed),
            ready_d1.eq(self.weights.tready | state.offer),
            no_codes_d1.eq(state.no_codes | ~state.run.valid),
            self.cycle.eq(cycle),
            self.busy.eq(cycle != Cycle.IDLE),
        ]
        with m.If(state.accepted_d1):
            m.d.comb += cycle.eq(Cycle.BEAT)
        with m.Elif(outside_d1 & idle):
            m.d.comb += cycle.eq(Cycle.IDLE)
        with m.Elif(fed_d1):
            m.d.comb += cycle.eq(Cycle.REPEAT)
        with m.Elif(ready_d1):
            m.d.comb += cycle.eq(Cycle.STARVED)
        if exchanges_d1 is not None:
            with m.Elif(exchanges_d1):
                m.d.comb += cycle.eq(Cycle.EXCHANGE)
        with m.Elif(outside_d1):
            m.d.comb += cycle.eq(Cycle.RESULT)
        with m.Elif(checks_d1 | no_codes_d1):
            m.d.comb += cycle.eq(Cycle.DEPENDENCY)
        with m.Else():
            m.d.comb += cycle.eq(Cycle.DRAIN)
        if self._params.taps:
            for name in ("group", "matrix", "block"):
                m.d.sync += getattr(self, name).eq(delay(m, state.run[name], 1, name))
