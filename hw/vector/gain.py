# SPDX-License-Identifier: Apache-2.0
"""The gain stage: each finished row times its gains, for the next product's codes and for the statistics."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.golden.model.formats import DECAY_FRAC
from tritforge.hw.codes.produced import Values
from tritforge.hw.lib.flags import flags
from tritforge.hw.lib.pipeline import LocalCopy, delay, delayed_tags
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.operations import Op, is_op, tag_layout
from tritforge.hw.params import CONTEXTS_BITS, CoreParams
from tritforge.hw.scales.root import TOTAL_BITS
from tritforge.hw.scales.scales import TOTAL_LATE, VectorStatistics
from tritforge.hw.schedule import Group, gain_words
from tritforge.hw.stream.side import SideRead, SideWords, most_kinds
from tritforge.hw.vector.gain_lane import KAPPA_BITS, GainLane
from tritforge.hw.vector.statistics import Statistics

GAIN_OPS = (Op.EMBED, Op.F, Op.G, Op.OUT, Op.UP, Op.CONTRACT)
"""The operations whose rows have side words; the others pass by."""

_CONTROL = ("first", "load", "middle", "one")

LAST_SLOTS = {op: {Op.EMBED: 2, Op.CONTRACT: 2, Op.G: 1, Op.OUT: 1}.get(op, 0) for op in GAIN_OPS}
"""Number of the last slot of each; EMBED's load is before the first."""


class GroupConstants(wiring.Signature):
    """Constants of a group, seen from the sequencer.

    Attributes
    ----------
    begin, bias : Out, before a group's first row: what `Statistics` begins with.
    kappa : Out, constant during a group.
    """

    def __init__(self) -> None:
        super().__init__({"begin": Out(1), "bias": Out(TOTAL_BITS), "kappa": Out(KAPPA_BITS)})


class GainStage(wiring.Component):
    """Multiplies a row group by its gains in one to four slots (ops.SLOTS), one slot a cycle.

    A tag arrives ``lead`` cycles before its row group's ``wide`` and ``second``, so that the side words are there
    with them; row groups are at least SLOTS[op] cycles apart. Slots, and the side word of each::

        slot   statistics                    value
        load   -                             EMBED: the row itself, word of its context
        0      wide * stat (UP: * 1)         wide * gain 0     (F: sigma * decay gain)
        1      second * kappa                wide * gain 1     (EMBED, CONTRACT)
        2      -                             wide * gain 2     (EMBED, CONTRACT)

    With the last slot's address of a row group that has ``last``, ``side.release`` frees its row block's side words.

    Parameters
    ----------
    params : geometry, contexts and widths.

    Attributes
    ----------
    lead : cycles from a tag to its ``wide``.
    settled : for each operation, cycles from ``wide`` until everything is in ``maxima`` and ``powers`` (in ``total``
        `TOTAL_LATE` cycles later) and, for F, one cycle after ``decay``; ``values`` have left by then.
    ahead : In, tag. wide, second : In, the row group and the second operand of its statistics. contexts : In.
    constants : In.
    side : Out, to SideWords, words its ``latency`` after the address.
    values : Out, for matrix ``which``.
    decay_tag, decay : Out, c of each row for the recurrence, when the tag is valid.
    traced, held : Out, each row group (of EMBED the loaded one) once, one cycle after ``wide``.
    statistics : Out, of Statistics. counted : In, of a linked core: the values of all cores, which the maxima are of.
    """

    lead = 4 + SideWords.latency

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        fmt, rows = params.formats, params.vector_rows
        wide = data.ArrayLayout(signed(fmt.wide_bits), rows)
        self._units = [GainLane(fmt, shown=bool(params.extra_bits)) for _ in range(rows)]
        self._statistics = Statistics(params)
        unit, statistics = self._units[0], self._statistics
        value = unit.code_latency + statistics.maximum_latency
        square = unit.product_latency + statistics.latency - TOTAL_LATE
        # of each slot with a value; squares are of the first two
        power = unit.product_latency + statistics.power_latency if params.extra_bits else 0
        self.settled = {
            Op.EMBED: 1 + max(2 + value, 1 + square, 2 + power),
            Op.F: unit.decay_latency + 1,
            Op.G: max(value, 1 + square, power),
            Op.OUT: max(value, 1 + square, power),
            Op.UP: max(value, square, power),
            Op.CONTRACT: max(2 + value, 1 + square, 2 + power),
        }
        super().__init__(
            {
                "ahead": In(tag_layout(params)),
                "wide": In(wide),
                "second": In(wide),
                "contexts": In(CONTEXTS_BITS),
                "constants": In(GroupConstants()),
                "side": Out(SideRead(params)),
                "values": Out(Values(params)),
                "decay_tag": Out(tag_layout(params)),
                "decay": Out(data.ArrayLayout(DECAY_FRAC, rows)),
                "traced": Out(tag_layout(params)),
                "held": Out(wide),
                "statistics": Out(VectorStatistics(params)),
                **({"counted": In(Values(params))} if params.linked else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row, slot, first, load = self._slots(m)

        # the words of a slot come two address registers and the memory later, and with them its row
        wait = 2 + SideWords.latency
        early = {
            "middle": slot == 1,
            "one": row.op == Op.UP,
            "three": (row.op == Op.CONTRACT) | (row.op == Op.EMBED),
            "counts": row.valid & ~load & (row.op != Op.F),
        }
        early |= {"first": first, "load": load}
        early = {name: delay(m, value, wait - 1, name) for name, value in early.items()}
        self._data(m, {name: early[name] for name in _CONTROL})
        middle, three, counts, first, load = (
            delay(m, early[name], 1, f"{name}_slot") for name in ("middle", "three", "counts", "first", "load")
        )
        row = delayed_tags(m, row, wait, "row")[-1]
        slot = delay(m, slot, wait, "slot")

        # which matrix a slot serves is its number
        square_valid = Signal.like(row.live)
        value_valid = Signal.like(row.live)
        # no multiplexer, of which synthesis would make a reset
        m.d.comb += [
            square_valid.eq(row.live & (counts & (slot != 2)).replicate(len(row.live))),
            value_valid.eq(row.live & (counts & ((slot == 0) | three)).replicate(len(row.live))),
        ]
        unit, statistics = self._units[0], self._statistics
        products, codes = unit.product_latency, unit.code_latency
        context = delay(m, row.context, products, "context")
        m.d.comb += [
            statistics.square_valid.eq(delay(m, square_valid, products, "square_valid")),
            statistics.square_context.eq(context),
            statistics.second.eq(delay(m, middle, products, "second")),
            self.values.valid.eq(delay(m, value_valid, codes, "value_valid")),
            self.values.context.eq(delay(m, context, codes - products, "value_context")),
            self.values.which.eq(delay(m, slot, codes, "which")),
        ]

        if self._params.extra_bits:
            m.d.comb += [
                statistics.power_valid.eq(delay(m, value_valid, products, "power_valid")),
                statistics.power_which.eq(delay(m, slot, products, "power_which")),
            ]

        # what leaves once for each row group
        decay_tag = Signal.like(row)
        m.d.comb += [decay_tag.eq(row), decay_tag.valid.eq(first & is_op(row, Op.F))]
        m.d.comb += self.decay_tag.eq(delayed_tags(m, decay_tag, unit.decay_latency, "decay_tag")[-1])
        m.d.sync += [self.traced.eq(row), self.traced.valid.eq(row.valid & (first | load))]
        return m

    def _slots(self, m: Module) -> tuple[data.View, Signal, Signal, Signal]:
        """The row group whose slots are addressed, its slot, and whether its ``wide`` or its loaded word is next."""
        # what follows from a tag, a cycle before it is needed
        takes, loads = flags("takes", "loads")
        taken = Signal(tag_layout(self._params))
        last = Signal(2)
        contracts = Signal()
        m.d.sync += [
            taken.eq(self.ahead),
            takes.eq(is_op(self.ahead, *GAIN_OPS)),
            loads.eq(self.ahead.op == Op.EMBED),
            contracts.eq(self.ahead.op == Op.CONTRACT),
            # no multiplexer, of which synthesis would make a reset
            last.eq(
                Cat(
                    Cat(self.ahead.op == op for op, at in LAST_SLOTS.items() if at >> bit & 1).any() for bit in (0, 1)
                )
            ),
        ]
        of_embed, of_contract = flags("of_embed", "of_contract")
        row = Signal.like(taken)
        load, first = flags("load", "first")
        slot = Signal(2)
        last_slot = Signal(2)
        m.d.sync += [load.eq(takes & loads), first.eq(takes & ~loads)]
        with m.If(takes):
            m.d.sync += [row.eq(taken), slot.eq(0), last_slot.eq(last)]
            m.d.sync += [of_embed.eq(loads), of_contract.eq(contracts)]
        with m.Elif(load):
            pass
        with m.Elif(slot == last_slot):
            m.d.sync += row.valid.eq(0)
        with m.Else():
            m.d.sync += slot.eq(plus_one(slot))

        # Address of the slot's word: its kind, then the row group in the block; and with the end of a row block, the
        # release of its words.
        params = self._params
        group = Signal((params.row_groups - 1).bit_length())
        most = gain_words(Group.EMBED, last_layer=False)
        kind = Signal(range(most_kinds(params)))
        ended = Signal()
        kinds = Signal(range(most_kinds(params) + 1))
        m.d.sync += [
            group.eq(row.index[: len(group)]),
            # the number of contexts and of slots are within its range
            kind.eq(cut(Mux(load, row.context, Mux(of_embed, self.contexts + slot, slot)), kind)),
            ended.eq(row.valid & row.last & (slot == last_slot) & ~load),
            kinds.eq(cut(Mux(of_embed, self.contexts + most, Mux(of_contract, most, 1)), kinds)),
            self.side.address.eq(Cat(group, kind)),
            self.side.release.eq(cut(Mux(ended, kinds * params.gain_beats, 0), self.side.release)),
        ]
        return row, slot, first, load

    def _data(self, m: Module, control: dict[str, Signal]) -> None:
        """Rows and words through their units to the statistics and out; what controls these comes a cycle early."""
        m.submodules.statistics = statistics = self._statistics
        connect(m, statistics.found, flipped(self.statistics))
        counted = self.counted if self._params.linked else self.values
        m.d.comb += [
            statistics.begin.eq(self.constants.begin),
            statistics.bias.eq(self.constants.bias),
            statistics.value_valid.eq(counted.valid),
            statistics.value_context.eq(counted.context),
            statistics.which.eq(counted.which),
            statistics.values.eq(counted.floats),
        ]
        for index, unit in enumerate(self._units):
            m.submodules[f"row_{index}"] = unit
            m.submodules[f"control_{index}"] = copy = LocalCopy(*control)
            m.d.comb += [copy.i[name].eq(value) for name, value in control.items()]
            m.d.comb += [getattr(unit, name).eq(copy.o[name]) for name in control]
            m.d.comb += [
                unit.wide.eq(self.wide[index]),
                unit.second.eq(self.second[index]),
                unit.word.eq(self.side.words[index]),
                unit.kappa.eq(self.constants.kappa),
                statistics.products[index].eq(unit.stat_product),
                self.values.floats[index].eq(unit.code),
                self.decay[index].eq(unit.decay),
                self.held[index].eq(unit.held),
            ]
            if self._params.extra_bits:
                m.d.comb += statistics.gain_products[index].eq(unit.gain_product)
