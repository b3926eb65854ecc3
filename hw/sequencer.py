# SPDX-License-Identifier: Apache-2.0
"""The sequencer: walks the schedule on the drain side and issues output rows to the vector path."""

from amaranth.hdl import Array, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw import schedule as sc
from hw.header import TokenShape
from hw.ops import OPS, SLOTS, Op, Tag
from hw.params import CoreParams
from hw.schedule import Group, Status

SETTLE = 16
"""Cycles that a faulted token's beats may still be under way in the array."""


class Sequencer(wiring.Component):
    """Runs one token at a time: header, then group by group constants, rows and the dependency behind them.

    A group's rows are issued when the array has ``loaded`` their block (EMBED: when ``embed_block`` has been
    counted) and its scale is in ``scale_ready``. After a group's last row, once the vector path is ``empty``,
    ``dependency`` pulses: the statistics are final, scales and codes of the next group can be computed.
    Constants are read while that happens.

    ``begin`` precedes a group's rows, ``begin_token`` a token. A bad header raises ``reject``; that or ``fault``
    (from the stream front) ends the token: everything settles under ``clear``, then ``finish`` sends ``status``.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        super().__init__(
            {
                "word": In(unsigned(32)),
                "word_valid": In(1),
                "pop": Out(1),
                "pop_last": Out(1),
                "shape": In(TokenShape),
                "header_pop": Out(1),
                "header_done": In(1),
                "header_status": In(4),
                "idle": Out(1),
                "accept": Out(1),
                "reject": Out(1),
                "fault": In(1),
                "fault_status": In(4),
                "clear": Out(1),
                "torn": Out(1),
                "restored": In(1),
                "embed_block": In(1),
                "loaded": In(1),
                "fed": In(1),
                "block_pending": Out(1),
                "drain": Out(1),
                "scale_ready": In(3),
                "scale": Out(2),
                "issue": Out(Tag),
                "head_valid": Out(1),
                "head_ready": In(1),
                "empty": In(1),
                "buffered": In(1),
                "begin_token": Out(1),
                "begin": Out(1),
                "dependency": Out(1),
                "next_three": Out(1),
                "next_inner": Out(1),
                "scale_words": Out(data.ArrayLayout(unsigned(32), 3)),
                "constants_valid": Out(1),
                "kappa": Out(17),
                "bias": Out(64),
                "finish": Out(1),
                "status": Out(4),
                "finished": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core, shape = self._core, self.shape
        group, layer, matrix = Signal(Group), Signal(8), Signal(2)
        row, first_row, gap = Signal(range(core.rows)), Signal(17), Signal(range(max(SLOTS.values())))
        loaded, embed_blocks = Signal(), Signal(8)
        count, settle = Signal(range(sc.HEADER_WORDS)), Signal(range(SETTLE))
        constants = Array(Signal(32, name=f"constant_{i}") for i in range(sc.CONSTANT_WORDS))

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
        slots = Array(SLOTS[op] for op in Op)[op]
        block_ends = first_row + core.rows >= rows
        head = group == Group.HEAD
        row_ready = Signal()
        m.d.comb += [
            # gate and up share a vector and a scale
            self.scale.eq(Mux(group == Group.MIX, matrix, 0)),
            self.kappa.eq(constants[3]),
            self.bias[:32].eq(constants[4]),
            self.bias[32:].eq(constants[5]),
            self.issue.op.eq(op),
            self.issue.live.eq(first_row + row < rows),
            self.next_three.eq((group == Group.EMBED) | ((group == Group.CONTRACT) & ~last_layer)),
            self.next_inner.eq(group == Group.EXPAND),
        ]
        for index in range(3):
            m.d.comb += self.scale_words[index].eq(constants[index])
        with m.If(self.begin_token):
            m.d.sync += [group.eq(Group.EMBED), layer.eq(0)]

        # a row block is pending from its last beat until its last row is issued
        with m.If(self.fed):
            m.d.sync += self.block_pending.eq(1)
        with m.If(self.loaded):
            m.d.sync += loaded.eq(1)

        def block_done() -> None:
            """The rows of one matrix's block are out: on to the next matrix, block or group."""
            m.d.sync += [row.eq(0), matrix.eq(matrix + 1), loaded.eq(0)]
            with m.If(group != Group.EMBED):
                m.d.sync += self.block_pending.eq(0)
            m.next = "WAIT"
            with m.If(last_matrix):
                m.d.sync += [matrix.eq(0), first_row.eq(first_row + core.rows)]
                with m.If(block_ends):
                    m.d.sync += first_row.eq(0)
                    m.next = "DEPEND"
                    with m.If(head):
                        m.next = "FINISH"

        def guard(accepted=1) -> None:
            """A fault ends the token wherever it is; once accepted, it may have changed the state."""
            with m.If(self.fault):
                m.d.sync += [self.status.eq(self.fault_status), self.torn.eq(self.torn | accepted)]
                m.next = "SETTLE"

        embed_taken = Signal()
        m.d.sync += embed_blocks.eq(embed_blocks + self.embed_block - embed_taken)

        with m.If(gap != 0):
            m.d.sync += gap.eq(gap - 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [count.eq(0), self.status.eq(Status.OK), first_row.eq(0), row.eq(0), matrix.eq(0)]
                with m.If(self.word_valid):
                    m.next = "HEADER"
                guard(accepted=0)
            with m.State("HEADER"):
                m.d.comb += [self.pop.eq(self.word_valid), self.header_pop.eq(self.word_valid)]
                m.d.comb += self.pop_last.eq(count == sc.HEADER_WORDS - 1)
                with m.If(self.word_valid):
                    m.d.sync += count.eq(count + 1)
                    with m.If(self.pop_last):
                        m.d.sync += count.eq(0)
                        m.next = "CHECK"
                guard(accepted=0)
            with m.State("CHECK"):
                with m.If(self.header_done):
                    m.next = "CONSTANTS"
                    m.d.comb += [self.accept.eq(1), self.begin_token.eq(1)]
                    m.d.sync += self.torn.eq(0)
                    with m.If(self.header_status != Status.OK):
                        m.d.comb += [self.accept.eq(0), self.begin_token.eq(0), self.reject.eq(1)]
                        m.d.sync += [self.status.eq(self.header_status), self.torn.eq(self.torn)]
                        m.next = "SETTLE"
                guard(self.accept)
            with m.State("CONSTANTS"):
                m.d.comb += [self.pop.eq(self.word_valid), self.pop_last.eq(count == sc.CONSTANT_WORDS - 1)]
                with m.If(self.word_valid):
                    m.d.sync += [constants[count[:3]].eq(self.word), count.eq(count + 1)]
                    with m.If(self.pop_last):
                        m.d.sync += [count.eq(0), self.constants_valid.eq(1)]
                        m.next = "BEGIN"
                guard()
            with m.State("BEGIN"):
                m.d.comb += self.begin.eq(1)
                m.next = "WAIT"
                guard()
            with m.State("WAIT"):
                with m.If(group == Group.EMBED):
                    m.d.comb += embed_taken.eq(embed_blocks != 0)
                    with m.If(embed_taken):
                        m.next = "ROWS"
                with m.Else():
                    settled = self.buffered | ~((op == Op.G) | (op == Op.UP))
                    with m.If(loaded & self.scale_ready.bit_select(self.scale, 1) & settled):
                        m.next = "ROWS"
                guard()
            with m.State("ROWS"):
                m.d.comb += [
                    row_ready.eq((gap == 0) & (~head | ~self.issue.live | self.head_ready)),
                    self.issue.valid.eq(row_ready & ~head),
                    self.head_valid.eq(head & (gap == 0) & self.issue.live),
                    self.drain.eq(row_ready & (group != Group.EMBED)),
                ]
                with m.If(row_ready):
                    m.d.sync += [row.eq(row + 1), gap.eq(slots - 1)]
                    with m.If(row == core.rows - 1):
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
                m.d.sync += [settle.eq(settle + 1), count.eq(0), self.constants_valid.eq(0)]
                m.d.sync += [loaded.eq(0), self.block_pending.eq(0), embed_blocks.eq(0)]
                with m.If((settle == SETTLE - 1) & self.empty):
                    m.d.sync += settle.eq(0)
                    m.next = "FINISH"
                with m.Elif(settle == SETTLE - 1):
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
