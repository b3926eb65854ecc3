# SPDX-License-Identifier: Apache-2.0
"""Replays runs of a memory behind AXI4 as a stream of beats."""

from typing import ClassVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.lib.one_hot import OneHot
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.memory.axi4 import CACHE, INCREMENTING, WIDTHS, Axi4Read
from tritforge.hw.memory.reader import BEATS_BITS, run_layout
from tritforge.hw.memory.ring import BeatRing

PAGE = 4096
"""Bytes; no burst goes over the end of such a block."""
LONGEST = 256
"""Beats of a burst."""
MOST_OUTSTANDING = 16


class AxiReader(wiring.Component):
    """Reads runs of words in bursts and gives them as one stream; whatever is asked for has room.

    Memory is cut into blocks of a longest burst, which lie within 4 KB: a run is a burst in each block that it
    touches. A burst is asked for once all its places of the ring are free, so ``rready`` is always high. The next run
    is taken when the last burst of the one before is asked for. All have one ID, so that they are answered in order.

    A burst takes `CYCLES` cycles to be asked for and a run two more; where bursts are longer, it is a beat a cycle,
    provided that there are `needed_depth` places and `needed_outstanding` bursts.

    A word that comes with an error goes on like any other, so that the packet ends as it should, and ``error`` tells
    of it from then on. Nothing behind it notices, least of all the core, which knows no checksum of weights: whoever
    gives the runs has to look at ``error`` before a result counts, and stop.

    Parameters
    ----------
    address_bits : of the memory, in words.
    bits : of a word, which is a beat: one of `WIDTHS`.
    depth : most beats that are asked for and not yet on their way out.
    outstanding : most bursts that are not answered, 1 to `MOST_OUTSTANDING`.
    burst : beats of the longest, a power of two; less if 4 KB are fewer.
    id_bits : of the IDs, which are 0.

    Attributes
    ----------
    burst : beats of the longest burst.
    turnaround : cycles that the reader adds to a memory's latency until a place is asked for again.
    runs : In, of `run_layout`, carried out in order.
    axi : Out, the memory.
    beats : Out, the words; a run's ``last`` gives the last of them TLAST.
    error : Out, a read was answered SLVERR or DECERR; until reset.
    """

    CYCLES: ClassVar = 4
    """States of a burst, see below."""
    turnaround = BeatRing.turnaround + 2
    """The place is free; that the burst fits is known; the request stands."""

    def __init__(
        self,
        address_bits: int,
        bits: int,
        depth: int,
        outstanding: int = 4,
        burst: int = LONGEST,
        id_bits: int = 1,
    ) -> None:
        if bits not in WIDTHS:
            raise TritforgeError(f"A word of an AXI memory has {', '.join(map(str, WIDTHS))} bits, not {bits}.")
        if not 2 <= burst <= LONGEST or burst & (burst - 1):
            raise TritforgeError(f"The longest burst has 2, 4, 8 and so on to {LONGEST} beats, not {burst}.")
        if not 1 <= outstanding <= MOST_OUTSTANDING:
            raise TritforgeError(f"1 to {MOST_OUTSTANDING} bursts are outstanding, not {outstanding}.")
        self.burst = min(burst, PAGE * 8 // bits)
        if depth < self.burst:
            raise TritforgeError(f"A reader keeps a burst of {self.burst} beats or more, not {depth}.")
        self._address_bits, self._bits, self._depth, self._outstanding = address_bits, bits, depth, outstanding
        self._byte_bits = (bits // 8 - 1).bit_length()
        super().__init__(
            {
                "runs": In(stream.Signature(run_layout(address_bits))),
                "axi": Out(Axi4Read(address_bits + self._byte_bits, bits, id_bits)),
                "beats": Out(AxiStream(bits)),
                "error": Out(1),
            }
        )

    @classmethod
    def needed_depth(cls, latency: int, burst: int, gap: int = 0, interval: int = 1) -> int:
        """Beats of the ring with which a memory and the stream behind it do not wait for each other.

        As `Reader.needed_depth`, but all places of a burst must be free at once::

            depth = burst - 1 + ceil((latency + turnaround + gap) / interval)

        Parameters
        ----------
        latency
            Cycles from a request that is taken to its first word.
        burst
            Beats of the longest burst.
        gap
            Longest pause of the stream in which the memory shall go on, or the other way round.
        interval
            Cycles between two beats of the side that shall not wait.
        """
        return burst - 1 - (-(latency + cls.turnaround + gap) // interval)

    @classmethod
    def needed_outstanding(cls, latency: int, burst: int, interval: int = 1) -> int:
        """Bursts under way with which the next is asked for early enough, three cycles after an answered one's end.

        Parameters as of `needed_depth`::

            outstanding = 1 + ceil((latency + 3 - interval) / (burst * interval))
        """
        return 1 - (-(latency + 3 - interval) // (burst * interval))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ring = ring = BeatRing(self._bits, self._depth, self.burst)
        axi, run = self.axi, self.runs.payload
        bits = (self.burst - 1).bit_length()
        # the block of the next burst, the first of its words that is wanted, and the run's last, from the block on
        block = Signal(self._address_bits - bits, reset_less=True)
        first = Signal(bits, reset_less=True)
        end = Signal(BEATS_BITS + 1, reset_less=True)
        last = Signal(reset_less=True)
        length = Signal(bits, reset_less=True)  # less one, as in ``arlen``
        more, fits, room, asks, answered = flags("more", "fits", "room", "asks", "answered")

        states = OneHot(m, ("RUN", "END", "LOOK", "CUT", "FIT", "ASK"))
        states.go("RUN", "END", self.runs.valid)
        states.go("END", "LOOK")
        states.go("LOOK", "CUT")
        states.go("CUT", "FIT")
        states.go("FIT", "ASK")
        states.go("ASK", "LOOK", asks & more)
        states.go("ASK", "RUN", asks & ~more)
        states.build()
        m.d.comb += [
            self.runs.ready.eq(states.at["RUN"]),
            asks.eq(states.at["ASK"] & fits & room & ~axi.arvalid),
        ]
        with m.If(states.at["RUN"]):
            m.d.sync += [
                Cat(first, block).eq(run.address),
                end.eq(minus_one(run.beats)),
                last.eq(run.last),
            ]
        with m.If(states.at["END"]):
            # 23 bits and a block
            m.d.sync += end.eq(cut(end + first, end))
        with m.If(states.at["LOOK"]):
            m.d.sync += more.eq(end[bits:].any())
        with m.If(states.at["CUT"]):
            # the end is not before the first
            m.d.sync += length.eq(cut(Mux(more, self.burst - 1, end[:bits]) - first, length))
        taken = Signal.like(ring.taken)
        m.d.sync += [
            fits.eq(ring.free > length),
            # a cycle late, long before another burst is measured
            taken.eq(Mux(asks, length + 1, 0)),
        ]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(asks):
            m.d.sync += [
                axi.arvalid.eq(1),
                axi.araddr.eq(Cat(Const(0, self._byte_bits), first, block)),
                axi.arlen.eq(length),
                first.eq(0),
                block.eq(plus_one(block)),
                end[bits:].eq(minus_one(end[bits:])),
            ]
        m.d.comb += [
            axi.arsize.eq(self._byte_bits),
            axi.arburst.eq(INCREMENTING),
            axi.arcache.eq(CACHE),
            *(getattr(axi, name).eq(0) for name in ("arid", "arlock", "arprot")),
            axi.rready.eq(1),
            answered.eq(axi.rvalid & axi.rlast),
            ring.taken.eq(taken),
            ring.answer_valid.eq(axi.rvalid),
            ring.answer.eq(axi.rdata),
        ]
        # of each burst, whether it is a packet's last, until it is answered
        m.submodules.lasts = lasts = Memory(
            shape=unsigned(1), depth=MOST_OUTSTANDING, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = lasts.write_port(), lasts.read_port(domain="comb")
        ask_at = Signal(range(MOST_OUTSTANDING))
        answer_at = Signal(range(MOST_OUTSTANDING))
        waiting = Signal(range(self._outstanding + 1))
        m.d.comb += [
            write.addr.eq(ask_at),
            write.data.eq(last & ~more),
            write.en.eq(asks),
            read.addr.eq(answer_at),
            ring.last.eq(axi.rlast & read.data),
        ]
        with m.If(asks):
            m.d.sync += ask_at.eq(plus_one(ask_at))
        with m.If(answered):
            m.d.sync += answer_at.eq(plus_one(answer_at))
        m.d.sync += [
            # so many at most
            waiting.eq(cut(waiting + asks - answered, waiting)),
            room.eq(waiting != self._outstanding),
        ]
        with m.If(axi.rvalid & axi.rresp[1]):
            m.d.sync += self.error.eq(1)
        wiring.connect(m, ring.beats, wiring.flipped(self.beats))
        return m
