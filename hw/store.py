# SPDX-License-Identifier: Apache-2.0
"""The vector store: quantiser inputs as they are produced, codes as the array consumes them."""

from amaranth.hdl import Array, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.floats import code_float
from hw.ops import delay
from hw.params import CoreParams
from hw.quantiser import Quantiser


class VectorStore(wiring.Component):
    """Keeps up to three vectors as code floats and, once their largest magnitudes are known, as int8 codes.

    Both memories have ``core.columns`` values a word, so a word is what a beat of trits needs. Vector k of a group
    starts at word k * ``stride``. ``begin`` returns writing to element 0; ``value`` of vector ``which`` is the
    next element's (vectors of one element in order; ``three`` tells how many there are). ``start`` quantises
    ``vectors`` x ``stride`` words, one a cycle, vector k as soon as ``reciprocal_ready[k]``; ``available`` counts
    the words that can be read. ``codes`` follow ``address`` by one cycle. ``release`` ends the use of the codes.

    A vector is written while its predecessor is read as codes only, so one buffer of each kind is enough.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        fmt = core.formats
        self.depth = max(3 * core.beats(core.max_hidden), core.beats(core.max_intermediate))
        self._quantiser = Quantiser(core)
        super().__init__(
            {
                "begin": In(1),
                "three": In(1),
                "write_stride": In(range(self.depth + 1)),
                "value_valid": In(1),
                "which": In(2),
                "value": In(code_float(fmt)),
                "start": In(1),
                "vectors": In(2),
                "stride": In(range(self.depth + 1)),
                "reciprocal": In(data.ArrayLayout(unsigned(fmt.mantissa), 3)),
                "e_max": In(data.ArrayLayout(unsigned(6), 3)),
                "reciprocal_ready": In(3),
                "address": In(range(self.depth)),
                "available": Out(range(self.depth + 1)),
                "codes": Out(data.ArrayLayout(signed(8), core.columns)),
                "release": In(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.quantiser = self._quantiser
        vector = self._write_side(m)
        self._quantise_side(m, vector)
        return m

    def _write_side(self, m: Module):
        """Banks of code floats, one a column; returns their read ports."""
        core = self._core
        column, word = Signal(range(core.columns)), Signal(range(self.depth))
        address = Signal(range(self.depth))
        stride = self.write_stride
        offsets = Array([0, stride, (stride << 1)[: len(address)]])
        m.d.comb += address.eq(word + offsets[self.which])
        element_ends = self.value_valid & ((self.which == 2) | ~self.three)
        with m.If(self.begin):
            m.d.sync += [column.eq(0), word.eq(0)]
        with m.Elif(element_ends):
            m.d.sync += column.eq(column + 1)
            with m.If(column == core.columns - 1):
                m.d.sync += [column.eq(0), word.eq(word + 1)]
        reads = []
        for index in range(core.columns):
            bank = Memory(shape=code_float(core.formats), depth=self.depth, init=[])
            m.submodules[f"vector_{index}"] = bank
            write = bank.write_port()
            m.d.comb += [
                write.addr.eq(address),
                write.data.eq(self.value),
                write.en.eq(self.value_valid & (column == index)),
            ]
            reads.append(bank.read_port())
        return reads

    def _quantise_side(self, m: Module, reads) -> None:
        """Walks the words of a group's vectors through the quantiser into the code memory."""
        core, quantiser = self._core, self._quantiser
        running, vector = Signal(), Signal(2)
        word, address = Signal(range(self.depth + 1)), Signal(range(self.depth))
        go = Signal()
        m.d.comb += go.eq(running & self.reciprocal_ready.bit_select(vector, 1))
        with m.If(self.start):
            m.d.sync += [running.eq(1), vector.eq(0), word.eq(0), address.eq(0)]
        with m.Elif(go):
            m.d.sync += [word.eq(word + 1), address.eq(address + 1)]
            with m.If(word == self.stride - 1):
                m.d.sync += [word.eq(0), vector.eq(vector + 1)]
                with m.If(vector == self.vectors - 1):
                    m.d.sync += running.eq(0)
        with m.If(self.clear):
            m.d.sync += running.eq(0)

        for index, read in enumerate(reads):
            m.d.comb += [read.addr.eq(address), read.en.eq(1), quantiser.vector[index].eq(read.data)]
        selected = delay(m, vector, 1, "selected")
        m.d.comb += [
            quantiser.i_valid.eq(delay(m, go, 1, "go")),
            quantiser.reciprocal.eq(Array(self.reciprocal[k] for k in range(3))[selected]),
            quantiser.e_max.eq(Array(self.e_max[k] for k in range(3))[selected]),
        ]
        codes = Memory(shape=unsigned(8 * core.columns), depth=self.depth, init=[])
        m.submodules.codes = codes
        write, read = codes.write_port(), codes.read_port()
        m.d.comb += [
            write.addr.eq(self.available),
            write.data.eq(quantiser.codes),
            write.en.eq(quantiser.o_valid),
            read.addr.eq(self.address),
            read.en.eq(1),
            self.codes.eq(read.data),
        ]
        with m.If(self.release | self.clear):
            m.d.sync += self.available.eq(0)
        with m.Elif(quantiser.o_valid):
            m.d.sync += self.available.eq(self.available + 1)
