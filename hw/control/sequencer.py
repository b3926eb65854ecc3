# SPDX-License-Identifier: Apache-2.0
"""The sequencer: walks the schedule on the drain side and issues output rows to the vector path."""

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.hw import schedule as sc
from tritforge.hw.array.array import Drain, array_latency
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.control.dependency import GroupCourse
from tritforge.hw.control.result import HeadRows, PacketEnd
from tritforge.hw.control.rows import Rows
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.link.course import RingCourse
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleSelect, ScaleWords
from tritforge.hw.schedule import Group, Status
from tritforge.hw.stream.front import PacketControl
from tritforge.hw.stream.header_reader import HeaderCheck, token_shape
from tritforge.hw.stream.side import SideRead, SideWords, depth
from tritforge.hw.vector.gain import GroupConstants
from tritforge.hw.vector.path import RowIssue


def settle_cycles(params: CoreParams) -> int:
    """Cycles after which nothing of a faulted token is under way in the array or the quantiser; a few to spare."""
    return max(array_latency(params), VectorStore.latency) + 4


_STATES = (
    *("IDLE", "HEADER", "CHECK", "CONSTANTS", "ARRIVE", "TURN", "TURNED", "WAIT", "ROWS"),
    *("LEAVE", "LEFT", "DEPEND", "SETTLE", "END", "FINISH", "RESULT"),
)
_CONDITIONS = ("was_empty", "was_buffered", "was_scaled", "beats_wait")


class Sequencer(wiring.Component):
    """Runs one packet at a time: header, then group by group constants, rows and the dependency behind them.

    The front says what may come in; the sequencer says what may go on. It follows the same schedule behind the array,
    a row block at a time: when the sums are there, and whatever their rows need besides, it issues row group after
    row group, as fast as the gain stage takes them, and nothing behind it ever waits. After the last row of a group
    it waits until the vector path is empty and says so: that is the dependency. Here the last row block of a group
    (two row groups, two slots each), the dependency, and the constants of the next group::

        cycle              0  1  2  3  4  5  6  7 ~ 27 28 29 30 31 ~ 38 39 ~ 44 45 46
        state              w  w  r  r  r  l  l  d ~  d  d  d  c  c ~  c  a ~  a  a  w
        array.loaded       #  .  .  .  .  .  .  . ~  .  .  .  .  . ~  .  . ~  .  .  .
        rows.tag.valid     .  .  .  #  .  #  .  . ~  .  .  .  .  . ~  .  . ~  .  .  .
        array.drain        .  .  .  #  .  #  .  . ~  .  .  .  .  . ~  .  . ~  .  .  .
        packet.drained     .  .  .  .  .  #  .  . ~  .  .  .  .  . ~  .  . ~  .  .  .
        rows.empty         .  .  .  .  .  .  .  . ~  .  #  #  #  # ~  #  # ~  #  #  #
        course.dependency  .  .  .  .  .  .  .  . ~  .  .  .  #  . ~  .  . ~  .  .  .
        reading            .  .  .  .  .  .  .  . ~  .  .  .  .  # ~  #  . ~  .  .  .
        scale_words.valid  #  #  #  #  #  #  #  # ~  #  #  #  .  . ~  .  . ~  .  #  #
        course.begin       .  .  .  .  .  .  .  . ~  .  .  .  .  . ~  .  . ~  .  .  #

    (w WAIT, r ROWS, l LEAVE and LEFT, d DEPEND, c CONSTANTS, a ARRIVE.)

    A group's row groups are issued when the array has ``loaded`` their block and its scales are ready (EMBED: when
    ``packet.embed_block`` has been counted), context after context. After a group's last row group, once the vector
    path is ``empty``, ``course.dependency`` pulses: the statistics are final, scales and codes of the next group can
    be computed. Constants are read while that happens. In a core with a link the rows that others need leave while
    the ``ring`` has room for them, and a group is over when it is on all cores (``joined``), as is the packet (END);
    ``exchanges`` says that one of these is waited for. All that the sequencer gives is a register; what goes with a
    row group, ``array.drain`` and the scale's place among it, comes together with ``rows`` or ``head``.

    A bad header is rejected; that or a ``packet.fault`` ends the packet: everything settles under ``packet.clear``,
    then ``result.finish`` sends the status. ``header.torn`` is the mask of slots whose state is not that of a token
    boundary; ``restored`` clears it.

    ``side.address`` with ``reading`` reads header and constants from the side words, ``level`` beats of which are
    there; the answer ``header.word`` comes ``read_latency`` cycles later, with ``header.pop`` where it belongs to the
    header. With debug ports in mind: ``rows_active``, ``rows_context``, ``group``, ``matrix`` and ``block`` say where
    the rows are.
    """

    reaction = 3
    """Cycles from ``loaded`` or ``buffered`` to the first row group that waited for it."""
    conclusion = 2
    """Cycles from ``empty`` to ``dependency``."""
    read_latency = 1 + SideWords.latency
    """Cycles from ``address`` to ``word``: a register on the way to the side words."""
    opening = 3
    """Cycles from a packet's first beat in ``level`` to the first ``address`` of the header, or later: `fetch`."""
    fetch = 2
    """Cycles from ``level``, when it counts all of a segment, to the first ``address`` of its words."""
    verdict = 1
    """Cycles from ``header_done`` to ``accept``."""
    beginning = 4
    """Cycles from ``word``, the last of the constants, to the first row group that waited for it."""
    embed_reaction = 4
    """Cycles from ``embed_block`` to the first row group that waited for it."""
    ending = 1
    """Cycles from the last row group of the head to ``finish``."""

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self._count = Signal(range(sc.HEADER_WORDS), name="count")
        super().__init__(
            {
                "side": Out(SideRead(params)),
                "level": In(range(depth(params) + 1)),
                "reading": Out(1),
                "header": Out(HeaderCheck(params)),
                "shape": In(token_shape(params)),
                "packet": Out(PacketControl()),
                "restored": In(1),
                "array": Out(Drain(params)),
                "scale": Out(ScaleSelect(params)),
                "rows": Out(RowIssue(params)),
                "head": Out(HeadRows(params)),
                "course": Out(GroupCourse()),
                "constants": Out(GroupConstants()),
                "scale_words": Out(ScaleWords()),
                "result": Out(PacketEnd()),
                "rows_active": Out(1),
                "rows_context": Out(params.context_bits),
                "group": Out(Group),
                "matrix": Out(2),
                "block": Out(16),
                **({"ring": Out(RingCourse()), "exchanges": Out(1)} if params.linked else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, last_settle = self.shape, settle_cycles(self._params) - 1
        linked = self._params.linked
        m.submodules.walk = walk = Rows(self._params)
        for name in ("rows", "head", "array", "scale"):
            connect(m, getattr(walk, name), flipped(getattr(self, name)))

        # what the surroundings say, a cycle later
        empty, buffered, scaled, beats_wait = (Signal(name=name) for name in _CONDITIONS)
        loaded, accepted = flags("loaded", "accepted")
        embed_blocks = Signal(8)
        waited = Signal(range(last_settle + 1))
        settled, embed_taken, embed_waits, torn = flags("settled", "embed_taken", "embed_waits", "torn")
        working, stops = flags("working", "stops")
        m.d.sync += [
            empty.eq(self.rows.empty),
            buffered.eq(self.rows.buffered),
            scaled.eq(self.scale.ready),
            beats_wait.eq(self.level != 0),
            # as many at most as the side words have room for
            embed_blocks.eq(cut(embed_blocks + self.packet.embed_block - embed_taken, embed_blocks)),
            embed_waits.eq(embed_blocks != 0),
            torn.eq(0),
        ]
        m.d.sync += [self.packet.accept.eq(0), self.packet.reject.eq(0)]
        m.d.comb += self.result.begin.eq(self.packet.accept)

        group_over, embed_ready, end = empty, embed_waits, "FINISH"
        if linked:
            # the cores come to the end of a group and of the packet together
            group_over, embed_ready, end = self.ring.joined, embed_waits & self.ring.room, "END"
        read = self._reader(m)
        states = OneHot(m, [name for name in _STATES if linked or name != "END"])
        at, go = states.at, states.go
        over = at["END"] | at["FINISH"] if linked else at["FINISH"]
        m.d.comb += [
            self.packet.idle.eq(at["IDLE"]),
            self.header.clear.eq(at["IDLE"]),
            self.packet.clear.eq(at["SETTLE"]),
            self.rows_active.eq(at["ROWS"]),
            stops.eq(self.packet.fault & working & ~(at["SETTLE"] | over)),
        ]
        # at the end a cycle late
        m.d.sync += working.eq(~(at["IDLE"] & ~beats_wait | at["SETTLE"] | over | at["RESULT"]))

        go("IDLE", "HEADER", beats_wait)
        with m.If(at["IDLE"]):
            m.d.sync += [self.result.status.eq(Status.OK), accepted.eq(0)]
        go("HEADER", "CHECK", read(at["HEADER"], sc.HEADER_WORDS))
        good, checked = self.header.status == Status.OK, at["CHECK"] & self.header.done & ~self.packet.fault
        go("CHECK", "CONSTANTS", self.header.done & good)
        go("CHECK", "SETTLE", self.header.done & ~good)
        with m.If(checked & good):
            m.d.sync += [
                self.packet.accept.eq(1),
                accepted.eq(1),
                self.header.torn.eq(self.header.torn & ~shape.used),
            ]
        with m.If(checked & ~good):
            m.d.sync += [self.packet.reject.eq(1), self.result.status.eq(self.header.status)]
        go("CONSTANTS", "ARRIVE", read(at["CONSTANTS"], sc.CONSTANT_WORDS))
        go("ARRIVE", "WAIT", self.scale_words.valid)
        begin = Signal()
        m.d.sync += begin.eq(at["ARRIVE"] & self.scale_words.valid)
        m.d.comb += [self.course.begin.eq(begin), self.constants.begin.eq(begin)]
        # the position and what follows from it settle
        go("TURN", "TURNED")
        go("TURNED", "WAIT")
        rows_ready = loaded & scaled & (buffered | ~walk.needs_buffers)
        if linked:
            # the head's rows go to nobody
            rows_ready = rows_ready & (self.ring.room | walk.of_head)
        go("WAIT", "ROWS", Mux(walk.embed, embed_ready, rows_ready))
        m.d.comb += [
            embed_taken.eq(at["WAIT"] & walk.embed & embed_ready),
            walk.shape.eq(shape),
            walk.clear.eq(at["IDLE"]),
            walk.active.eq(at["ROWS"]),
            walk.next_group.eq(at["DEPEND"] & group_over),
            self.packet.drained.eq(walk.drained),
            self.course.next_three.eq(walk.next_three),
            self.course.next_inner.eq(walk.next_inner),
            self.group.eq(walk.group),
            self.matrix.eq(walk.matrix),
            self.block.eq(walk.block),
            self.rows_context.eq(walk.context),
        ]
        go("ROWS", "TURN", walk.ends & ~walk.ends_group)
        go("ROWS", "LEAVE", walk.ends & walk.ends_group & ~walk.of_head)
        go("ROWS", end, walk.ends & walk.ends_group & walk.of_head)
        m.d.sync += loaded.eq((loaded | self.array.loaded) & ~(walk.ends | at["SETTLE"]))
        # the last row group reaches the vector path
        go("LEAVE", "LEFT")
        go("LEFT", "DEPEND")
        go("DEPEND", "CONSTANTS", group_over)
        m.d.sync += self.course.dependency.eq(walk.next_group)
        with m.If(walk.next_group | at["SETTLE"] | at["FINISH"]):
            m.d.sync += self.scale_words.valid.eq(0)

        # a fault ends the packet wherever it is; once accepted, it may have changed the state
        states.interrupt("SETTLE", stops)
        with m.If(stops):
            m.d.sync += [self.result.status.eq(self.packet.fault_status), torn.eq(accepted)]
        with m.If(torn):
            m.d.sync += self.header.torn.eq(self.header.torn | shape.used)
        with m.If(at["SETTLE"]):
            m.d.sync += embed_blocks.eq(0)
            with m.If(~settled):
                m.d.sync += [waited.eq(plus_one(waited)), settled.eq(waited == last_settle)]
            with m.Elif(empty):
                m.d.sync += [waited.eq(0), settled.eq(0)]
        go("SETTLE", end, settled & empty)
        if linked:
            self._end(m, at, go, empty, accepted, torn, walk.of_head)
        go("FINISH", "RESULT")
        m.d.sync += self.result.finish.eq(at["FINISH"])
        go("RESULT", "IDLE", self.result.done)
        states.build()
        with m.If(at["SETTLE"]):
            m.d.sync += [self.reading.eq(0), self._count.eq(0)]

        with m.If(self.restored):
            m.d.sync += self.header.torn.eq(0)
        return m

    def _end(
        self,
        m: Module,
        at: dict[str, Signal],
        go: Callable[[str, str, Value], None],
        empty: Signal,
        accepted: Signal,
        torn: Signal,
        of_head: Value,
    ) -> None:
        """What the other cores hear of the course; and that of a token which fails on one of them no core gives a
        result."""
        ring, failed = self.ring, Signal()
        m.d.sync += failed.eq((failed | at["SETTLE"]) & ~at["IDLE"])
        m.d.comb += [
            ring.idle.eq(at["IDLE"]),
            ring.begin.eq(self.course.begin),
            ring.of_head.eq(of_head),
            ring.finished.eq(at["DEPEND"] & empty),
            ring.ended.eq(at["END"]),
            ring.failed.eq(failed),
        ]
        # a row block waits for room, a group or the packet for other cores
        waits = at["WAIT"] & ~ring.room & ~of_head | ring.finished & ~ring.joined | at["END"] & ~ring.over
        m.d.sync += self.exchanges.eq(waits)
        go("END", "FINISH", ring.over)
        with m.If(at["END"] & ring.over & ring.peer_failed & (self.result.status == Status.OK)):
            m.d.sync += [self.result.status.eq(Status.PEER), torn.eq(accepted)]

    def _reader(self, m: Module) -> Callable[[Value, int], Value]:
        """Header words to the reader, constants to registers; the result reads a whole segment in a state and says
        when it is done."""
        params = self._params
        lane_bits = params.vector_rows.bit_length() - 1
        count = self._count
        reading = self.reading
        constant = Signal()
        # a cycle before the word comes it is known where it belongs
        before = delay(m, count, self.read_latency - 1, "count")
        kept = delay(m, reading & constant, self.read_latency - 1, "kept")
        lane, place = delay(m, before[:lane_bits], 1, "count_lane"), Signal(sc.CONSTANT_WORDS, name="constant_place")
        m.d.sync += place.eq(Mux(kept, 1 << before[:3], 0))
        constants = [Signal(32, name=f"constant_{i}", reset_less=True) for i in range(sc.CONSTANT_WORDS)]
        arrived = {
            words: delay(m, self.level >= sc.side_beats(params, words), 1, f"arrived_{words}")
            for words in (sc.HEADER_WORDS, sc.CONSTANT_WORDS)
        }
        m.d.comb += [
            self.side.address.eq(count[lane_bits:]),
            self.header.word.eq(self.side.words[lane] if lane_bits else self.side.words[0]),
            self.header.pop.eq(delay(m, reading & ~constant, self.read_latency, "popped")),
            self.constants.kappa.eq(constants[3][: len(self.constants.kappa)]),
            self.constants.bias.eq(Cat(constants[4], constants[5])),
        ]
        for index in range(3):
            m.d.comb += self.scale_words.word[index].eq(constants[index])
        for here, word in zip(place, constants, strict=True):
            with m.If(here):
                m.d.sync += word.eq(self.header.word)
        with m.If(place[-1]):
            m.d.sync += self.scale_words.valid.eq(1)
        m.d.sync += self.side.release.eq(0)

        def read(at: Value, words: int) -> Value:
            done = Signal(name=f"read_{words}")
            m.d.comb += done.eq(reading & (count == words - 1))
            with m.If(at):
                m.d.sync += [
                    constant.eq(words == sc.CONSTANT_WORDS),
                    reading.eq(Mux(reading, ~done, arrived[words])),
                    self.side.release.eq(Mux(done, sc.side_beats(params, words), 0)),
                ]
                with m.If(reading):
                    m.d.sync += count.eq(Mux(done, 0, plus_one(count)))
            return done

        return read
