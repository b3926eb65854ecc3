# SPDX-License-Identifier: Apache-2.0
"""Ternary array: the rows of a row block side by side, and the drain of their sums."""

from typing import ClassVar

from amaranth import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.wiring import In, Out

from hw.element import BYTE_OPERANDS, Element
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

    Byte r * element_bytes + k of a beat holds the trits of row r for columns 5k to 5k + 4. When a row
    block's last beat is in, the sums move aside to be read from ``acc`` one row at a time, row 0 first.

    Throughput: one beat a cycle; beats may have gaps, and a block may follow another at once. The issuer
    sees to it that the rows of a block have been read before the ``loaded`` of the next. A block begun and
    not finished is forgotten at the next ``first``.

    Parameters
    ----------
    core : geometry.

    Attributes
    ----------
    latency : cycles from ``valid & last`` to ``loaded``.
    valid : In, qualifies the four below.
    first, last : In, the beat begins or ends a row block, or both.
    beat : In, ``lanes`` bytes of the nested code.
    activations : In, signed 8 bit a column.
    loaded : Out, for one cycle: ``acc`` is row 0 of a new block from this cycle on.
    acc : Out, signed ``core.acc_bits``.
    drain : In, ``acc`` is the next row from the next cycle on; zeros follow the last row.
    """

    def __init__(self, core: CoreParams) -> None:
        self.core = core
        super().__init__(
            {
                "valid": In(1),
                "first": In(1),
                "last": In(1),
                "beat": In(8 * core.lanes),
                "activations": In(ArrayLayout(signed(8), core.columns)),
                "loaded": Out(1),
                "acc": Out(signed(core.acc_bits)),
                "drain": In(1),
            }
        )
        self._elements = [Element(core) for _ in range(core.rows)]
        self.latency = 2 + self._elements[0].latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = [Signal.like(self.beat, name=f"beat_{i}", reset_less=True) for i in range(2)]
        m.d.sync += [beat[0].eq(self.beat), beat[1].eq(beat[0])]
        source = self._operands(m)
        load = Signal()
        following = Const(0, self.acc.shape())
        for r, element in reversed(list(enumerate(self._elements))):
            m.submodules[f"row_{r}"] = element
            if (r + 1) % GROUP_ROWS == 0 or r + 1 == self.core.rows:
                m.submodules[f"operands_{r // GROUP_ROWS}"] = copy = OperandCopy(self.core)
                m.d.comb += copy.source.eq(source)
            m.d.comb += [
                element.data.eq(beat[1].word_select(r, 8 * self.core.element_bytes)),
                element.operands.eq(copy.operands),
                element.load.eq(load),
                element.drain.eq(self.drain),
                element.following.eq(following),
            ]
            following = element.shadow
        m.d.comb += self.acc.eq(following)
        self._control(m, load)
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

    def _control(self, m: Module, load: Signal) -> None:
        """Carry ``first``, ``valid`` and ``last`` along the pipeline."""
        starts, adds = Signal(self.latency - 2), Signal(self.latency - 1)
        loads = Signal(self.latency)
        m.d.sync += [
            starts.eq(Cat(self.valid & self.first, starts)),
            adds.eq(Cat(self.valid, adds)),
            loads.eq(Cat(self.valid & self.last, loads)),
        ]
        m.d.comb += [load.eq(loads[-2]), self.loaded.eq(loads[-1])]
        for element in self._elements:
            m.d.comb += [element.clear.eq(starts[-1]), element.add.eq(adds[-1])]
