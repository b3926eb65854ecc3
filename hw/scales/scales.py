# SPDX-License-Identifier: Apache-2.0
"""The scalars of one dependency: what follows from each context's maxima and sum of squares."""

from amaranth.hdl import Cat, Const, Module, Mux, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.lib.wiring import In, Out

from tritforge.golden.model.activations import THRESHOLD_BITS
from tritforge.golden.model.formats import CODE_MAX
from tritforge.hw.lib.floats import EXPONENT_BITS, maximum
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.pipeline import delay, register
from tritforge.hw.lib.rescale import SHIFT_BITS
from tritforge.hw.lib.width import cut, minus_one, plus_one
from tritforge.hw.params import CONTEXTS_BITS, CoreParams
from tritforge.hw.scales.chords import Quotient
from tritforge.hw.scales.root import TOTAL_BITS, ReciprocalRoot
from tritforge.hw.scales.widening import LENGTH_BITS, Widening

TENSORS = 3
NUMBERS = 4
"""That a tensor's two bits can have: places in a memory of results, for each context."""
TOTAL_LATE = 2
"""Cycles by which totals may be final later than maxima: they are taken as much later."""
SCALE_WORD = data.StructLayout({"mantissa": 20, "exponent": signed(12)})
"""A scale word of the constants segment."""


class VectorStatistics(wiring.Signature):
    """What is known of each context's vectors when a group has ended, seen from the vector path.

    Attributes
    ----------
    maxima : Out, largest magnitude of each context's vector for each matrix; exponent 0 if the vector is zero.
    total : Out, unsigned 64 sum of squares of each context.
    powers : Out, with ``params.extra_bits`` only: sum of squares of what the maxima are of, for each of them.
    """

    def __init__(self, params: CoreParams) -> None:
        def of_each(shape: ShapeLike) -> wiring.Member:
            return Out(data.ArrayLayout(data.ArrayLayout(shape, TENSORS), params.batch))

        super().__init__(
            {
                "total": Out(data.ArrayLayout(TOTAL_BITS, params.batch)),
                "maxima": of_each(maximum(params.formats)),
                **({"powers": of_each(TOTAL_BITS)} if params.extra_bits else {}),
            }
        )


class ScaleStart(wiring.Signature):
    """What is to be computed, at the dependency behind a group.

    Attributes
    ----------
    start : Out, pulse, qualifies the others.
    tensors : Out, 1 to 3 matrices; results of the others are undefined and never ready.
    contexts : Out, 1 to B; those from 0 on take part; results and ``ready`` of the others are undefined.
    length : Out, with ``params.extra_bits`` only: elements of a vector.
    """

    def __init__(self, params: CoreParams) -> None:
        length = {"length": Out(LENGTH_BITS)} if params.extra_bits else {}
        super().__init__({"start": Out(1), "tensors": Out(2), "contexts": Out(CONTEXTS_BITS), **length})


class ScaleWords(wiring.Signature):
    """Scale words of a group's matrices, seen from the sequencer: stable while ``valid``.

    Attributes
    ----------
    word : Out, of each matrix. valid : Out.
    """

    def __init__(self) -> None:
        super().__init__({"word": Out(data.ArrayLayout(SCALE_WORD, TENSORS)), "valid": Out(1)})


class Factors(wiring.Signature):
    """Factors of the codes, seen from the quantiser.

    Attributes
    ----------
    vector, context : Out, whose factors are needed.
    reciprocal, e_max : In, `ScaleUnit.factor_latency` cycles later; e_max is the maximum's exponent, plus the extra
        bits less s.
    ready : In, the first reciprocal can be selected from the next cycle on, the others one a cycle.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__(
            {
                "vector": Out(2),
                "context": Out(params.context_bits),
                "reciprocal": In(params.formats.mantissa),
                "e_max": In(EXPONENT_BITS),
                "ready": In(1),
            }
        )


class ScaleSelect(wiring.Signature):
    """Which output scale is shown, seen from whom it is shown.

    Attributes
    ----------
    matrix, context : Out, select the scale. ready : In, in the same cycle: it is there.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__({"matrix": Out(2), "context": Out(params.context_bits), "ready": In(1)})


class OutputScale(wiring.Signature):
    """A scale of accumulators: value = accumulator * mantissa * 2**-shift.

    Attributes
    ----------
    mantissa, shift : Out, for `Rescale`; the shift is saturated to 12 bits.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__({"mantissa": Out(params.formats.mantissa), "shift": Out(signed(SHIFT_BITS))})


class ScaleUnit(wiring.Component):
    """Quantiser reciprocals (``numerics.code_reciprocal``) and output scales (``integer.output_scale``).

    What a group leaves are the largest magnitudes of its vectors and a sum of squares; the next group needs a
    reciprocal of each maximum, to quantise, and a scale of each matrix, to read its sums. The reciprocals are what
    everything waits for, so they come first and by themselves. The scales need a root besides, which takes longer,
    and the words of the next constants; they have until the next group's first row block is in. Here three matrices::

        cycle              0  1  2 ~  8  9 10 11 12 13 14 15 16 17 ~ 44 45 46 47 48 49
        operands.start     #  .  . ~  .  .  .  .  .  .  .  .  .  . ~  .  .  .  .  .  .
        dividing           .  #  # ~  #  #  #  #  #  #  #  .  .  . ~  .  .  .  .  .  .
        factors.ready      .  .  . ~  .  #  #  #  #  #  #  #  #  # ~  #  #  #  #  #  #
        words.valid        .  .  . ~  .  .  .  .  .  .  .  #  #  # ~  #  #  #  #  #  #
        scaling            .  #  # ~  #  #  #  #  #  #  #  #  #  # ~  #  #  #  #  .  .
        select.ready (0)   .  .  . ~  .  .  .  .  .  .  .  .  .  . ~  .  .  #  #  #  #

    ``operands.start`` takes all operands but the words, clears every ``ready`` and abandons a computation under way;
    until then all results stay. Pipelines, one result a cycle each: reciprocals vector by vector, within each context
    by context; beside them the roots, context by context; output scales matrix by matrix, within each context by
    context. Counted from ``start``:

    * the reciprocal at place p of its order can be selected ``reciprocal_latency + 1 + p`` cycles later;
    * the root of context c is there ``root_latency`` + c cycles later;
    * ``select.ready`` is seen set ``scale_latency`` cycles after the root is there, ``words.valid`` is high and the
      scale before it has left the same place, whichever comes last;
    * ``factors.ready`` rises after ``reciprocal_latency``.

    Parameters
    ----------
    params : gives the widths and the number of contexts B.

    Attributes
    ----------
    factor_latency : cycles from the selection of a reciprocal to it.
    operands : In. statistics : In, with it; the total is taken `TOTAL_LATE` cycles after ``start``.
    words : In, needed until the last ``ready``.
    threshold : In, with ``params.extra_bits`` only: operand of `Widening`, constant until the last ``ready``.
    factors : In, for the quantiser.
    select : In, shows ``scale``, Out, in the same cycle.
    dividing, scaling : Out, reciprocals, or output scales, are still missing.
    """

    factor_latency = 2
    reciprocal_latency = 1 + Quotient.latency - factor_latency - 1
    root_latency = TOTAL_LATE + ReciprocalRoot.latency + 1
    scale_latency = 10

    def __init__(self, params: CoreParams) -> None:
        self.params = params
        self.fmt = params.formats
        super().__init__(
            {
                "operands": In(ScaleStart(params)),
                "statistics": In(VectorStatistics(params)),
                "words": In(ScaleWords()),
                **({"threshold": In(THRESHOLD_BITS)} if params.extra_bits else {}),
                "factors": In(Factors(params)),
                "select": In(ScaleSelect(params)),
                "scale": Out(OutputScale(params)),
                "dividing": Out(1),
                "scaling": Out(1),
            }
        )
        # The lower field is the faster one, so that positions are passed in their order as integers.
        self._position = data.StructLayout({"context": params.context_bits, "tensor": 2})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tensors = Signal.like(self.operands.tensors, name="tensors_held")
        contexts = Signal.like(self.operands.contexts, name="contexts_held")
        maxima = Signal.like(self.statistics.maxima, name="maxima_held", reset_less=True)
        with m.If(self.operands.start):
            m.d.sync += [tensors.eq(self.operands.tensors), contexts.eq(self.operands.contexts)]
            m.d.sync += maxima.eq(self.statistics.maxima)
        levels = self._reciprocals(m, tensors, contexts, maxima)
        self._scales(m, tensors, contexts, maxima, levels)
        return m

    def _walk(self, m: Module, name: str, contexts: Signal, step: Value, first: int = 0) -> data.View:
        """A position that begins at the first, or the third, and moves on with ``step``."""
        position = Signal(self._position, name=f"{name}_position")
        last = position.context + 1 == contexts if self.params.batch > 1 else 1
        with m.If(self.operands.start):
            m.d.sync += position.eq(0)
            if first:
                # with contexts fewer than three, the next tensor's or the one's after it
                one, two = self.operands.contexts == 1, self.operands.contexts == 2
                m.d.sync += [
                    position.context.eq(cut(Mux(one, 0, Mux(two, 0, 2)), position.context)),
                    position.tensor.eq(Mux(one, 2, Mux(two, 1, 0))),
                ]
        with m.Elif(step):
            if self.params.batch > 1:
                m.d.sync += position.context.eq(Mux(last, 0, plus_one(position.context)))
            # it stays at the number of tensors
            m.d.sync += position.tensor.eq(cut(position.tensor + last, position.tensor))
        return position

    def _chosen(self, maxima: data.View, position: data.View) -> data.View:
        """The maximum at a position; the significand of a zero vector is taken as the smallest."""
        return maxima[position.context if self.params.batch > 1 else 0][position.tensor]

    def _place(self, tensor: Value, context: Value) -> Value:
        """Where the results are of a tensor and a context."""
        return Cat(tensor, context) if self.params.batch > 1 else tensor

    def _delayed_valid(self, m: Module, name: str, first: Value, cycles: int) -> list[Value]:
        """Whether something is at each stage 0 to ``cycles`` of a pipeline; a start abandons what is under way."""
        stages = [first]
        for stage in range(cycles):
            register = Signal(name=f"{name}_d{stage + 1}")
            m.d.sync += register.eq(stages[-1] & ~self.operands.start if stage else stages[-1])
            stages.append(register)
        return stages

    def _results(
        self, m: Module, name: str, layout: data.StructLayout, depth: int, more: int = 0
    ) -> tuple[WritePort, ReadPort, *tuple[ReadPort, ...]]:
        """Readable at any time: distributed memory instead of registers and selectors; ``more`` read ports."""
        m.submodules[name] = results = Memory(shape=layout, depth=depth, init=[])
        reads = []
        for _ in range(1 + more):
            # by itself: Amaranth sees no name in a comprehension
            read = results.read_port(domain="comb")
            reads.append(read)
        write = results.write_port()
        return write, *reads

    def _reciprocals(self, m: Module, tensors: Signal, contexts: Signal, maxima: data.View) -> tuple[ReadPort, ...]:
        """One position a cycle; with extra bits, the port on which the scales read the exponents."""
        fmt = self.fmt
        m.submodules.reciprocal = unit = Quotient(fmt.mantissa, CODE_MAX << fmt.code_shift, rounded=True)
        layout = data.StructLayout({"reciprocal": fmt.mantissa, "e_max": EXPONENT_BITS})
        write, read, *levels = self._results(
            m, "factors", layout, NUMBERS * self.params.batch, bool(self.params.extra_bits)
        )
        valid = Signal()
        position = self._walk(m, "dividing", contexts, valid)
        stages = self._delayed_valid(m, "dividing", valid, unit.latency)
        divided = self._walk(m, "divided", contexts, stages[-1])
        # chosen two cycles before it is needed
        operand, next_operand = (Signal(maximum(fmt), name=n, reset_less=True) for n in ("operand", "next_operand"))
        second, third = self.statistics.maxima[0][1], maxima[0][2]
        if self.params.batch > 1:
            second = Mux(self.operands.contexts == 1, second.as_value(), self.statistics.maxima[1][0].as_value())
            third = self._chosen(maxima, self._walk(m, "following", contexts, valid, first=2))
        with m.If(self.operands.start):
            m.d.sync += [operand.eq(self.statistics.maxima[0][0]), next_operand.eq(second)]
        with m.Else():
            m.d.sync += [operand.eq(next_operand), next_operand.eq(third)]
        # what is written in the cycle of its read goes past the memory
        factor = delay(m, self._place(self.factors.vector, self.factors.context), 1, "factor", reset_less=True)
        dividing = self._walk(m, "next_divided", contexts, stages[-2])
        bypass = delay(m, stages[-2] & (self._place(dividing.tensor, dividing.context) == factor), 1, "bypass")
        found = Mux(bypass, write.data.as_value(), read.data.as_value())
        m.d.comb += [
            valid.eq((position.tensor != tensors) & ~self.operands.start),
            unit.denominator.eq(operand.mantissa),
            write.en.eq(stages[-1]),
            write.addr.eq(self._place(divided.tensor, divided.context)),
            write.data.reciprocal.eq(unit.quotient),
            write.data.e_max.eq(
                self._level(m, operand, position)
                if levels
                else delay(m, operand.exponent, unit.latency, "e_max", reset_less=True)
            ),
            read.addr.eq(delay(m, factor, 1, "factor_on", reset_less=True)),
            Cat(self.factors.reciprocal, self.factors.e_max).eq(found),
            self.dividing.eq(divided.tensor != tensors),
        ]
        with m.If(self.operands.start):
            m.d.sync += self.factors.ready.eq(0)
        with m.Elif(stages[self.reciprocal_latency - 2]):
            m.d.sync += self.factors.ready.eq(1)
        return tuple(levels)

    def _level(self, m: Module, largest: data.View, position: data.View) -> Value:
        """The exponent for the quantiser, in the cycle of the reciprocal."""
        assert Widening.latency == Quotient.latency
        m.submodules.widening = widening = Widening(self.params)
        powers, length = (
            Signal.like(port, reset_less=True) for port in (self.statistics.powers, self.operands.length)
        )
        with m.If(self.operands.start):
            m.d.sync += [powers.eq(self.statistics.powers), length.eq(self.operands.length)]
        m.d.comb += [
            widening.power.eq(self._chosen(powers, position)),
            widening.largest.eq(largest),
            widening.length.eq(length),
            widening.threshold.eq(self.threshold),
        ]
        return widening.level

    def _roots(self, m: Module, contexts: Signal, context: Value) -> tuple[Value, Value, Value]:
        """One context a cycle; for ``context``: whether its root is valid, significand and exponent."""
        m.submodules.root = unit = ReciprocalRoot(self.fmt)
        batch = self.params.batch
        count = Signal(range(batch + 1), name="rooted")
        total, start = (
            self.statistics.total[0],
            self._delayed_valid(m, "root_start", self.operands.start, TOTAL_LATE)[-1],
        )
        valid = start
        if batch > 1:
            totals = Signal(data.ArrayLayout(TOTAL_BITS, batch - 1), reset_less=True)
            left = Signal(range(batch))
            with m.If(self.operands.start):
                m.d.sync += left.eq(0)
            with m.Elif(start):
                m.d.sync += totals.eq(self.statistics.total.as_value()[TOTAL_BITS:])
                m.d.sync += left.eq(cut(contexts - 1, left))
            with m.Else():
                m.d.sync += [totals.eq(totals.as_value() >> TOTAL_BITS), left.eq(Mux(left == 0, 0, minus_one(left)))]
            total, valid = Mux(start, total, totals[0]), start | (left != 0)
        valid &= ~self.operands.start
        done = self._delayed_valid(m, "rooting", valid, unit.latency)[-1]
        layout = data.StructLayout({"root": self.fmt.mantissa, "exponent": signed(8)})
        write, read = self._results(m, "roots", layout, max(2, batch))
        m.d.comb += [
            unit.total.eq(total),
            write.en.eq(done),
            write.addr.eq(cut(count, write.addr)),
            write.data.root.eq(unit.root),
            write.data.exponent.eq(unit.exponent),
            read.addr.eq(context if batch > 1 else 0),
        ]
        with m.If(self.operands.start):
            m.d.sync += count.eq(0)
        with m.Elif(done):
            m.d.sync += count.eq(plus_one(count))
        return (context if batch > 1 else 0) < count, read.data.root, read.data.exponent

    def _scales(
        self, m: Module, tensors: Signal, contexts: Signal, maxima: data.View, levels: tuple[ReadPort, ...]
    ) -> None:
        """Largest x root, then x scale word, one position a cycle; the exponents add up alongside.

        Exponents of ``levels`` were written long before: a root takes longer than a reciprocal.
        """
        bits = self.fmt.mantissa
        layout = data.StructLayout({"mantissa": bits, "shift": signed(SHIFT_BITS)})
        write, read = self._results(m, "outputs", layout, NUMBERS * self.params.batch)
        valid = Signal()
        position, word_position = (self._walk(m, name, contexts, valid) for name in ("scaling", "scaling_word"))
        rooted, root, root_exponent = self._roots(m, contexts, position.context)
        stages = self._delayed_valid(m, "scaling", valid, 9)
        scaled = self._walk(m, "scaled", contexts, stages[-1])
        choice = (self._chosen(maxima, position), self.words.word[word_position.tensor], root, root_exponent)
        operand, word, root, root_exponent = (
            delay(m, value, 1, f"chosen_{number}", reset_less=True) for number, value in enumerate(choice)
        )

        significand = unsigned(bits)
        m.submodules.first, m.submodules.second = first, second = [Multiplier(significand, significand) for _ in "ab"]
        carries, results = [], []
        for unit in (first, second):
            product = delay(m, unit.product, 1, "product", reset_less=True)
            carries.append(product[-1])
            results.append(Mux(product[-1], product[bits:], product[bits - 1 : -1]))
        m.d.comb += [
            first.a.eq(Cat(operand.mantissa[:-1], Const(1, 1))),
            first.b.eq(root),
            second.a.eq(results[0]),
            second.b.eq(delay(m, word.mantissa[:bits], 3, "word", reset_less=True)),
        ]
        mantissa = delay(m, results[1], 2, "mantissa", reset_less=True)

        # each as wide as its sum, so that no bit is a copy of another
        exponent = operand.exponent
        for level in levels:
            m.d.comb += level.addr.eq(self._place(position.tensor, position.context))
            exponent = delay(m, level.data.e_max, 1, "level", reset_less=True)
        folded = register(m, root_exponent - (2 * bits - 2 - self.params.extra_bits), "folded_root")
        exponent = register(m, word.exponent - exponent, "exponent_1")
        exponent = register(m, exponent + folded, "exponent_2")
        exponent = register(m, exponent, "exponent_3")
        exponent = register(m, exponent - carries[0], "exponent_4")
        exponent = register(m, exponent, "exponent_5")
        exponent = register(m, exponent, "exponent_6")
        exponent = register(m, exponent - carries[1], "exponent_7")
        shift = register(m, _saturated(exponent), "shift_held")
        m.d.comb += [
            valid.eq((position.tensor != tensors) & rooted & self.words.valid & ~self.operands.start),
            write.en.eq(stages[-1]),
            write.addr.eq(self._place(scaled.tensor, scaled.context)),
            write.data.mantissa.eq(mantissa),
            write.data.shift.eq(shift),
            read.addr.eq(self._place(self.select.matrix, self.select.context)),
            self.scale.mantissa.eq(read.data.mantissa),
            self.scale.shift.eq(read.data.shift),
            self.select.ready.eq(Cat(self.select.context, self.select.matrix) < scaled.as_value()),
            self.scaling.eq(scaled.tensor != tensors),
        ]


def _saturated(exponent: Value) -> Value:
    """The value in SHIFT_BITS."""
    sign, high = exponent[-1], exponent[SHIFT_BITS - 1 : -1]
    overflow = Mux(sign, ~high.all(), high.any())
    return Cat(Mux(overflow, (~sign).replicate(SHIFT_BITS - 1), exponent[: SHIFT_BITS - 1]), sign).as_signed()


def shared_select(
    m: Module, sequencer: wiring.PureInterface, result: Value, begin: Value, finish: Value
) -> wiring.PureInterface:
    """One `ScaleSelect` of two: the result unit's from a packet's ``finish`` to the next one's ``begin``.

    ``result`` is the context whose scale the result unit is shown.
    """
    select = sequencer.signature.create(path=("select",))
    finishing = Signal()
    with m.If(finish | begin):
        m.d.sync += finishing.eq(finish)
    m.d.comb += [
        select.matrix.eq(sequencer.matrix),
        select.context.eq(Mux(finishing, result, sequencer.context)),
        sequencer.ready.eq(select.ready),
    ]
    return select
