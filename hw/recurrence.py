# SPDX-License-Identifier: Apache-2.0
"""The MLGRU state: h += c * (silu(i) - h), one row group a cycle."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.numerics import DECAY_FRAC
from hw.ops import RECURRENCE_CYCLES, delay
from hw.params import CoreParams


class Recurrence(wiring.Component):
    """Keeps the state of all slots and layers, V = ``core.vector_rows`` values a word, and updates it word by word.

    ``update`` reads a word; ``decay`` (c) and ``candidate`` (silu(i)) belong to it and are taken one cycle later.
    ``h``, the new state, is valid ``latency`` cycles after ``update`` and is written back then, in the lanes of
    ``update``; so an update of the same word may follow latency + 1 cycles later. Throughput one word a cycle.

    While nothing is updated the host reaches single values: ``read_data`` follows ``address`` by one cycle.

    Parameters
    ----------
    core : limits, lanes and widths.

    Attributes
    ----------
    latency : cycles from ``update`` to ``h``.
    words : of the memory.
    update : In, mask of lanes. word : In, which. zero : In, the old state reads as zero.
    decay : In, for each lane, unsigned with 17 fraction bits. candidate : In, wide.
    h : Out, wide, for each lane.
    host : In, the memory belongs to the host. address : In, number of a value: word ``address // V``, lane
        ``address % V``. write, write_data : In. read_data : Out.
    """

    latency = RECURRENCE_CYCLES

    def __init__(self, core: CoreParams) -> None:
        self._lanes = lanes = core.vector_rows
        self._wide = wide = signed(core.formats.wide_bits)
        self.words = core.batch * core.max_layers * core.max_hidden // lanes
        super().__init__(
            {
                "update": In(lanes),
                "word": In(range(self.words)),
                "zero": In(1),
                "decay": In(data.ArrayLayout(DECAY_FRAC, lanes)),
                "candidate": In(data.ArrayLayout(wide, lanes)),
                "h": Out(data.ArrayLayout(wide, lanes)),
                "host": In(1),
                "address": In(range(self.words * lanes)),
                "write": In(1),
                "write_data": In(wide),
                "read_data": Out(wide),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = data.ArrayLayout(self._wide, self._lanes)
        m.submodules.memory = memory = Memory(shape=shape, depth=self.words, init=[])
        read, write = memory.read_port(), memory.write_port(granularity=1)
        written = delay(m, Cat(self.update, self.word), self.latency, "written")
        zero = delay(m, self.zero, 1, "zero")
        m.d.comb += [
            read.en.eq(1),
            read.addr.eq(self.word),
            write.en.eq(written[: self._lanes]),
            write.addr.eq(written[self._lanes :]),
            write.data.eq(self.h),
        ]

        bits = (self._lanes - 1).bit_length()
        lane, host_word = self.address[:bits], self.address[bits:]
        with m.If(self.host):
            m.d.comb += [read.addr.eq(host_word), write.addr.eq(host_word)]
            m.d.comb += write.en.eq(self.write << lane)
            m.d.comb += [value.eq(self.write_data) for value in write.data]
        m.d.comb += self.read_data.eq(Array(read.data)[delay(m, lane, 1, "lane")])

        for index in range(self._lanes):
            old = Signal(self._wide, name=f"old_{index}")
            m.d.comb += old.eq(Mux(zero, 0, read.data[index]))
            m.d.sync += self.h[index].eq(self._step(m, old, self.decay[index], self.candidate[index], index))
        return m

    def _step(self, m: Module, old: Signal, decay: Signal, candidate: Signal, index: int):
        """The new state, three cycles after its operands."""
        width = self._wide.width
        difference = Signal(signed(width + 1), name=f"difference_{index}")
        factor = Signal(signed(DECAY_FRAC + 1), name=f"factor_{index}")
        # modulo 2**width is enough: the new state is a wide value
        product = Signal(signed(width + DECAY_FRAC), name=f"product_{index}")
        m.d.sync += [
            difference.eq(candidate - old),
            factor.eq(decay),
            product.eq(difference * factor),
        ]
        product = delay(m, product, 1, f"product_{index}")
        kept = delay(m, old, 3, f"kept_{index}")
        # a convex combination of two wide values: no saturation
        return kept + ((product + (1 << (DECAY_FRAC - 1))) >> DECAY_FRAC)
