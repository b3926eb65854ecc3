# SPDX-License-Identifier: Apache-2.0
"""The gain stage: each finished row times its gains, for the next product's codes and for the statistics."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.numerics import DECAY_FRAC, OMEGA_FRAC, SIGMA_FRAC, STAT_BITS, UNIT_EXPONENT
from hw.floats import code_float
from hw.normaliser import Normaliser
from hw.ops import SLOTS, Op, Tag, delay, is_op
from hw.params import CoreParams
from hw.statistics import Statistics

GAIN_OPERAND = signed(18)


class GainStage(wiring.Component):
    """Multiplies a row by its gains in one to four slots (ops.SLOTS), one slot a cycle.

    A row arrives with ``tag.valid``, its value ``wide`` and the second operand ``second`` of the statistics; rows
    are at least SLOTS[op] cycles apart. Side words are popped from ``word`` as the row's slots need them
    (schedule.gain_words gives their order)::

        slot   statistics                    value
        load   -                             EMBED: the residual arrives as a word
        0      wide * stat (UP: * 1)         wide * gain 0     (F: sigma * decay gain)
        1      second * kappa                wide * gain 1
        2      -                             wide * gain 2

    Outputs: ``value`` (code floats for the vector store, ``which`` matrix), ``decay`` (c, 17 fraction bits) for
    the recurrence, ``residual`` writes, and through Statistics ``total`` and ``maxima``. A row has left no trace
    in flight ``drain`` cycles after it arrived; its decay is out after ``decay_latency``.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        fmt = core.formats
        wide = signed(fmt.wide_bits)
        self._normaliser = Normaliser(fmt)
        self._statistics = Statistics(core)
        self.decay_latency = 6
        self.drain = 4 + max(SLOTS.values()) + max(self._normaliser.latency + 1, self._statistics.latency)
        statistics = self._statistics.signature.members
        super().__init__(
            {
                "tag": In(Tag),
                "wide": In(wide),
                "second": In(wide),
                "kappa": In(unsigned(17)),
                "begin": In(1),
                "bias": In(unsigned(64)),
                "word": In(unsigned(32)),
                "pop": Out(1),
                "value_valid": Out(1),
                "which": Out(2),
                "value": Out(code_float(fmt)),
                "decay_valid": Out(1),
                "decay": Out(unsigned(DECAY_FRAC)),
                "residual_valid": Out(1),
                "residual": Out(wide),
                "total": Out(statistics["total"].shape),
                "maxima": Out(statistics["maxima"].shape),
                "tap_valid": Out(1),
                "tap_op": Out(4),
                "tap": Out(wide),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self._core.formats
        m.submodules.normaliser = normaliser = self._normaliser
        m.submodules.statistics = statistics = self._statistics

        row, held, second = Signal(Tag), Signal.like(self.wide), Signal.like(self.second)
        slot, load = Signal(2), Signal()
        last_slot = Signal(2)
        arrives = Signal()
        m.d.comb += arrives.eq(is_op(self.tag, *(op for op in Op if op not in (Op.I, Op.GATE, Op.HEAD))))
        with m.If(arrives):
            m.d.sync += [row.eq(self.tag), held.eq(self.wide), second.eq(self.second)]
            m.d.sync += [slot.eq(0), load.eq(self.tag.op == Op.EMBED)]
        with m.Elif(load):
            m.d.sync += [load.eq(0), held.eq(self.word), second.eq(self.word)]
        with m.Elif(slot == last_slot):
            m.d.sync += row.valid.eq(0)
        with m.Else():
            m.d.sync += slot.eq(slot + 1)

        three = (row.op == Op.CONTRACT) | (row.op == Op.EMBED)
        active = Signal()
        m.d.comb += [
            last_slot.eq(Mux(three, 2, Mux((row.op == Op.F) | (row.op == Op.UP), 0, 1))),
            active.eq(row.valid & ~load),
        ]
        first, middle, final = slot == 0, slot == 1, slot == 2
        m.d.comb += self.pop.eq(row.valid & (load | first | three))

        stat_gain, value_gain = Signal(GAIN_OPERAND), Signal(GAIN_OPERAND)
        m.d.comb += [
            value_gain.eq(self.word[STAT_BITS:].as_signed()),
            stat_gain.eq(self.word[:STAT_BITS].as_signed()),
        ]
        with m.If(middle):
            m.d.comb += stat_gain.eq(self.kappa)
        with m.Elif(row.op == Op.UP):
            m.d.comb += stat_gain.eq(1 << UNIT_EXPONENT)

        # registered before and twice after each multiplier, for the DSP blocks' own registers
        def multiply(a, b, name):
            x, y = Signal.like(self.wide, name=f"{name}_a"), Signal(GAIN_OPERAND, name=f"{name}_b")
            product = Signal(signed(fmt.wide_bits + 18), name=name)
            m.d.sync += [x.eq(a), y.eq(b), product.eq(x * y)]
            return delay(m, product, 1, name)

        stat_product = multiply(Mux(middle, second, held), stat_gain, "stat_product")
        value_product = multiply(held, value_gain, "value_product")

        live = active & row.live
        is_f = row.op == Op.F
        has_value = first | three
        square_tag, value_tag, decay_tag = Signal(), Signal(), Signal()
        m.d.comb += [
            square_tag.eq(live & ~is_f & ~final),
            value_tag.eq(live & ~is_f & has_value),
            decay_tag.eq(active & is_f),
        ]
        # which matrix a slot serves is its number
        which = delay(m, slot, 3 + normaliser.latency, "which")
        m.d.comb += [
            statistics.begin.eq(self.begin),
            statistics.bias.eq(self.bias),
            statistics.square_valid.eq(delay(m, square_tag, 3, "square_tag")),
            statistics.second.eq(delay(m, middle, 3, "middle")),
            statistics.square_product.eq(stat_product),
            normaliser.product.eq(value_product),
            self.value_valid.eq(delay(m, value_tag, 3 + normaliser.latency, "value_tag")),
            self.which.eq(which),
            self.value.eq(normaliser.code),
            statistics.value_valid.eq(self.value_valid),
            statistics.which.eq(which),
            statistics.value.eq(normaliser.code),
            self.total.eq(statistics.total),
            self.maxima.eq(statistics.maxima),
        ]

        shift = SIGMA_FRAC + OMEGA_FRAC - DECAY_FRAC
        decay = (value_product + (1 << (shift - 1))) >> shift
        largest = (1 << DECAY_FRAC) - 1
        m.d.sync += [
            self.decay.eq(Mux(decay > largest, largest, decay)),
            self.decay_valid.eq(delay(m, decay_tag, 3, "decay_tag")),
        ]
        m.d.comb += [
            self.residual.eq(held),
            self.residual_valid.eq(live & first & (three | (row.op == Op.OUT))),
            self.tap.eq(held),
            self.tap_op.eq(row.op),
            self.tap_valid.eq(live & first),
        ]
        return m
