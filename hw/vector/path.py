# SPDX-License-Identifier: Apache-2.0
"""The vector path: straight pipelines from drained accumulators to the next product's quantiser input."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tritforge.golden.model.formats import DECAY_FRAC
from tritforge.hw.codes.produced import Values
from tritforge.hw.lib.pipeline import LocalCopy, delay, delayed_tags
from tritforge.hw.lib.ram import Ram
from tritforge.hw.operations import Op, is_op, tag_layout
from tritforge.hw.params import CONTEXTS_BITS, CoreParams
from tritforge.hw.scales.scales import OutputScale, VectorStatistics
from tritforge.hw.stream.side import SideRead
from tritforge.hw.vector.gain import GainStage, GroupConstants
from tritforge.hw.vector.lane import VectorLane
from tritforge.hw.vector.recurrence import Recurrence, StateWindow

_SHORT = (Op.OUT, Op.CONTRACT)
_LONG = (Op.F, Op.I, Op.G, Op.GATE)
ANNOUNCED = 2
"""Cycles by which ``empty`` comes early: its reader takes as long to read the statistics."""
_MERGE = 3
"""Cycles in which the tags of all operations come together at the gain stage's port."""


class RowIssue(wiring.Signature):
    """Row groups on their way into the vector path, seen from the sequencer.

    Attributes
    ----------
    tag : Out, of a row group (`tag_layout`); its accumulators and scale come a cycle later.
    zero, state_word : Out, with it; the state reads as zero, and its word.
    empty : In, every row issued before this cycle is old enough: `ANNOUNCED` cycles later ``maxima`` and ``powers``
        are final and the last value has been on the port, `TOTAL_LATE` cycles more and ``total`` is final, too.
    buffered : In, the same for what is in row buffers: G and UP may be issued from the next cycle on. Low in the
        two cycles after any issue.
    """

    def __init__(self, params: CoreParams) -> None:
        words = params.batch * params.slot_values // params.vector_rows
        super().__init__(
            {
                "tag": Out(tag_layout(params)),
                "zero": Out(1),
                "state_word": Out(range(words)),
                "empty": In(1),
                "buffered": In(1),
            }
        )


class VectorPath(wiring.Component):
    """Takes up to V = ``params.vector_rows`` output rows a cycle and never stalls: the issuer has seen to everything.

    An output row is a sum that becomes a value: times its scale, through a function, times or plus another value,
    times its gains. The path is one straight pipeline, of which each operation takes the stages that it needs; the
    row group's tag goes along and says which. Nothing in it waits, so when a row group is through is a matter of
    counting, and who issues the next one counts. A row group of each operation, by the cycle from its issue (i) on::

                  0         1         2         3         4
        cycle     012345678901234567890123456789012345678901234567
        EMBED     i............g.............e
        OUT       irrrrrrrr+++g..........e
        CONTRACT  irrrrrrrr+++g............e
        UP        irrrrrrrrxxxxxxxxg..........e
        F         irrrrrrrr....fffffffffffffff........gb...e
        I         irrrrrrrr....fffffffffffbfff.........e
        GATE      irrrrrrrr....fffffffffbfffff.........e
        G         ihhhhhhhhhhhhfffffffffffffffxxxxxxxxg..........e

    (r rescale, h recurrence, f function, x product, + sum, g gain stage, b ``buffered``, e ``empty``.)

    Each operation goes only through the stages that it needs::

        issue      accumulators, scale, tag
        rescale    y = acc * scale                | h' = h + c (silu(i) - h)   (G)
        function   sigmoid(-y) (F), silu(y) (I, GATE), silu(h') (G)
        combine    y * silu (G, UP), x + y (OUT, CONTRACT)
        gain       see GainStage; EMBED comes here at once

    F and I (GATE) leave their results in row buffers, one word for each row group of the block and context, for G
    (UP). Row groups are issued slots(core)[op] cycles apart. The rows of a shorter way must not overtake others:
    EMBED, OUT and CONTRACT begin when the path is ``empty``, UP and G when their operands are ``buffered``; F, I and
    GATE may follow anything of their own group.

    Parameters
    ----------
    params : geometry, contexts, limits and widths.

    Attributes
    ----------
    arrival : for each operation, cycles from its issue to the gain stage (I, GATE: to the end of their way).
    until_empty : for each operation, cycles from its issue until ``empty``.
    until_buffered : for F, I and GATE, cycles from the issue until ``buffered``.
    rows : In, what is issued. acc, scale : In, a cycle after it; one scale for the row group.
    contexts : In, of the packet. constants : In, of the group.
    side : Out, to SideWords.
    values : Out, for the vector store. statistics : Out, for the scale unit.
    counted : In, of a linked core: the values of all cores, which the maxima are of.
    state : In, for the host, see Recurrence.
    saturated : Out, a row of a row group was clamped; once for each row group.
    tap_valid, tap_op, tap : Out, mask of live rows, operation and result at the gain stage.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        rows = params.vector_rows
        wide = data.ArrayLayout(signed(params.formats.wide_bits), rows)
        self._units = [VectorLane(params) for _ in range(rows)]
        self._recurrence = Recurrence(params)
        self._gain = GainStage(params)
        first = self._units[0]
        # the tags of all stages come together at the gain stage's
        self.arrival = {
            Op.EMBED: self._gain.lead + _MERGE + 1,
            Op.UP: first.y_stage + first.product_latency,
            **dict.fromkeys(_SHORT, first.y_stage + first.sum_latency),
            **dict.fromkeys(_LONG, first.function_stage + first.product_latency),
        }
        # I and GATE end with their flag of saturation
        settled = {op: cycles + self._gain.settled.get(op, 3) for op, cycles in self.arrival.items()}
        self.until_empty = {op: cycles - ANNOUNCED for op, cycles in settled.items()}
        # a result can be read one cycle after its write; G reads for its update, UP so that the word is there with y,
        # and the issue follows ``buffered``
        g_reads = 1 + Recurrence.operand_latency - Ram.latency
        self.until_buffered = {
            Op.F: settled[Op.F] - g_reads - 1,
            Op.I: first.function_stage + 2 - g_reads - 1,
            Op.GATE: first.function_stage + 2 - (first.y_stage - Ram.latency) - 1,
        }
        super().__init__(
            {
                "rows": In(RowIssue(params)),
                "acc": In(data.ArrayLayout(signed(params.acc_bits), rows)),
                "scale": In(OutputScale(params)),
                "contexts": In(CONTEXTS_BITS),
                "constants": In(GroupConstants()),
                "side": Out(SideRead(params)),
                "values": Out(Values(params)),
                "statistics": Out(VectorStatistics(params)),
                **({"counted": In(Values(params))} if params.linked else {}),
                "state": In(StateWindow(params)),
                "saturated": Out(1),
                "tap_valid": Out(rows),
                "tap_op": Out(4),
                "tap": Out(wide),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.recurrence = recurrence = self._recurrence
        m.submodules.gain = gain = self._gain
        connect(m, flipped(self.state), recurrence.state)
        for port in ("constants", "side", "values", "statistics", *(["counted"] if self._params.linked else [])):
            connect(m, flipped(getattr(self, port)), getattr(gain, port))
        m.d.comb += gain.contexts.eq(self.contexts)
        tags = delayed_tags(m, self.rows.tag, self._units[0].function_stage + 1, "tag")
        decay, candidate = self._row_buffers(m, tags)
        self._recur(m, tags, decay, candidate)
        self._rows(m, tags, candidate, self._residuals(m, tags))
        self._to_gain(m, tags)
        m.d.comb += [
            self.tap_valid.eq(Mux(gain.traced.valid, gain.traced.live, 0)),
            self.tap_op.eq(gain.traced.op),
            self.tap.eq(gain.held),
            self.rows.empty.eq(self._settled(m, tags, self.until_empty, "age")),
            self.rows.buffered.eq(self._settled(m, tags, self.until_buffered, "buffer_age")),
        ]
        return m

    def _recur(self, m: Module, tags: list[data.View], decay: data.View, candidate: data.View) -> None:
        """The state's word is read one cycle after the issue."""
        recurrence = self._recurrence
        update = Signal.like(recurrence.update)
        # no multiplexer, of which synthesis would make a reset
        m.d.sync += update.eq(tags[0].live & is_op(tags[0], Op.G).replicate(len(update)))
        m.d.comb += [
            recurrence.update.eq(update),
            recurrence.word.eq(self.rows.state_word),
            recurrence.zero.eq(delay(m, self.rows.zero, 1, "zero", reset_less=True)),
            recurrence.decay.eq(decay),
            recurrence.candidate.eq(candidate),
        ]

    def _rows(self, m: Module, tags: list[data.View], candidate: data.View, residual: data.View) -> None:
        """Rows through their units; the tag at each stage says what its row needs there."""
        first = self._units[0]
        h = delay(m, self._recurrence.h, first.x_stage - Recurrence.latency - 1, "h", reset_less=True)

        def one_before(stage: int, *ops: Op) -> Signal:
            """Whether the row a cycle before a stage is of one of the operations: found out a cycle earlier."""
            found = Signal(name=f"one_before_{stage}_{ops[0].name.lower()}")
            m.d.sync += found.eq(is_op(tags[stage - 2], *ops))
            return found

        control = {
            "use_h": one_before(first.x_stage, Op.G),
            "silu": one_before(first.x_stage, Op.I, Op.GATE, Op.G),
            "up": one_before(first.y_stage, Op.UP),
            "add": one_before(self.arrival[Op.OUT] - first.sum_latency, *_SHORT),
            "keep": delay(m, one_before(first.function_stage + 1, Op.F), first.product_latency - 4, "keep"),
            "carry_function": one_before(first.function_stage, Op.F),
        }
        for index, unit in enumerate(self._units):
            m.submodules[f"row_{index}"] = unit
            m.submodules[f"control_{index}"] = copy = LocalCopy(*control)
            m.d.comb += [copy.i[name].eq(value) for name, value in control.items()]
            m.d.comb += [getattr(unit, name).eq(copy.o[name]) for name in control]
            m.d.comb += [
                unit.acc.eq(self.acc[index]),
                unit.mantissa.eq(self.scale.mantissa),
                unit.shift.eq(self.scale.shift),
                unit.h.eq(h[index]),
                unit.candidate.eq(candidate[index]),
                unit.residual.eq(residual[index]),
            ]

    def _to_gain(self, m: Module, tags: list[data.View]) -> None:
        """Row groups come together at the gain stage, at most one a cycle: none overtakes another."""
        gain, first = self._gain, self._units[0]
        stages: dict[int, list[Op]] = {}
        for op, cycles in self.arrival.items():
            stages.setdefault(cycles - gain.lead - _MERGE, []).append(op)
        # three registers: whether a row group leaves a stage, it or nothing, then the only one that does
        leaving = []
        for stage, ops in stages.items():
            leaves = Signal(name=f"leaves_{stage}")
            m.d.sync += leaves.eq(is_op(tags[stage], *ops))
            tag = tags[stage + 1].as_value()
            left = Signal(len(tag), name=f"left_{stage}")
            m.d.sync += left.eq(tag & leaves.replicate(len(tag)))
            leaving.append(left)
        merged = Signal.like(gain.ahead)
        m.d.sync += merged.as_value().eq(reduce(or_, leaving))
        m.d.comb += gain.ahead.eq(merged)
        ahead = Signal(data.StructLayout({"valid": 1, "live": self._params.vector_rows, "op": 4}))
        m.d.comb += [ahead[name].eq(gain.ahead[name]) for name, _ in ahead.shape()]
        arrivals = delayed_tags(m, ahead, gain.lead, "arrived")
        arrived = arrivals[-1]

        def found(name: str, tag: data.View, *ops: Op) -> Signal:
            """Whether a tag is of one of the operations, a cycle later."""
            of = Signal(name=f"{name}_{ops[0].name.lower()}")
            m.d.sync += of.eq(is_op(tag, *ops))
            return of

        for index, unit in enumerate(self._units):
            m.submodules[f"control_at_gain_{index}"] = copy = LocalCopy("g")
            m.d.comb += [
                copy.i.g.eq(found("arriving", arrivals[-3], Op.G)),
                gain.wide[index].eq(unit.wide),
                # the statistics of the product behind the recurrence need g itself
                gain.second[index].eq(Mux(copy.o.g, unit.carried, unit.wide)),
            ]

        # two cycles after the row group's arrival: the units are far apart
        flags = [(Cat(unit.saturated for unit in self._units) & tags[first.y_stage].live).any()]
        for stage in range(first.y_stage, max(self.arrival.values()) + 1):
            flags.append(delay(m, flags[-1], 1, f"saturated_{stage}"))
        clamped = {op: flags[cycles + 1 - first.y_stage] for op, cycles in self.arrival.items() if op is not Op.EMBED}
        overflow = Signal()
        m.d.sync += overflow.eq((Cat(unit.overflow for unit in self._units) & arrived.live).any())
        m.d.sync += self.saturated.eq(
            found("arrived", arrived, Op.F, Op.I, Op.GATE) & clamped[Op.F]
            | found("arrived", arrived, Op.G) & (clamped[Op.G] | overflow)
            | found("arrived", arrived, Op.UP) & (clamped[Op.UP] | overflow)
            | found("arrived", arrived, *_SHORT) & (clamped[Op.OUT] | overflow)
        )

    def _row_buffers(self, m: Module, tags: list[data.View]) -> tuple[data.View, data.View]:
        """Decay and candidate of a block's rows; G reads both one cycle after its issue, UP before its combine."""
        params, gain, first = self._params, self._gain, self._units[0]
        depth = params.batch * params.row_groups
        m.submodules.decays = decays = Ram(DECAY_FRAC, params.vector_rows, depth)
        m.submodules.candidates = candidates = Ram(signed(params.formats.wide_bits), params.vector_rows, depth)

        def place(tag: data.View) -> Value:
            group = Signal((params.row_groups - 1).bit_length(), name="group")
            m.d.comb += group.eq(tag.index[: len(group)])
            return self._word(tag.context, group, params.row_groups)

        # G's update is a cycle after its issue, UP's operands meet with y
        by_g, before_g, by_up, stored = (
            tags[1 + Recurrence.operand_latency - Ram.latency],
            tags[Recurrence.operand_latency - Ram.latency],
            tags[first.y_stage - Ram.latency - 1],
            tags[first.function_stage + 1],
        )
        up = Signal(name="reads_for_up")
        stores = Signal()
        reads = Signal.like(candidates.read_address)
        m.d.sync += [
            up.eq(is_op(tags[first.y_stage - Ram.latency - 2], Op.UP)),
            reads.eq(Mux(up, place(by_up), place(before_g))),
            stores.eq(is_op(tags[first.function_stage], Op.I, Op.GATE) & tags[first.function_stage].live.any()),
        ]
        m.d.comb += [
            decays.write_address.eq(place(gain.decay_tag)),
            decays.write.eq((gain.decay_tag.valid & gain.decay_tag.live.any()).replicate(params.vector_rows)),
            decays.write_data.eq(gain.decay),
            candidates.write_address.eq(place(stored)),
            candidates.write.eq(stores.replicate(params.vector_rows)),
            decays.read_address.eq(place(by_g)),
            candidates.read_address.eq(reads),
        ]
        for index, unit in enumerate(self._units):
            function = delay(m, unit.function, 1, f"function_{index}", reset_less=True)
            m.d.comb += candidates.write_data[index].eq(function)
        return decays.read_data, candidates.read_data

    def _residuals(self, m: Module, tags: list[data.View]) -> data.View:
        """The residual of the rows that are rescaled; each row is read and written back once a group."""
        params, gain = self._params, self._gain
        words = params.max_hidden // params.vector_rows
        m.submodules.residuals = residuals = Ram(
            signed(params.formats.wide_bits), params.vector_rows, params.batch * words
        )
        reads, traced = tags[self._units[0].y_stage - Ram.latency - 2], gain.traced
        # words beyond a vector's end belong to the next context
        keeps = is_op(traced, Op.EMBED, *_SHORT) & traced.live.any()
        address = Signal.like(residuals.read_address, reset_less=True)
        m.d.sync += address.eq(self._word(reads.context, reads.index, words))
        # a cycle after the trace
        write_address = Signal.like(residuals.write_address, reset_less=True)
        write_data = Signal.like(residuals.write_data, reset_less=True)
        write = Signal()
        m.d.sync += [
            write.eq(keeps),
            write_address.eq(self._word(traced.context, traced.index, words)),
            write_data.eq(gain.held),
        ]
        m.d.comb += [
            residuals.read_address.eq(address),
            residuals.write.eq(write.replicate(params.vector_rows)),
            residuals.write_address.eq(write_address),
            residuals.write_data.eq(write_data),
        ]
        return delay(m, residuals.read_data, 1, "residual", reset_less=True)

    def _word(self, context: Value, index: Value, words: int) -> Value:
        """Address in a memory with ``words`` for each context; what does not lie in it is not accessed."""
        starts = Array(words * number for number in range(self._params.batch))
        bits = (self._params.batch * words - 1).bit_length()
        return (starts[context] + index if self._params.batch > 1 else index)[:bits]

    def _settled(self, m: Module, tags: list[data.View], cycles: dict[Op, int], name: str) -> Value:
        """Whether every row issued before this cycle, of the operations in ``cycles``, is that many cycles old or
        more; not in the two cycles after an issue, the first of which has it in ``tags[1]``."""
        # bit n: something is unsettled for n more cycles; an operation is found out a cycle after its issue shows
        left = Signal(max(cycles.values()) - 3, name=name)
        found: dict[tuple[Op, ...], Value] = {(): Const(0, 1)}
        for place, bit in enumerate(left):
            lasting = tuple(op for op, age in cycles.items() if age - 4 >= place)
            if lasting not in found:
                found[lasting] = Signal(name=f"{name}_{place}_issued")
                m.d.sync += found[lasting].eq(is_op(tags[1], *lasting))
            m.d.sync += bit.eq(
                found[lasting] | (0 if place else tags[1].valid) | (left[place + 1] if place + 1 < len(left) else 0)
            )
        return ~tags[1].valid & ~left[0]
