# SPDX-License-Identifier: Apache-2.0
"""The sequencer: walks the schedule on the drain side and issues output rows to the vector path."""

from collections.abc import Callable
from itertools import pairwise

from amaranth.hdl import Array, Cat, Module, Mux, Signal, ValueLike, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.array import array_latency
from hw.header import token_shape
from hw.ops import OPS, Op, context_bits, delay, slots, tag_layout
from hw.params import CoreParams
from hw.schedule import Group, Status
from hw.side import SideWords, depth, release_limit, units


def settle_cycles(core: CoreParams) -> int:
    """Cycles after which no beat of a faulted token is under way in the array; a few to spare."""
    return array_latency(core) + 4


class Sequencer(wiring.Component):
    """Runs one packet at a time: header, then group by group constants, rows and the dependency behind them.

    A group's row groups are issued when the array has ``loaded`` their block (EMBED: when ``embed_block`` has been
    counted), context after context, each when its scale is ready. After a group's last row group, once the vector
    path is ``empty``, ``dependency`` pulses: the statistics are final, scales and codes of the next group can be
    computed. Constants are read while that happens.

    ``begin`` precedes a group's rows. A bad header raises ``reject``; that or ``fault`` (from the stream front) ends
    the packet: everything settles under ``clear``, then ``finish`` sends ``status``. ``torn`` is the mask of slots
    whose state is not that of a token boundary.

    ``address`` with ``reading`` reads header and constants from the side words; the answer ``word`` comes
    `SideWords.latency` cycles later, with ``header_pop`` where it belongs to the header.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        state_words = core.batch * core.max_layers * core.max_hidden // core.vector_rows
        super().__init__(
            {
                "level": In(range(depth(core) + 1)),
                "address": Out(range(units(core))),
                "words": In(data.ArrayLayout(unsigned(32), core.vector_rows)),
                "reading": Out(1),
                "side_release": Out(1),
                "side_amount": Out(range(release_limit(core) + 1)),
                "word": Out(unsigned(32)),
                "shape": In(token_shape(core)),
                "header_pop": Out(1),
                "header_done": In(1),
                "header_status": In(4),
                "idle": Out(1),
                "accept": Out(1),
                "reject": Out(1),
                "fault": In(1),
                "fault_status": In(4),
                "clear": Out(1),
                "torn": Out(core.batch),
                "restored": In(1),
                "embed_block": In(1),
                "loaded": In(1),
                "fed": In(1),
                "block_pending": Out(1),
                "drain": Out(1),
                "reload": Out(1),
                "next_context": Out(context_bits(core)),
                "scale_matrix": Out(2),
                "scale_context": Out(context_bits(core)),
                "scale_ready": In(1),
                "issue": Out(tag_layout(core)),
                "zero": Out(1),
                "state_base": Out(range(state_words)),
                "head_valid": Out(1),
                "head_ready": In(1),
                "head_row": Out(16),
                "head_live": Out(core.vector_rows),
                "empty": In(1),
                "buffered": In(1),
                "begin": Out(1),
                "dependency": Out(1),
                "next_three": Out(1),
                "next_inner": Out(1),
                "scale_words": Out(data.ArrayLayout(unsigned(32), 3)),
                "constants_valid": Out(1),
                "kappa": Out(17),
                "bias": Out(64),
                "begin_packet": Out(1),
                "finish": Out(1),
                "status": Out(4),
                "finished": In(1),
                "rows_active": Out(1),
                "group": Out(Group),
                "matrix": Out(2),
                "block": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core, shape, group, matrix, block = self._core, self.shape, self.group, self.matrix, self.block
        last_settle = settle_cycles(core) - 1
        groups_log2, lane_bits = core.row_groups.bit_length() - 1, core.vector_rows.bit_length() - 1
        gaps = slots(core)
        layer, row_group, gap = Signal(8), Signal(max(1, groups_log2)), Signal(range(max(gaps.values())))
        context = Signal(context_bits(core), name="row_context")
        loaded, embed_blocks, settle = Signal(), Signal(8), Signal(range(last_settle + 1))

        # where we are: rows of the matrix, the operation, and what follows
        last_layer = layer == shape.layers - 1
        rows, op, last_matrix = Signal(16), Signal(Op), Signal()
        m.d.comb += [rows.eq(shape.hidden), last_matrix.eq(1)]
        with m.Switch(group):
            for g, ops in OPS.items():
                with m.Case(g):
                    m.d.comb += [op.eq(Array(ops)[matrix]), last_matrix.eq(matrix == len(ops) - 1)]
                    if g is Group.EXPAND:
                        m.d.comb += rows.eq(shape.intermediate)
                    elif g is Group.HEAD:
                        m.d.comb += rows.eq(shape.vocab)
                    elif g is Group.CONTRACT:
                        with m.If(last_layer):
                            m.d.comb += op.eq(Op.OUT)
        head, embed = group == Group.HEAD, group == Group.EMBED
        index = Cat(row_group[:groups_log2], block)
        full, partial = rows >> lane_bits, rows[:lane_bits]
        block_ends = (block + 1 << groups_log2 + lane_bits) >= rows
        last_row_group = row_group == core.row_groups - 1
        last_context = context == shape.contexts - 1
        m.d.comb += [
            self.scale_matrix.eq(Mux(group == Group.MIX, matrix, 0)),  # gate and up share a vector and a scale
            self.scale_context.eq(context),
            self.issue.op.eq(op),
            self.issue.context.eq(context),
            self.issue.index.eq(index),
            self.issue.last.eq(last_row_group & last_context),
            self.zero.eq(shape.zero.bit_select(context, 1)),
            self.head_row.eq(index << lane_bits),
            self.next_context.eq(context + 1),
            self.next_three.eq(embed | ((group == Group.CONTRACT) & ~last_layer)),
            self.next_inner.eq(group == Group.EXPAND),
        ]
        live = self.head_live
        for lane in range(core.vector_rows):
            partly = (index == full) & (lane < partial) if lane < core.vector_rows - 1 else 0
            m.d.comb += live[lane].eq((index < full) | partly)
        m.d.comb += self.issue.live.eq(live)
        self._state_base(m, context)
        with m.If(self.begin_packet):
            m.d.sync += [group.eq(Group.EMBED), layer.eq(0)]

        # a row block is pending from its last beat until its last row group is issued
        with m.If(self.fed):
            m.d.sync += self.block_pending.eq(1)
        with m.If(self.loaded):
            m.d.sync += loaded.eq(1)

        def block_done() -> None:
            """The rows of one matrix's block are out: on to the next matrix, block or group."""
            m.d.sync += [matrix.eq(matrix + 1), loaded.eq(0)]
            with m.If(~embed):
                m.d.sync += self.block_pending.eq(0)
            m.next = "WAIT"
            with m.If(last_matrix):
                m.d.sync += [matrix.eq(0), block.eq(block + 1)]
                with m.If(block_ends):
                    m.d.sync += block.eq(0)
                    m.next = "DEPEND"
                    with m.If(head):
                        m.next = "FINISH"

        def guard(accepted: ValueLike = 1) -> None:
            """A fault ends the packet wherever it is; once accepted, it may have changed the state."""
            with m.If(self.fault):
                m.d.sync += [
                    self.status.eq(self.fault_status),
                    self.torn.eq(self.torn | Mux(accepted, shape.used, 0)),
                ]
                m.next = "SETTLE"

        read = self._reader(m)
        embed_taken, row_ready = Signal(), Signal()
        m.d.sync += embed_blocks.eq(embed_blocks + self.embed_block - embed_taken)
        with m.If(gap != 0):
            m.d.sync += gap.eq(gap - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [self.status.eq(Status.OK), block.eq(0), row_group.eq(0), matrix.eq(0), context.eq(0)]
                with m.If(self.level != 0):
                    m.next = "HEADER"
                guard(accepted=0)
            with m.State("HEADER"):
                read(sc.HEADER_WORDS, "CHECK")
                guard(accepted=0)
            with m.State("CHECK"):
                with m.If(self.header_done):
                    m.next = "CONSTANTS"
                    m.d.comb += [self.accept.eq(1), self.begin_packet.eq(1)]
                    m.d.sync += self.torn.eq(self.torn & ~shape.used)
                    with m.If(self.header_status != Status.OK):
                        m.d.comb += [self.accept.eq(0), self.begin_packet.eq(0), self.reject.eq(1)]
                        m.d.sync += [self.status.eq(self.header_status), self.torn.eq(self.torn)]
                        m.next = "SETTLE"
                guard(self.accept)
            with m.State("CONSTANTS"):
                read(sc.CONSTANT_WORDS, "ARRIVE")
                guard()
            with m.State("ARRIVE"):
                with m.If(self.constants_valid):
                    m.d.comb += self.begin.eq(1)
                    m.next = "WAIT"
                guard()
            with m.State("WAIT"):
                with m.If(embed):
                    m.d.comb += embed_taken.eq(embed_blocks != 0)
                    with m.If(embed_taken):
                        m.next = "ROWS"
                with m.Else():
                    settled = self.buffered | ~((op == Op.G) | (op == Op.UP))
                    with m.If((loaded | self.loaded) & self.scale_ready & settled):
                        m.next = "ROWS"
                guard()
            with m.State("ROWS"):
                m.d.comb += [
                    self.rows_active.eq(1),
                    row_ready.eq((gap == 0) & (self.scale_ready | embed) & (~head | ~live[0] | self.head_ready)),
                    self.issue.valid.eq(row_ready & ~head),
                    self.head_valid.eq(head & (gap == 0) & self.scale_ready & live[0]),
                    self.drain.eq(row_ready & ~embed),
                    self.reload.eq(last_row_group & ~last_context),
                ]
                with m.If(row_ready):
                    m.d.sync += [row_group.eq(row_group + 1), gap.eq(Array(gaps[o] for o in Op)[op] - 1)]
                    with m.If(last_row_group):
                        m.d.sync += [row_group.eq(0), context.eq(context + 1)]
                        with m.If(last_context):
                            m.d.sync += context.eq(0)
                            block_done()
                guard()
            with m.State("DEPEND"):
                with m.If(self.empty):
                    m.d.comb += self.dependency.eq(1)
                    m.d.sync += self.constants_valid.eq(0)
                    with m.If((group == Group.CONTRACT) & ~last_layer):
                        m.d.sync += [layer.eq(layer + 1), group.eq(Group.MIX)]
                    with m.Else():
                        m.d.sync += group.eq(group + 1)
                    m.next = "CONSTANTS"
                guard()
            with m.State("SETTLE"):
                m.d.comb += self.clear.eq(1)
                m.d.sync += [settle.eq(settle + 1), self.constants_valid.eq(0)]
                m.d.sync += [loaded.eq(0), self.block_pending.eq(0), embed_blocks.eq(0)]
                with m.If((settle == last_settle) & self.empty):
                    m.d.sync += settle.eq(0)
                    m.next = "FINISH"
                with m.Elif(settle == last_settle):
                    m.d.sync += settle.eq(settle)
            with m.State("FINISH"):
                m.d.comb += self.finish.eq(1)
                m.d.sync += self.constants_valid.eq(0)
                m.next = "RESULT"
            with m.State("RESULT"), m.If(self.finished):
                m.next = "IDLE"

        with m.If(self.restored):
            m.d.sync += self.torn.eq(0)
        return m

    def _reader(self, m: Module) -> Callable[[int, str], None]:
        """Header words to the reader, constants to registers; the result reads so many words, then goes on."""
        core = self._core
        lane_bits = core.vector_rows.bit_length() - 1
        beat_bits = (core.lanes // 4).bit_length() - 1
        count = Signal(range(sc.HEADER_WORDS))
        reading, constant = self.reading, Signal()
        at = [Signal.like(count, name=f"count_{i}") for i in range(SideWords.latency)]
        sent, kind = (delay(m, s, SideWords.latency, s.name) for s in (reading, constant))
        for earlier, later in pairwise([count, *at]):
            m.d.sync += later.eq(earlier)
        constants = Array(Signal(32, name=f"constant_{i}") for i in range(sc.CONSTANT_WORDS))
        m.d.comb += [
            self.address.eq(count >> lane_bits),
            self.word.eq(self.words[at[-1][:lane_bits]] if lane_bits else self.words[0]),
            self.header_pop.eq(sent & ~kind),
            self.kappa.eq(constants[3]),
            self.bias.eq(Cat(constants[4], constants[5])),
        ]
        for index in range(3):
            m.d.comb += self.scale_words[index].eq(constants[index])
        with m.If(sent & kind):
            m.d.sync += constants[at[-1][:3]].eq(self.word)
            with m.If(at[-1] == sc.CONSTANT_WORDS - 1):
                m.d.sync += self.constants_valid.eq(1)
        with m.If(self.clear | self.idle):
            m.d.sync += count.eq(0)

        def read(words: int, then: str) -> None:
            m.d.comb += [
                reading.eq(self.level > count >> beat_bits),
                constant.eq(words == sc.CONSTANT_WORDS),
                self.side_amount.eq(sc.side_beats(core, words)),
            ]
            with m.If(reading):
                m.d.sync += count.eq(count + 1)
                with m.If(count == words - 1):
                    m.d.comb += self.side_release.eq(1)
                    m.d.sync += count.eq(0)
                    m.next = then

        return read

    def _state_base(self, m: Module, context: Signal) -> None:
        """The state word of row group 0, a cycle after a change of context: G rows are two cycles apart at least."""
        core, shape = self._core, self.shape
        lane_bits = core.vector_rows.bit_length() - 1
        layer_base = Signal.like(self.state_base)
        slot_words = core.max_layers * core.max_hidden // core.vector_rows
        slot_base = Array(slot * slot_words for slot in range(core.batch))[shape.slots[context]]
        m.d.sync += self.state_base.eq(slot_base + layer_base)
        with m.If(self.begin_packet):
            m.d.sync += layer_base.eq(0)
        with m.Elif(self.dependency & (self.group == Group.CONTRACT)):
            m.d.sync += layer_base.eq(layer_base + (shape.hidden + core.vector_rows - 1 >> lane_bits))
