# SPDX-License-Identifier: Apache-2.0
"""Side words: the part of the weight stream that is not trits, readable at random until it is released."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.hw import schedule as sc
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut
from tritforge.hw.params import WORD_BITS, CoreParams

UNDER_WAY = 4
"""Beats that may still come after ``room`` has fallen."""


def most_kinds(params: CoreParams) -> int:
    """Side words of a row in the group with the most, EMBED: an x of each context and its gain words."""
    return params.batch + sc.gain_words(sc.Group.EMBED, last_layer=False)


def units(params: CoreParams) -> int:
    """Groups of V words that can be addressed: a row block's side words with the most kinds, or the header."""
    return max(most_kinds(params) * params.row_groups, -(-sc.HEADER_WORDS // params.vector_rows))


def release_limit(params: CoreParams) -> int:
    """Most beats released at once: the side words of a row block, or the header."""
    return max(most_kinds(params) * params.gain_beats, sc.side_beats(params, sc.HEADER_WORDS))


def depth(params: CoreParams) -> int:
    """Beats of the ring: room for two row blocks of the kind with the most side words, whatever is under way."""
    return 1 << (max(16, 2 * params.gain_beats * most_kinds(params) + UNDER_WAY - 1) - 1).bit_length()


class SideBeats(wiring.Signature):
    """Beats for the ring of side words, seen from their giver.

    Attributes
    ----------
    put, beat : Out, a beat is stored; only if ``room`` was high two cycles ago.
    room : In, a register: while it is high the ring, as of a cycle before, has room for `UNDER_WAY` more beats, so
        that the giver may decide two cycles ahead.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__({"put": Out(1), "beat": Out(unsigned(params.beat_bits)), "room": In(1, init=1)})


class SideRead(wiring.Signature):
    """Side words at random, seen from their reader.

    Attributes
    ----------
    address : Out, number of a group of V words below ``units(core)``, taken with this cycle's base; it must lie in
        the beats that are there.
    words : In, the group's 32 bit words, `SideWords.latency` cycles later.
    release : Out, the base moves on by so many beats from the next cycle on, at most by those that are there.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__(
            {
                "address": Out(range(units(params))),
                "words": In(data.ArrayLayout(unsigned(WORD_BITS), params.vector_rows)),
                "release": Out(range(release_limit(params) + 1)),
            }
        )


class SideWords(wiring.Component):
    """A ring of beats, read V = ``params.vector_rows`` words at a time, anywhere from its base on.

    Words count from the base, the oldest beat that is not released; a group of V of them never crosses a beat. The
    ring has room for two row blocks of the kind with the most side words, so that the next block's gains never wait
    for this block's rows. A beat is readable from the cycle in which ``level`` counts it.

    Throughput: one beat in, V words out a cycle.

    Parameters
    ----------
    params : geometry.

    Attributes
    ----------
    latency : cycles from ``address`` to ``words``.
    depth : beats of the ring, a power of two.
    beats : In, what is stored. read : In, its reader's.
    level : Out, beats stored from the base on, 0 to ``depth``; what is released counts for a cycle more.
    clear : In, empties the ring; a beat that is put in the same cycle is lost too.
    """

    latency = 5
    """Place in the ring, memory, its output register, two for the choice among the beat's words."""
    level_latency = 1
    """Cycles from ``put`` to ``level``."""

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self.depth = depth(params)
        super().__init__(
            {
                "beats": In(SideBeats(params)),
                "read": In(SideRead(params)),
                "level": Out(range(self.depth + 1)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ring = ring = Memory(
            shape=unsigned(self._params.beat_bits),
            depth=self.depth,
            init=[],
            attrs={"ram_style": "block", "no_rw_check": 1},
        )
        write = ring.write_port()
        read = ring.read_port()
        beats, reader = self.beats, self.read
        base = Signal(range(self.depth))
        end = Signal(range(self.depth))
        # the blocks are far away; a beat is read two cycles after ``level`` counts it at the earliest
        m.d.comb += [
            write.addr.eq(delay(m, end, 1, "written", reset_less=True)),
            write.data.eq(delay(m, beats.beat, 1, "written_beat", reset_less=True)),
            write.en.eq(delay(m, beats.put, 1, "was_put")),
        ]
        released = Signal.like(reader.release)
        m.d.sync += [
            # a ring, whose depth is a power of two
            end.eq(cut(end + beats.put, end)),
            base.eq(cut(base + reader.release, base)),
            released.eq(reader.release),
            self.level.eq(cut(self.level + beats.put - released, self.level)),
            beats.room.eq(self.level <= self.depth - UNDER_WAY),
        ]
        with m.If(self.clear):
            m.d.sync += [end.eq(0), base.eq(0), self.level.eq(0), released.eq(0)]

        # both lengths are powers of two: the address' low bits choose within a beat
        bits, width = (
            (self._params.beat_words // self._params.vector_rows - 1).bit_length(),
            WORD_BITS * self._params.vector_rows,
        )
        select = delay(m, reader.address[:bits], 3, "select", reset_less=True)
        # the lower or the upper half first, far from the blocks; then the words in it
        upper = select[-1] if bits else Const(0)
        rest = delay(m, select[:-1], 1, "select_in_half", reset_less=True)
        held = Signal(self._params.beat_bits, reset_less=True)
        half = Signal(width << max(0, bits - 1), reset_less=True)
        m.d.sync += [
            read.addr.eq(cut(base + reader.address[bits:], read.addr)),
            held.eq(read.data),
            half.eq(held.word_select(upper, len(half))),
            reader.words.as_value().eq(half.word_select(rest, width)),
        ]
        m.d.comb += read.en.eq(1)
        return m


def shared_read(
    m: Module, sequencer: wiring.PureInterface, reading: Value, vector: wiring.PureInterface
) -> wiring.PureInterface:
    """One `SideRead` of two: the sequencer's while it is ``reading``, which is when the vector path is empty.

    The sequencer is far away: what it gives comes a cycle later, and its words with it.
    """
    read = vector.signature.create(path=("side_read",))
    reading = delay(m, reading, 1, "reading")
    m.d.comb += [
        read.address.eq(Mux(reading, delay(m, sequencer.address, 1, "read_address"), vector.address)),
        read.release.eq(delay(m, sequencer.release, 1, "read_release") | vector.release),
        sequencer.words.eq(read.words),
        vector.words.eq(read.words),
    ]
    return read
