# SPDX-License-Identifier: Apache-2.0
"""The vector store: quantiser inputs as they are produced, codes as the array consumes them."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.codes.cursors import Placing, place
from tritforge.hw.codes.placed import phases, placed_layout
from tritforge.hw.codes.produced import Produced, Values
from tritforge.hw.codes.quantiser import Quantiser
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.floats import code_float
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.ram import Ram
from tritforge.hw.lib.width import minus_one, plus_one
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import Factors, ScaleUnit
from tritforge.hw.stream.front import CodeRead, StreamFront

ANNOUNCED = StreamFront.latency
"""Cycles from a position's count as available until its code is there: its reader takes as long to decide."""


@dataclass(frozen=True)
class _Source:
    """What a bank takes in one phase: a row's value, into the word at the cursor or the one after it."""

    phase: int
    row: int
    wraps: bool


class VectorStore(wiring.Component):
    """Keeps up to three vectors of each context as code floats and, when their factors are known, as codes.

    A code is a share of the largest value of its vector, which is known when the last value is. So values wait as
    floats; then they are quantised in the order in which the array asks for them, a word of ``columns`` codes a
    cycle, and the array follows close behind: it never waits for the vector, only for its next word. It is told of
    a word while that is still in the quantiser, as it takes that long to decide. Here a vector of four words::

        cycle              0  1 ~  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24
        produced.start     #  . ~  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
        factors.ready      .  . ~  .  #  #  #  #  #  #  #  #  #  #  #  #  #  #  #  #  #
        busy               .  . ~  .  #  #  #  #  .  .  .  .  .  .  .  .  .  .  .  .  .
        to the quantiser   .  . ~  .  .  .  .  .  0  1  2  3  .  .  .  .  .  .  .  .  .
        and from it        .  . ~  .  .  .  .  .  .  .  .  .  .  .  0  1  2  3  .  .  .
        reads.available    0  0 ~  0  0  0  0  0  0  0  0  0  1  2  3  4  4  4  4  4  4
        reads.address      .  . ~  .  .  .  .  .  .  .  .  .  .  .  .  0  1  2  3  .  .
        codes              .  . ~  .  .  .  .  .  .  .  .  .  .  .  .  .  .  0  1  2  3

    Both memories have ``params.columns`` values a word, so a word is what a beat of trits needs, and hold word w of
    vector k of context c at position ``k * span + w * contexts + c``: the array goes through the positions of a
    vector in order. A vector is written while its predecessor is read as codes only, so one buffer of each kind is
    enough.

    Writing: ``begin`` returns every context to element 0. Each valid cycle brings the next V = ``params.vector_rows``
    elements of vector ``which`` of ``context``; with ``three``, all of 0, 1, 2 in this order before the next V of
    any context. Rows are valid from row 0 on; invalid ones, past a vector's end, are not written. V elements may
    begin at any multiple of V, hence in any of columns / gcd(V, columns) *phases* of a word, and run on into the
    next word; there is one bank a column, so that they are still written in one cycle.

    Quantising: ``start`` sends ``vectors * quantise_span`` positions through the quantiser in order, one a cycle,
    while the factors are ``ready``. ``available`` counts the positions that can be read
    `ANNOUNCED` cycles later: it becomes 1 ``latency + 1`` cycles after ``start``, or ``latency`` after
    the factors are ``ready`` if that is later; the others follow one a cycle.

    Reading: ``codes`` follow ``address`` by ``read_latency`` cycles. ``release`` ends the use of the codes, when the
    last can be read and before the next ``start``; ``available`` is 0 two cycles later. ``clear`` abandons all that;
    it is held for ``latency + ANNOUNCED`` cycles or more, until the quantiser is empty.

    Parameters
    ----------
    params : geometry and formats.

    Attributes
    ----------
    latency : cycles from the factors' ``ready`` to ``available``.
    read_latency : cycles from ``address`` to ``codes``.
    depth : positions: three vectors of ``max_hidden`` or one of ``max_intermediate`` elements, a context.
    produced : In. values : In, with ``produced.three`` 0, 1, 2 in this order before the next V of any context.
    factors : Out, a cycle after their position is sent, from registers; ``ready`` may rise at any time from four
        cycles after the last value on, and then stays; it is low or stale until ``start``.
    reads : In, a position that can be read; ``codes`` : Out, ``params.act_bits`` a column.
    placed : In, of a linked core in place of ``values``: rows of all cores, in any order, `placed_layout`; written as
        early as they come, two cycles earlier than ``values``.
    quantising : Out, of a linked core: from the cycle behind ``start`` until the last position is sent.
    busy : Out, a position is sent.
    clear : In, see above.
    """

    latency = Ram.registered_latency + Quantiser.latency + 1 - ANNOUNCED
    read_latency = Ram.latency

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self.depth = params.store_positions
        self._quantiser = Quantiser(params)
        super().__init__(
            {
                "produced": In(Produced(params)),
                **(
                    {"placed": In(placed_layout(params)), "quantising": Out(1)}
                    if params.linked
                    else {"values": In(Values(params))}
                ),
                "factors": Out(Factors(params)),
                "reads": In(CodeRead(params)),
                "codes": Out(data.ArrayLayout(signed(params.act_bits), params.columns)),
                "busy": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.quantiser = self._quantiser
        value = code_float(self._params.formats)
        banks = [Ram(value, 1, self.depth, registered=True) for _ in range(self._params.columns)]
        for index, bank in enumerate(banks):
            m.submodules[f"vector_{index}"] = bank
        self._write_side(m, banks)
        self._ended = Signal(name="ended", init=1)
        m.d.sync += self._ended.eq(self.reads.release | self.clear)
        self._read_side(m, self._quantise_side(m, banks))
        return m

    def _write_side(self, m: Module, banks: list[Ram]) -> None:
        """What each bank takes of a row group that has its place."""
        params = self._params
        columns, rows = params.columns, params.vector_rows
        first_columns = phases(params)
        found = self._placing(m)
        current = delay(m, found.phase, 1, "phase", reset_less=True)
        writes = Signal(columns)
        for column, bank in enumerate(banks):
            row_of = [(column - first) % columns for first in first_columns]
            sources = [
                _Source(phase, row, wraps=column < first)
                for phase, (row, first) in enumerate(zip(row_of, first_columns, strict=True))
                if row < rows
            ]
            # no multiplexer, of which synthesis would make a reset
            writing = Cat((found.phase == source.phase) & found.valid[source.row] for source in sources)
            m.d.sync += writes[column].eq(writing.any())
            m.d.comb += bank.write.eq(writes[column])
            # nothing is selected where there is one source, as in every bank if V divides the columns
            with m.Switch(current):
                for source in sources:
                    with m.Default() if source is sources[-1] else m.Case(source.phase):
                        m.d.comb += [
                            bank.write_data[0].eq(found.values[source.row]),
                            bank.write_address.eq(found.next_word if source.wraps else found.word),
                        ]

    def _placing(self, m: Module) -> Placing:
        """Rows with their place: counted here, or, where they come from many cores, before."""
        if not self._params.linked:
            return place(m, self._params, self.produced, self.values)
        placed = self.placed
        values, word = (delay(m, placed[name], 1, name, reset_less=True) for name in ("floats", "word"))
        next_word = (
            delay(m, placed.next_word, 1, "next_word", reset_less=True)
            if "next_word" in dict(placed.shape())
            else word
        )
        return Placing(placed.valid, placed.phase, values, word, next_word)

    def _quantise_side(self, m: Module, banks: list[Ram]) -> Signal:
        """Walks the positions of a group's vectors through the quantiser, their factors beside them.

        The result says that a code is about to be there: `ANNOUNCED` cycles after the count of it.
        """
        params, quantiser, produced, factors = self._params, self._quantiser, self.produced, self.factors
        running, ends, one = flags("running", "ends", "one")
        left = Signal(range(self.depth + 1))
        # cleared by the reset by way of `ended`: it is far
        position = Signal(range(self.depth), reset_less=True)
        vector = Signal(2)
        vectors_left = Signal(2)
        last = Signal()
        context = Signal.like(factors.context)
        m.d.comb += [self.busy.eq(running & factors.ready), one.eq(produced.quantise_span == 1)]
        if params.linked:
            m.d.comb += self.quantising.eq(running)
        with m.If(self._ended):
            m.d.sync += position.eq(0)
        with m.Elif(self.busy):
            m.d.sync += position.eq(plus_one(position))
        with m.If(produced.start):
            m.d.sync += [vector.eq(0), vectors_left.eq(minus_one(produced.vectors)), last.eq(produced.vectors == 1)]
            m.d.sync += [left.eq(produced.quantise_span), ends.eq(one)]
        with m.Elif(self.busy):
            m.d.sync += [left.eq(minus_one(left)), ends.eq(left == 2)]
            with m.If(ends):
                m.d.sync += [left.eq(produced.quantise_span), ends.eq(one)]
                m.d.sync += [
                    vector.eq(plus_one(vector)),
                    vectors_left.eq(minus_one(vectors_left)),
                    last.eq(vectors_left == 1),
                ]
        m.d.sync += running.eq((produced.start | (running & ~(factors.ready & ends & last))) & ~self.clear)
        if params.batch > 1:
            with m.If(produced.start | (self.busy & (context == produced.contexts - 1))):
                m.d.sync += context.eq(0)
            with m.Elif(self.busy):
                m.d.sync += context.eq(plus_one(context))

        # values and factors meet that many cycles after their position
        assert Ram.registered_latency == 1 + ScaleUnit.factor_latency + 1
        reciprocal = Signal.like(factors.reciprocal, reset_less=True)
        e_max = Signal.like(factors.e_max, reset_less=True)
        m.d.sync += [
            factors.vector.eq(vector),
            factors.context.eq(context),
            reciprocal.eq(factors.reciprocal),
            e_max.eq(factors.e_max),
        ]
        for bank, element in zip(banks, quantiser.vector, strict=True):
            m.d.comb += [bank.read_address.eq(position), element.eq(bank.read_data[0])]
        m.d.comb += [
            quantiser.i_valid.eq(delay(m, self.busy, Ram.registered_latency, "entering")),
            quantiser.reciprocal.eq(reciprocal),
            quantiser.e_max.eq(e_max),
        ]
        return delay(m, self.busy, self.latency - 1, "announced")

    def _read_side(self, m: Module, announced: Signal) -> None:
        """The code memory and how much of it counts."""
        quantiser = self._quantiser
        position = Signal(range(self.depth), reset_less=True)
        available = Signal.like(self.reads.available, reset_less=True)
        m.submodules.codes = codes = Ram(unsigned(self._params.act_bits * self._params.columns), 1, self.depth)
        m.d.comb += [
            codes.write_address.eq(position),
            codes.write_data[0].eq(quantiser.codes),
            codes.write.eq(quantiser.o_valid),
            codes.read_address.eq(self.reads.address),
            self.codes.eq(codes.read_data[0]),
            self.reads.available.eq(available),
        ]
        for count, counts in ((available, announced), (position, quantiser.o_valid)):
            with m.If(self._ended):
                m.d.sync += count.eq(0)
            with m.Elif(counts):
                m.d.sync += count.eq(plus_one(count))
