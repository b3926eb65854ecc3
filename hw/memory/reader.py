# SPDX-License-Identifier: Apache-2.0
"""Replays runs of memory as a stream of beats."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tritforge.golden import TritforgeError
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.interfaces import AxiStream
from tritforge.hw.lib.width import minus_one, plus_one
from tritforge.hw.memory.port import MemoryPort
from tritforge.hw.memory.ring import BeatRing

BEATS_BITS = 23
"""Of a run's length: 128 MB in beats of 16 bytes."""


def run_layout(address_bits: int) -> data.StructLayout:
    """A run. address : of its first word. beats : 1 or more. last : its last beat ends the packet."""
    return data.StructLayout({"address": address_bits, "beats": BEATS_BITS, "last": 1})


class Reader(wiring.Component):
    """Reads runs of words and gives them as one stream; whatever is asked of the memory has room.

    A place of a ring of beats is reserved with each request (a credit) and free again when the beat has left the
    ring, so that answers never wait and the memory may be as late as it likes. One run is queued while another goes
    on: runs of two beats or more follow each other without a gap.

    The same place can be asked for again `turnaround` cycles beside the memory's own latency later. So that neither
    side ever waits for the other's sake, the ring must be `needed_depth` deep; less is right, but slower.

    Throughput: a request and a beat a cycle. Latency: a run's first request stands two cycles after the run is
    taken; a beat is given three cycles after its answer.

    Parameters
    ----------
    address_bits : of the memory, in words.
    bits : of a word, which is a beat: whole bytes.
    depth : most beats that are asked for and not yet on their way out.

    Attributes
    ----------
    turnaround : cycles that the reader adds to a memory's latency until a place is asked for again.
    runs : In, of `run_layout`, carried out in order.
    port : Out, the memory; it is only read. It answers a cycle after the request at the earliest.
    beats : Out, the words; a run's ``last`` gives the last of them TLAST.
    """

    turnaround = BeatRing.turnaround + 1
    """The place is free; the request for it stands."""

    def __init__(self, address_bits: int, bits: int, depth: int) -> None:
        if depth < 2:
            raise TritforgeError(f"A reader keeps 2 beats or more, not {depth}.")
        self._address_bits, self._bits, self._depth = address_bits, bits, depth
        super().__init__(
            {
                "runs": In(stream.Signature(run_layout(address_bits))),
                "port": Out(MemoryPort(address_bits, bits)),
                "beats": Out(AxiStream(bits)),
            }
        )

    @classmethod
    def needed_depth(cls, latency: int, gap: int = 0, interval: int = 1) -> int:
        """Beats of the ring with which a memory and the stream behind it do not wait for each other.

        The place of a beat is in use from its request to the cycle in which its next request can stand: ``latency``
        and `turnaround`, and ``gap`` more where the beat waits, or the memory does. In this time the faster side
        would use a place each ``interval`` cycles::

            depth = ceil((latency + turnaround + gap) / interval)

        An SDRAM with a beat each 8 cycles, answered 16 cycles after its request, needs 3; with a core that is not
        ready for up to 200 cycles, 28; a memory with a beat each cycle and 26 cycles of latency needs 29.

        Parameters
        ----------
        latency
            Cycles from a request that is taken to its answer.
        gap
            Longest pause that is to be bridged: of the stream, in which the memory shall go on; or of the memory, as
            for a refresh, in which the stream shall, if it is the slower side.
        interval
            Cycles between two beats of the side that shall not wait.
        """
        return max(2, -(-(latency + cls.turnaround + gap) // interval))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ring = ring = BeatRing(self._bits, self._depth)
        runs, request = self.runs, self.port.request
        queued = Signal(run_layout(self._address_bits), reset_less=True)
        run = Signal(run_layout(self._address_bits), reset_less=True)
        is_queued, running, final = flags("is_queued", "running", "final")
        taken, ends, begins, goes_on = flags("taken", "ends", "begins", "goes_on")
        m.d.comb += [
            runs.ready.eq(~is_queued),
            taken.eq(request.valid & request.ready),
            ends.eq(taken & final),
            begins.eq(is_queued & (~running | ends)),
            goes_on.eq(begins | running & ~ends),
            request.payload.address.eq(run.address),
        ]
        m.d.sync += [
            is_queued.eq(Mux(is_queued, ~begins, runs.valid)),
            running.eq(goes_on),
            # what is not taken stays valid: its place is still free
            request.valid.eq(goes_on & ((ring.free > 1) | (ring.free == 1) & ~taken)),
        ]
        with m.If(~is_queued):
            m.d.sync += queued.eq(runs.payload)
        # ``beats`` counts those that are not taken, ``final`` says that it is one
        with m.If(begins):
            m.d.sync += [run.eq(queued), final.eq(queued.beats == 1)]
        with m.Elif(taken):
            m.d.sync += [
                run.address.eq(plus_one(run.address)),
                run.beats.eq(minus_one(run.beats)),
                final.eq(run.beats == 2),
            ]
        # whether a beat is the last, from its request to its answer
        places = 1 << (self._depth - 1).bit_length()
        m.submodules.lasts = lasts = Memory(
            shape=unsigned(1), depth=places, init=[], attrs={"ram_style": "distributed", "no_rw_check": 1}
        )
        write, read = lasts.write_port(), lasts.read_port(domain="comb")
        ask_at = Signal(range(places))
        answer_at = Signal(range(places))
        with m.If(taken):
            m.d.sync += ask_at.eq(plus_one(ask_at))
        with m.If(self.port.answer_valid):
            m.d.sync += answer_at.eq(plus_one(answer_at))
        m.d.comb += [
            write.addr.eq(ask_at),
            write.data.eq(run.last & final),
            write.en.eq(taken),
            read.addr.eq(answer_at),
            ring.taken.eq(taken),
            ring.answer_valid.eq(self.port.answer_valid),
            ring.answer.eq(self.port.answer),
            ring.last.eq(read.data),
        ]
        wiring.connect(m, ring.beats, wiring.flipped(self.beats))
        return m
