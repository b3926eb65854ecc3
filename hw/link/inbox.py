# SPDX-License-Identifier: Apache-2.0
"""What a core hears of the others, joined with what it has itself: rows, sums of squares, candidates."""

from typing import NamedTuple

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.codes.placed import placed_layout
from tritforge.hw.codes.produced import Values
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.link.course import RingCourse
from tritforge.hw.link.message import (
    PART_BITS,
    TOKEN_BITS,
    Kind,
    end_layout,
    message_layout,
    sum_layout,
    sums,
)
from tritforge.hw.params import CORE_BITS, CoreParams
from tritforge.hw.scales.root import TOTAL_BITS
from tritforge.hw.vector.statistics import maximum_latency

_SAID = (sum_layout, end_layout)
BEGUN = 4
"""Cycles from a group's ``begin`` until its statistics have begun anew, and one to spare."""
HEARD = data.StructLayout({"index": CORE_BITS, "valid": 1})
"""Of the core before this one."""


class _Left(NamedTuple):
    """none : all other cores have said all, for a cycle at least. last_came : so they have, for the first cycle.
    none_next : ``none`` of the next cycle. final : one has not, so that its last message is the last of all."""

    none: Signal
    none_next: Signal
    last_came: Value
    final: Value


class Inbox(wiring.Component):
    """Takes messages while they are of the group that this core is in, so that who is ahead waits in the ring.

    Rows of other cores go to the vector store between this core's own, which never wait. When the sums of all
    have come, nothing is taken until this core has quantised the group's vectors and begun the next. Statistics join
    when this core's are final, too. A token is over when all cores have ended it; where one has failed, messages are
    dropped until then.

    Throughput: a message a cycle but for END, one in three. Latency: 2 cycles from a row to ``placed``; beside one of
    this core's a row waits.

    Parameters
    ----------
    params : of a linked core.

    Attributes
    ----------
    others : In, number of other cores.
    here : In, messages.
    course : In, of the sequencer; ``room`` is the outbox's and only passed on.
    room, summed, told : In, of the outbox.
    quantising : In, the vector store's values are still read.
    rows : In, this core's, `placed_layout`. placed : Out, all rows, for the vector store. counted : Out, the same for
        the maxima.
    adds, added : In, parts of this core's sums. totals : Out, the sums of all cores, of each
        context.
    offers, offered : In, this core's candidates. taken : Out, one is.
    winners : Out, the token of each context, final with ``course.over``.
    heard : Out.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self._settles = maximum_latency(params) + 4
        super().__init__(
            {
                "others": In(CORE_BITS),
                "here": In(stream.Signature(message_layout(params))),
                "course": In(RingCourse()),
                "room": In(1),
                "summed": In(1),
                "told": In(1),
                "quantising": In(1),
                "rows": In(placed_layout(params)),
                "placed": Out(placed_layout(params)),
                "counted": Out(Values(params)),
                "totals": Out(data.ArrayLayout(data.ArrayLayout(TOTAL_BITS, sums(params)), params.batch)),
                "adds": In(1),
                "added": In(sum_layout(params)),
                "offers": In(1),
                "offered": In(end_layout(params)),
                "taken": Out(1),
                "winners": Out(data.ArrayLayout(TOKEN_BITS, params.batch)),
                "heard": Out(HEARD),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        course, here = self.course, self.here
        of_rows, of_sum, of_end, of_hello = flags("of_rows", "of_sum", "of_end", "of_hello")
        begun, opens, drops, current, takes, counts = flags("begun", "opens", "drops", "current", "takes", "counts")
        rows_ready, end_ready, can_take, has_rows = flags("rows_ready", "end_ready", "can_take", "has_rows")
        kind, body = here.payload.kind, here.payload.body
        said_sum, said_end = (layout(self._params)(body[: layout(self._params).size]) for layout in _SAID)
        m.d.comb += [
            of_rows.eq(kind == Kind.ROWS),
            of_sum.eq(kind == Kind.SUM),
            of_end.eq(kind == Kind.END),
            of_hello.eq(kind == Kind.HELLO),
            can_take.eq(Mux(of_rows, rows_ready, Mux(of_sum, ~self.adds, end_ready))),
            here.ready.eq(of_hello | current & (drops | opens & can_take)),
            takes.eq(here.valid & here.ready),
            counts.eq(takes & ~course.failed),
            course.room.eq(self.room),
        ]
        with m.If(takes & of_hello):
            m.d.sync += [self.heard.index.eq(body[:CORE_BITS]), self.heard.valid.eq(1)]

        # who has said all of the group, and of the token
        last_sum, last_end = counts & of_sum & said_sum.last, takes & of_end & said_end.last
        sums_left = self._left(m, "sum", course.begin, last_sum)
        ends_left = self._left(m, "end", course.idle, last_end)
        complete, ended = sums_left.none | sums_left.last_came, ends_left.none | ends_left.last_came
        over = course.idle | course.joined
        m.d.sync += [
            begun.eq((begun | delay(m, course.begin, BEGUN, "begin")) & ~over),
            # what has ended for all is over: the message behind it is of the next group or token
            opens.eq(begun & ~self.quantising & ~over & ~sums_left.none_next & ~ends_left.none_next),
            drops.eq(course.failed & ~course.idle & ~ends_left.none_next),
        ]
        # not in the cycle behind the last of all, when it is not counted yet
        m.d.sync += current.eq(~(last_sum & sums_left.final | last_end & ends_left.final))

        # a core that speaks of another part of the token has another packet
        astray = Mux(course.of_head, of_rows | of_sum, of_end)
        failed = delay(m, counts & (astray & ~of_hello | of_end & said_end.failed), 1, "one_failed")
        m.d.sync += course.peer_failed.eq((course.peer_failed | failed) & ~course.idle)

        rows = placed_layout(self._params)(body[: placed_layout(self._params).size])
        # beside one of this core's a row would find a place at most, and go no sooner
        m.d.comb += rows_ready.eq(~self.rows.valid[0])
        self._merge(m, counts & of_rows, rows, has_rows)
        self._join(m, counts & of_sum, said_sum, complete & ~has_rows)
        busy = self._compare(m, counts & of_end & ~said_end.failed, said_end)
        m.d.comb += [end_ready.eq(~self.offers & ~busy), self.taken.eq(self.offers & ~busy)]
        quiet = Signal(3)
        m.d.sync += [
            quiet.eq(Cat(self.told & ended & ~busy, quiet[:-1])),
            course.over.eq(quiet.all() & self.told & ended & ~busy),
        ]
        return m

    def _left(self, m: Module, name: str, begins: Value, arrives: Value) -> "_Left":
        """How many cores have not said all. The last message of one sets a register, and the countdown follows: it
        comes too late in the cycle for more."""
        left = Signal(CORE_BITS, name=f"without_{name}")
        none, one = Signal(name=f"no_{name}_left", init=1), Signal(name=f"one_{name}_left")
        none_next = Signal(name=f"no_{name}_left_next")
        came = delay(m, arrives, 1, f"last_{name}")
        m.d.comb += none_next.eq(Mux(begins, self.others == 0, Mux(came, one, none)))
        m.d.sync += none.eq(none_next)
        with m.If(begins):
            m.d.sync += [left.eq(self.others), one.eq(self.others == 1)]
        with m.Elif(came):
            m.d.sync += [left.eq(minus_one(left)), one.eq(left == 2)]
        return _Left(none, none_next, one & came, Mux(came, left == 2, one))

    def _merge(self, m: Module, arrives: Value, rows: data.View, has_rows: Signal) -> None:
        """This core's rows as they come, those of others between them."""
        held = Signal.like(rows, name="arrived", reset_less=True)
        own, placed = self.rows, self.placed
        valid = Signal.like(own.valid)
        m.d.comb += valid.eq(own.valid | held.valid & (has_rows & ~own.valid[0]).replicate(len(valid)))
        m.d.sync += [
            has_rows.eq(arrives | has_rows & own.valid[0]),
            placed.eq(Mux(own.valid[0], own, held)),
            placed.valid.eq(valid),
        ]
        # whatever it is: `has_rows` says whether it counts
        with m.If(~own.valid[0]):
            m.d.sync += held.eq(rows)
        m.d.comb += [getattr(self.counted, name).eq(placed[name]) for name in ("valid", "which", "context", "floats")]

    def _join(self, m: Module, arrives: Value, said: data.View, complete: Value) -> None:
        """Sums of all cores, this one's among them."""
        params, course = self._params, self.course
        adds = arrives | self.adds
        one = Signal.like(said, name="one_sum")
        value = delay(m, one.value, 1, "said_value", reset_less=True)
        m.d.comb += one.eq(Mux(self.adds, self.added, said))
        context = delay(m, one.context, 1, "said_context", reset_less=True)
        number = delay(m, one.part[1:], 1, "said_number", reset_less=True)
        halves = [
            delay(m, adds & (one.part[0] == at), 1, f"said_{name}") for at, name in enumerate(("lower", "upper"))
        ]
        for index in range(params.batch):
            for which, total in enumerate(self.totals[index]):
                chosen = (context == index if params.batch > 1 else 1) & (number == which if sums(params) > 1 else 1)
                now, then = (half & chosen for half in halves)
                m.d.comb += total.eq(self._add_up(m, f"_{index}_{which}", value, now, then))
        waited = Signal(range(self._settles + 1))
        m.d.sync += course.joined.eq(self.summed & course.finished & complete & (waited == self._settles))
        with m.If(~(self.summed & complete)):
            m.d.sync += waited.eq(0)
        with m.Elif(waited != self._settles):
            m.d.sync += waited.eq(plus_one(waited))

    def _add_up(self, m: Module, name: str, value: Value, now: Value, then: Value) -> Value:
        """A sum in halves, the upper a cycle later; it begins with the group."""
        lower, upper = (Signal(PART_BITS, name=f"{half}{name}", reset_less=True) for half in ("lower", "upper"))
        carry = Signal(name=f"carries{name}", reset_less=True)
        late = delay(m, value, 1, f"late{name}", reset_less=True)
        later = delay(m, then, 1, f"later{name}", reset_less=True)
        m.d.sync += [
            Cat(lower, carry).eq(lower + (value & now.replicate(PART_BITS))),
            # a sum over all rows has 64 bits
            upper.eq(cut(upper + (late & later.replicate(PART_BITS)) + carry, upper)),
        ]
        with m.If(self.course.begin):
            m.d.sync += [lower.eq(0), carry.eq(0), upper.eq(0)]
        return Cat(lower, upper)

    def _compare(self, m: Module, arrives: Value, said: data.View) -> Signal:
        """The best candidate of each context: the largest accumulator, of equal ones the lowest token. The result
        says that one is being compared."""
        params = self._params
        one = Signal(end_layout(params), name="candidate", reset_less=True)
        stage = Signal(2, name="comparing")
        seen = Signal(params.batch)
        key_bits = TOKEN_BITS + params.acc_bits
        best = Array(Signal(signed(key_bits), name=f"best_{index}", reset_less=True) for index in range(params.batch))
        key, above = Signal(signed(key_bits)), Signal(reset_less=True)
        difference = Signal(signed(key_bits + 1))
        loads = Signal()
        m.d.comb += [
            loads.eq(self.taken | arrives),
            # the lower token is the better one
            key.eq(Cat(~one.token, one.acc).as_signed()),
            difference.eq(best[one.context] - key),
        ]
        m.d.sync += [
            stage.eq(Cat(loads, stage[0])),
            above.eq(difference[-1] | ~seen.bit_select(one.context, 1)),
        ]
        # whatever it is: `stage` says whether it counts
        with m.If(~stage.any()):
            m.d.sync += one.eq(Mux(self.offers, self.offered, said))
        with m.If(stage[1] & above):
            m.d.sync += [best[one.context].eq(key), seen.bit_select(one.context, 1).eq(1)]
        with m.If(self.course.idle):
            m.d.sync += seen.eq(0)
        for index in range(params.batch):
            m.d.comb += self.winners[index].eq(~best[index][:TOKEN_BITS])
        busy = Signal(name="comparing_any")
        m.d.comb += busy.eq(stage.any())
        return busy
