# SPDX-License-Identifier: Apache-2.0
"""The scalars of one dependency: what follows from each context's maxima and sum of squares."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out

from golden.numerics import CODE_MAX, Formats
from hw.divider import Divider
from hw.floats import EXPONENT_BITS
from hw.ops import context_bits
from hw.params import CoreParams
from hw.rescale import SHIFT_BITS
from hw.root import TOTAL_BITS, ReciprocalRoot

TENSORS = 3
SCALE_WORD = data.StructLayout({"mantissa": 20, "exponent": signed(12)})
"""A scale word of the constants segment."""


def maximum(fmt: Formats) -> data.StructLayout:
    """Layout of a largest magnitude; as an integer it orders like the magnitude."""
    return data.StructLayout({"mantissa": fmt.mantissa, "exponent": EXPONENT_BITS})


class ScaleUnit(wiring.Component):
    """Quantiser reciprocals (``numerics.code_reciprocal``) and output scales (``integer.output_scale``).

    ``start`` takes all operands but the words, clears ``reciprocal_ready`` and every ``ready`` and abandons a
    computation under way; until then all results stay. Reciprocals are computed vector by vector, within each
    context by context; beside them the roots, context by context; output scales matrix by matrix, within each
    context by context. With M = ``fmt.mantissa``, counted from ``start``:

    * ``reciprocal_ready[k]`` is seen set ceil(M / 2) * contexts * (k + 1) + 1 cycles later;
    * the root of context c is there (M + 2) (c + 1) + 1 cycles later;
    * ``ready`` is seen set five cycles after the root is there, ``words_valid`` is high and the preceding scale is
      ready, whichever comes last. So with one context that of matrix k comes M + 8 + 5 k cycles after ``start``.

    One divider for the reciprocals, another in the root, one multiplier.

    Parameters
    ----------
    core : gives the widths and the number of contexts B.

    Attributes
    ----------
    start : In, pulse.
    tensors : In, 1 to 3 matrices; results of the others are undefined and never ready.
    contexts : In, 1 to B; those from 0 on take part; results and ``ready`` of the others are undefined.
    maxima : In, largest magnitude of each context's vector for each matrix; exponent 0 if the vector is zero.
    total : In, unsigned 64 sum of squares of each context.
    words, words_valid : In, scale words; stable while valid, needed until the last ``ready``.
    factor_vector, factor_context : In, select ``reciprocal`` and ``e_max``.
    reciprocal, e_max : Out, for the quantiser, in the same cycle.
    reciprocal_ready : Out, per vector: the reciprocals of all contexts are there.
    scale_matrix, scale_context : In, select ``mantissa``, ``shift`` and ``ready``.
    mantissa, shift : Out, for `Rescale`, in the same cycle; the shift is saturated to 12 bits.
    ready : Out, the selected output scale is there.
    dividing, scaling : Out, reciprocals, or output scales, are still missing.
    """

    def __init__(self, core: CoreParams) -> None:
        self.core = core
        self.fmt = fmt = core.formats
        super().__init__(
            {
                "start": In(1),
                "tensors": In(2),
                "contexts": In(4),
                "maxima": In(data.ArrayLayout(data.ArrayLayout(maximum(fmt), TENSORS), core.batch)),
                "total": In(data.ArrayLayout(TOTAL_BITS, core.batch)),
                "words": In(data.ArrayLayout(SCALE_WORD, TENSORS)),
                "words_valid": In(1),
                "factor_vector": In(2),
                "factor_context": In(context_bits(core)),
                "reciprocal": Out(fmt.mantissa),
                "e_max": Out(EXPONENT_BITS),
                "reciprocal_ready": Out(TENSORS),
                "scale_matrix": In(2),
                "scale_context": In(context_bits(core)),
                "mantissa": Out(fmt.mantissa),
                "shift": Out(signed(SHIFT_BITS)),
                "ready": Out(1),
                "dividing": Out(1),
                "scaling": Out(1),
            }
        )
        # The lower field is the faster one, so that positions are passed in their order as integers.
        self._position = data.StructLayout({"context": context_bits(core), "tensor": 2})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tensors = Signal.like(self.tensors, name="tensors_held")
        contexts = Signal.like(self.contexts, name="contexts_held")
        maxima = Signal.like(self.maxima, name="maxima_held")
        with m.If(self.start):
            m.d.sync += [tensors.eq(self.tensors), contexts.eq(self.contexts)]
            for context in range(self.core.batch):
                for index in range(TENSORS):
                    value = self.maxima[context][index]
                    m.d.sync += maxima[context][index].mantissa.eq(self._significand(value))
                    m.d.sync += maxima[context][index].exponent.eq(value.exponent)
        self._reciprocals(m, tensors, contexts, maxima)
        self._scales(m, tensors, contexts, maxima)
        return m

    def _significand(self, value: data.View) -> Value:
        """Mantissa of a maximum, or that of the smallest normalised number for a zero vector."""
        return Mux(value.exponent == 0, 1 << (self.fmt.mantissa - 1), value.mantissa)

    def _advance(self, position: data.View, contexts: Signal) -> data.View:
        """The position after this one."""
        if self.core.batch == 1:
            return data.View(self._position, Cat(position.context, (position.tensor + 1)[:2]))
        last = position.context + 1 == contexts
        context = Mux(last, 0, position.context + 1)[: len(position.context)]
        return data.View(self._position, Cat(context, (position.tensor + last)[:2]))

    def _operand(self, maxima: data.View, position: data.View) -> data.View:
        """The maximum at a position."""
        return maxima[position.context if self.core.batch > 1 else 0][position.tensor]

    def _results(self, m: Module, name: str, layout: data.StructLayout) -> tuple[WritePort, ReadPort]:
        """A word for each position, readable at any time: distributed memory instead of registers and selectors."""
        m.submodules[name] = results = Memory(shape=layout, depth=4 * self.core.batch, init=[])
        return results.write_port(), results.read_port(domain="comb")

    def _reciprocals(self, m: Module, tensors: Signal, contexts: Signal, maxima: data.View) -> None:
        """One division after the other; rounding comes from (2 n + m) // 2 m, where 2 n ends in zeros."""
        bits = self.fmt.mantissa
        m.submodules.divider = divider = Divider(2 * bits, bits + 1, bits)
        layout = data.StructLayout({"reciprocal": bits, "e_max": EXPONENT_BITS})
        write, read = self._results(m, "factors", layout)
        position = Signal(self._position, name="dividing_position")
        following = self._advance(position, contexts)
        first, second = self._significand(self.maxima[0][0]), self._operand(maxima, following).mantissa
        denominator = Mux(self.start, first, second)
        zeros = Const(0, self.fmt.code_shift + 1 - bits)
        m.d.comb += [
            divider.start.eq(self.start | (divider.done & (following.tensor != tensors))),
            divider.denominator.eq(Cat(Const(0, 1), denominator)),
            divider.numerator.eq(Cat(denominator, zeros, Const(CODE_MAX, 7))),
            write.en.eq(divider.done),
            write.addr.eq(Cat(position.tensor, position.context)),
            write.data.reciprocal.eq(divider.quotient),
            write.data.e_max.eq(self._operand(maxima, position).exponent),
            read.addr.eq(Cat(self.factor_vector, self.factor_context)),
            self.reciprocal.eq(read.data.reciprocal),
            self.e_max.eq(read.data.e_max),
            self.dividing.eq(position.tensor != tensors),
        ]
        m.d.comb += [self.reciprocal_ready[index].eq(position.tensor > index) for index in range(TENSORS)]
        with m.If(self.start):
            m.d.sync += position.eq(0)
        with m.Elif(divider.done):
            m.d.sync += position.eq(following)

    def _roots(self, m: Module, contexts: Signal, context: Value) -> tuple[Value, Value, Value]:
        """One root after the other; for ``context``: whether it is there, its significand and its exponent."""
        m.submodules.root = root = ReciprocalRoot(self.fmt)
        batch = self.core.batch
        count = Signal(range(batch + 1))
        with m.If(self.start):
            m.d.sync += count.eq(0)
        with m.Elif(root.done):
            m.d.sync += count.eq(count + 1)
        if batch == 1:
            m.d.comb += [root.start.eq(self.start), root.total.eq(self.total[0])]
            return count == 1, root.root, root.exponent  # The unit itself keeps them.
        totals = Signal(data.ArrayLayout(TOTAL_BITS, batch - 1))
        with m.If(self.start):
            m.d.sync += totals.eq(self.total.as_value()[TOTAL_BITS:])
        with m.Elif(root.done):
            m.d.sync += totals.eq(totals.as_value() >> TOTAL_BITS)
        layout = data.StructLayout({"root": self.fmt.mantissa, "exponent": signed(8)})
        m.submodules.roots = roots = Memory(shape=layout, depth=batch, init=[])
        write, read = roots.write_port(), roots.read_port(domain="comb")
        m.d.comb += [
            root.start.eq(self.start | (root.done & (count + 1 != contexts))),
            root.total.eq(Mux(self.start, self.total[0], totals[0])),
            write.en.eq(root.done),
            write.addr.eq(count),
            write.data.root.eq(root.root),
            write.data.exponent.eq(root.exponent),
            read.addr.eq(context),
        ]
        return context < count, read.data.root, read.data.exponent

    def _scales(self, m: Module, tensors: Signal, contexts: Signal, maxima: data.View) -> None:
        """Five phases a scale: largest x root, then x scale word; the exponents add up alongside."""
        bits = self.fmt.mantissa
        layout = data.StructLayout({"mantissa": bits, "shift": signed(SHIFT_BITS)})
        write, read = self._results(m, "outputs", layout)
        position = Signal(self._position, name="scaling_position")
        phase = Signal(range(5))
        rooted, root, root_exponent = self._roots(m, contexts, position.context)
        operand, word = self._operand(maxima, position), self.words[position.tensor]
        a, b = Signal(bits, name="a"), Signal(bits, name="b")
        product = Signal(2 * bits)
        exponent = Signal(signed(SHIFT_BITS + 2))
        carry = product[-1]
        significand = Mux(carry, product[bits:], product[bits - 1 : -1])
        m.d.sync += product.eq(a * b)
        m.d.comb += [
            write.addr.eq(Cat(position.tensor, position.context)),
            write.data.mantissa.eq(significand),
            write.data.shift.eq(_saturated(exponent - carry)),
            read.addr.eq(Cat(self.scale_matrix, self.scale_context)),
            self.mantissa.eq(read.data.mantissa),
            self.shift.eq(read.data.shift),
            self.ready.eq(Cat(self.scale_context, self.scale_matrix) < position.as_value()),
            self.scaling.eq(position.tensor != tensors),
        ]
        with m.If(self.start):
            m.d.sync += [position.eq(0), phase.eq(0)]
        with m.Elif(self.scaling & rooted & self.words_valid):
            m.d.sync += phase.eq(phase + 1)
            with m.Switch(phase):
                with m.Case(0):
                    m.d.sync += [a.eq(operand.mantissa), b.eq(root), exponent.eq(word.exponent - operand.exponent)]
                with m.Case(1):
                    m.d.sync += exponent.eq(exponent + root_exponent)
                with m.Case(2):
                    m.d.sync += [a.eq(significand), b.eq(word.mantissa[:bits])]
                    m.d.sync += exponent.eq(exponent - Mux(carry, 2 * bits - 1, 2 * bits - 2))
                with m.Case(4):
                    m.d.comb += write.en.eq(1)
                    m.d.sync += [position.eq(self._advance(position, contexts)), phase.eq(0)]


def _saturated(exponent: Value) -> Value:
    limit = 1 << (SHIFT_BITS - 1)
    return Mux(exponent >= limit, limit - 1, Mux(exponent < -limit, -limit, exponent))
