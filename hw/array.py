# SPDX-License-Identifier: Apache-2.0
"""Ternary array: the rows of a row block side by side, and the drain of their sums."""

from typing import ClassVar

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.wiring import In, Out

from hw.accumulator import Accumulator
from hw.element import BYTE_OPERANDS, Element
from hw.ops import context_bits, delay
from hw.params import TRITS_PER_BYTE, CoreParams

GROUP_ROWS = 8
"""Elements that share one copy of the operand registers."""


class OperandCopy(wiring.Component):
    """Operand registers of a group of elements; a module of its own, or synthesis would merge them again.

    Attributes
    ----------
    source : In, the operands of a beat, all in the same cycle.
    operands : Out, one cycle later; the singles two cycles later, as `hw.element.Element` wants them.
    """

    rtl_attributes: ClassVar = {"keep_hierarchy": 1}

    def __init__(self, core: CoreParams) -> None:
        layout = ArrayLayout(BYTE_OPERANDS, core.element_bytes)
        super().__init__({"source": In(layout), "operands": Out(layout)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for source, operands in zip(self.source, self.operands, strict=True):
            single = Signal(signed(8), reset_less=True)
            m.d.sync += [
                operands.x.eq(source.x),
                operands.y.eq(source.y),
                single.eq(source.single),
                operands.single.eq(single),
            ]
        return m


class TernaryArray(wiring.Component):
    """``core.rows`` processing elements on one beat of weights and ``core.columns`` activations a cycle.

    Byte r * element_bytes + k of a beat holds the trits of row r for columns 5k to 5k + 4. A beat comes once for
    each context of the packet, context 0 first, with that context's activations. When a row block's last beat is in
    for all of them, ``acc`` is row group 0 of context 0: rows 0 to V - 1, V being ``core.vector_rows``.

    Throughput: one beat and context a cycle; they may have gaps, and a block may follow another at once. The issuer
    sees to it that all rows of a block have been read, ``latency - 1`` cycles after context 0's last beat of the
    next block at the latest. A block begun and not finished is forgotten at the next ``first``, which may come with
    another number of contexts.

    Parameters
    ----------
    core : geometry.

    Attributes
    ----------
    latency : cycles from ``valid & last & final_context`` to ``loaded``; one more if ``core.batch`` > 1.
    valid : In, qualifies the six below.
    first, last : In, the beat begins or ends a row block, or both; the same for all contexts of a beat.
    context : In, whose activations these are; 0 if ``core.batch`` is 1.
    final_context : In, the context is the packet's last.
    beat : In, ``lanes`` bytes of the nested code.
    activations : In, signed 8 bit a column.
    loaded : Out, for one cycle: ``acc`` is row group 0 of context 0 of a new block from this cycle on.
    acc : Out, V x signed ``core.acc_bits``: the rows of a group.
    drain : In, ``acc`` is the next row group from the next cycle on.
    reload : In, with ``drain``: it is row group 0 of ``next_context`` instead. In any order, as often as wanted;
        ignored if ``core.batch`` is 1.
    """

    def __init__(self, core: CoreParams) -> None:
        self.core = core
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "context": In(context_bits(core)),
                "final_context": In(1),
                "beat": In(8 * core.lanes),
                "activations": In(ArrayLayout(signed(8), core.columns)),
                "loaded": Out(1),
                "acc": Out(ArrayLayout(signed(core.acc_bits), core.vector_rows)),
                "drain": In(1),
                "reload": In(1),
                "next_context": In(context_bits(core)),
            }
        )
        self._elements = [Element(core) for _ in range(core.rows)]
        self._accumulators = [Accumulator(core) for _ in range(core.rows)]
        self._add_latency = 2 + self._elements[0].latency
        self.latency = self._add_latency + self._accumulators[0].latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = [Signal.like(self.beat, name=f"beat_{i}", reset_less=True) for i in range(2)]
        m.d.sync += [beat[0].eq(self.beat), beat[1].eq(beat[0])]
        source = self._operands(m)
        for r, element in enumerate(self._elements):
            m.submodules[f"row_{r}"] = element
            if r % GROUP_ROWS == 0:
                m.submodules[f"operands_{r // GROUP_ROWS}"] = copy = OperandCopy(self.core)
                m.d.comb += copy.source.eq(source)
            m.d.comb += [
                element.data.eq(beat[1].word_select(r, 8 * self.core.element_bytes)),
                element.operands.eq(copy.operands),
            ]
        self._accumulate(m)
        return m

    def _operands(self, m: Module) -> View:
        """Pair sums of the activations, two cycles after them."""
        activations = Signal.like(self.activations, reset_less=True)
        operands = Signal(ArrayLayout(BYTE_OPERANDS, self.core.element_bytes), reset_less=True)
        m.d.sync += activations.eq(self.activations)
        for k, byte in enumerate(operands):
            t0, t1, t2, t3, t4 = (activations[TRITS_PER_BYTE * k + i] for i in range(TRITS_PER_BYTE))
            for pair, a, b in ((byte.x, t0, t1), (byte.y, t3, t4)):
                m.d.sync += [pair.a.eq(a), pair.b.eq(b), pair.sum.eq(a + b), pair.difference.eq(a - b)]
            m.d.sync += byte.single.eq(t2)
        return operands

    def _accumulate(self, m: Module) -> None:
        """Carry the beat's flags along the pipeline to the accumulators, and chain these."""
        core, add_latency = self.core, self._add_latency
        add = delay(m, self.valid, add_latency, "add")
        clear = delay(m, self.valid & self.first, add_latency - 1, "clear")
        last = delay(m, self.valid & self.last, add_latency, "last")
        context = delay(m, self.context, add_latency, "context")
        finished = delay(m, self.valid & self.last & self.final_context, self.latency - 1, "finished")
        m.d.sync += self.loaded.eq(finished)
        load, load_context = Signal(), Signal.like(self.next_context)
        m.d.comb += [
            load.eq(finished | (self.drain & self.reload if core.batch > 1 else 0)),
            load_context.eq(Mux(finished, 0, self.next_context)),
        ]
        for r, accumulator in enumerate(self._accumulators):
            m.submodules[f"accumulator_{r}"] = accumulator
            m.d.comb += [
                accumulator.value.eq(self._elements[r].value),
                accumulator.negative.eq(self._elements[r].negative),
                accumulator.context.eq(context),
                accumulator.clear.eq(clear),
                accumulator.add.eq(add),
                accumulator.last.eq(last),
                accumulator.load.eq(load),
                accumulator.load_context.eq(load_context),
                accumulator.drain.eq(self.drain),
            ]
            if r < core.vector_rows:
                m.d.comb += self.acc[r].eq(accumulator.shadow)
            else:
                m.d.comb += self._accumulators[r - core.vector_rows].following.eq(accumulator.shadow)
