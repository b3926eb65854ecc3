# SPDX-License-Identifier: Apache-2.0
"""Ternary array: the rows of a row block side by side, and the drain of their sums."""

from functools import reduce
from operator import or_
from typing import ClassVar

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from tritforge.hw.array.accumulator import Accumulator, accumulator_latency
from tritforge.hw.array.element import Element, element_latency, stage
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.params import BYTE, CoreParams

GROUP_ROWS = 8
"""Elements that share one copy of the operand registers."""
ANNOUNCED = 3
"""Cycles by which ``loaded`` precedes the block: its reader takes as long to begin."""


def add_latency(params: CoreParams) -> int:
    """Cycles from a beat to its addition to the accumulators."""
    return element_latency(params)


def array_latency(params: CoreParams) -> int:
    """`TernaryArray.latency`: cycles from a row block's last beat and context to its sums in the shadows."""
    return add_latency(params) + accumulator_latency(params)


class OperandCopy(wiring.Component):
    """Operand registers of a group of elements; a module of its own, or synthesis would merge them again.

    Attributes
    ----------
    source : In, an operand a column.
    operands : Out, one cycle later.
    """

    rtl_attributes: ClassVar = {"keep_hierarchy": 1}

    def __init__(self, params: CoreParams) -> None:
        layout = ArrayLayout(signed(params.act_bits), params.columns)
        super().__init__({"source": In(layout), "operands": Out(layout)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operands = Signal.like(self.operands, reset_less=True)
        m.d.sync += operands.eq(self.source)
        m.d.comb += self.operands.eq(operands)
        return m


class Feed(wiring.Signature):
    """Beats of trits for the array, each once for each context of the packet, context 0 first.

    Attributes
    ----------
    valid : Out, qualifies the others.
    first, last : Out, the beat begins or ends a row block, or both; the same for all contexts of a beat.
    context : Out, whose turn it is; 0 if ``params.batch`` is 1.
    final_context : Out, the context is the packet's last.
    beat : Out, ``lanes`` bytes of ``params.code``; a register.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "first": Out(1),
                "last": Out(1),
                "context": Out(params.context_bits),
                "final_context": Out(1),
                "beat": Out(params.beat_bits),
            }
        )


class Drain(wiring.Signature):
    """The order in which row groups leave the array, seen from the sequencer.

    Attributes
    ----------
    loaded : In, for one cycle: `ANNOUNCED` cycles later row group 0 of context 0 of a new block is next.
    drain : Out, the group after it is next from the next cycle on.
    reload : Out, with ``drain``: row group 0 of ``next_context`` is instead. In any order, as often as wanted;
        ignored if ``params.batch`` is 1.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__(
            {"loaded": In(1), "drain": Out(1), "reload": Out(1), "next_context": Out(params.context_bits)}
        )


class TernaryArray(wiring.Component):
    """``params.rows`` processing elements on one beat of weights and ``params.columns`` activations a cycle.

    Byte r * element_bytes + k of a beat holds the trits of row r for columns nk to nk + n - 1, n being the trits of
    a byte. A beat comes once for each context of the packet, context 0 first, with that context's activations. When a
    row block's last beat is in for all of them, row group 0 of context 0 is next: rows 0 to V - 1, V being
    ``params.vector_rows``.

    Throughput: one beat and context a cycle; they may have gaps, and a block may follow another at once. The issuer
    sees to it that all rows of a block have been read, ``latency - 1`` cycles after context 0's last beat of the
    next block at the latest. A block begun and not finished is forgotten at the next ``first``, which may come with
    another number of contexts.

    Parameters
    ----------
    params : geometry.

    Attributes
    ----------
    latency : cycles from the feed's ``valid & last & final_context`` until row group 0 of context 0 is next; one more
        if ``params.batch`` > 1.
    feed : In, with ``activations`` in the same cycle: signed ``params.act_bits`` a column, also registers.
    rows : In, the order of the drain.
    acc : Out, V x signed ``params.acc_bits``: the rows of the group that was next a cycle ago.
    """

    def __init__(self, params: CoreParams) -> None:
        self.params = params
        super().__init__(
            {
                "feed": In(Feed(params)),
                "activations": In(ArrayLayout(signed(params.act_bits), params.columns)),
                "rows": In(Drain(params)),
                "acc": Out(ArrayLayout(signed(params.acc_bits), params.vector_rows)),
            }
        )
        self._elements = [Element(params) for _ in range(params.rows)]
        self._accumulators = [Accumulator(params) for _ in range(params.rows)]
        self._add_latency = add_latency(params)
        self.latency = array_latency(params)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params = self.params
        operands = self._operands(m)
        for r, element in enumerate(self._elements):
            m.submodules[f"row_{r}"] = element
            if r % GROUP_ROWS == 0:
                m.submodules[f"operands_{r // GROUP_ROWS}"] = copy = OperandCopy(params)
                m.d.comb += copy.source.eq(operands)
            m.d.comb += [
                element.data.eq(self.feed.beat.word_select(r, BYTE * params.element_bytes)),
                element.operands.eq(copy.operands),
            ]
        self._accumulate(m)
        return m

    def _operands(self, m: Module) -> Value:
        """The activations, each delayed for the stage that takes it, one cycle early for the copies."""
        params = self.params
        return Cat(
            delay(m, activation, stage(params, column), f"activation_{column}", reset_less=True)
            for column, activation in enumerate(self.activations)
        )

    def _accumulate(self, m: Module) -> None:
        """Carry the beat's flags along the pipeline to the accumulators, and select from these."""
        params, add_latency = self.params, self._add_latency
        add = delay(m, self.feed.valid, add_latency, "add")
        clear = delay(m, self.feed.valid & self.feed.first, add_latency - 1, "clear")
        last = delay(m, self.feed.valid & self.feed.last, add_latency, "last")
        context = delay(m, self.feed.context, add_latency, "context")
        ends = self.feed.valid & self.feed.last & self.feed.final_context
        m.d.comb += self.rows.loaded.eq(delay(m, ends, self.latency - ANNOUNCED, "announced"))
        finished = delay(m, self.rows.loaded, ANNOUNCED - 1, "finished")
        load = Signal()
        load_context = Signal.like(self.rows.next_context)
        m.d.comb += [
            load.eq(finished | (self.rows.drain & self.rows.reload if params.batch > 1 else 0)),
            load_context.eq(Mux(finished, 0, self.rows.next_context)),
        ]
        for r, accumulator in enumerate(self._accumulators):
            m.submodules[f"accumulator_{r}"] = accumulator
            m.d.comb += [
                accumulator.value.eq(self._elements[r].value),
                accumulator.carry.eq(self._elements[r].carry),
                accumulator.context.eq(context),
                accumulator.clear.eq(clear),
                accumulator.add.eq(add),
                accumulator.last.eq(last),
                accumulator.load.eq(load),
                accumulator.load_context.eq(load_context),
            ]
        self._select(m, load)

    def _select(self, m: Module, load: Value) -> None:
        """The row group to be read next: the shadows keep still, its number goes along them."""
        params = self.params
        # one-hot: two rows a table of four inputs, four pairs in two levels of logic
        chosen = Signal(params.row_groups)
        with m.If(load):
            m.d.sync += chosen.eq(1)
        with m.Elif(self.rows.drain):
            m.d.sync += chosen.eq(chosen.shift_left(1)[: len(chosen)])
        for offset, acc in enumerate(self.acc):
            rows = (row.shadow for row in self._accumulators[offset :: params.vector_rows])
            m.d.sync += acc.eq(reduce(or_, (Mux(bit, row, 0) for bit, row in zip(chosen, rows, strict=True))))
