# SPDX-License-Identifier: Apache-2.0
"""The vector path: one straight pipeline from a drained accumulator to the next product's quantiser input."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.numerics import DECAY_FRAC
from hw.activation import Activation
from hw.gain import GainStage
from hw.ops import Op, Tag, delay, delayed_tags, is_op
from hw.params import CoreParams
from hw.recurrence import Recurrence
from hw.rescale import Rescale

PRODUCT_CYCLES = 4


class VectorPath(wiring.Component):
    """Takes one output row a cycle at most and never stalls: whoever issues a row has made sure of everything.

    Stages::

        issue     accumulator, scale, tag; row buffers and state are read
        rescale   y = acc * scale                 | h' = h + c (silu(i) - h)   (G)
        function  sigmoid(-y) (F), silu(y) (I, GATE), silu(h') (G)
        combine   y * silu (G, UP), x + y (OUT, CONTRACT)
        gain      see GainStage

    F and I (GATE) leave their results in row buffers, one entry a row of the block, for G (UP). The issuer waits
    until they are ``buffered`` before the first G or UP row, and until the pipe is ``empty`` before it uses the
    statistics; it keeps rows SLOTS[op] cycles apart and pulses ``begin`` with ``bias`` before a group's first row,
    ``begin_token`` before a token.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        fmt = core.formats
        wide = signed(fmt.wide_bits)
        self._rescale = Rescale(core)
        self._activation = Activation(fmt)
        self._recurrence = Recurrence(core)
        self._gain = GainStage(core)
        self._before_function = max(self._rescale.latency, self._recurrence.latency)
        gain, state = self._gain.signature.members, self._recurrence.signature.members
        super().__init__(
            {
                "issue": In(Tag),
                "acc": In(signed(core.acc_bits)),
                "mantissa": In(unsigned(fmt.mantissa)),
                "shift": In(signed(12)),
                "zero_state": In(1),
                "begin_token": In(1),
                **{name: gain[name] for name in ("kappa", "begin", "bias", "word", "pop", "value_valid", "which")},
                **{name: gain[name] for name in ("value", "total", "maxima", "tap_valid", "tap_op", "tap")},
                **{name: state[name] for name in ("host", "address", "write", "write_data", "read_data")},
                "empty": Out(1),
                "buffered": Out(1),
                "saturated": Out(1),
            }
        )
        self._wide = wide

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fmt = self._core.formats
        m.submodules.rescale = rescale = self._rescale
        m.submodules.activation = activation = self._activation
        m.submodules.recurrence = recurrence = self._recurrence
        m.submodules.gain = gain = self._gain

        to_combine = self._before_function + activation.latency
        to_gain = to_combine + PRODUCT_CYCLES
        tags = delayed_tags(m, self.issue, to_gain, "tag")

        # rescale, with the recurrence beside it
        m.d.comb += [
            rescale.acc.eq(self.acc),
            rescale.mantissa.eq(self.mantissa),
            rescale.shift.eq(self.shift),
        ]
        decay, candidate, up_candidate = self._row_buffers(m, tags, to_combine)
        update = is_op(self.issue, Op.G) & self.issue.live
        m.d.comb += [
            recurrence.begin.eq(self.begin_token),
            recurrence.zero.eq(self.zero_state),
            recurrence.update.eq(update),
            recurrence.decay.eq(decay),
            recurrence.candidate.eq(candidate),
        ]
        for name in ("host", "address", "write", "write_data"):
            m.d.comb += getattr(recurrence, name).eq(getattr(self, name))
        m.d.comb += self.read_data.eq(recurrence.read_data)
        h = delay(m, recurrence.h, self._before_function - recurrence.latency, "h")
        y = delay(m, rescale.y, self._before_function - rescale.latency, "y")
        y_saturated = delay(m, rescale.saturated, to_gain - rescale.latency, "y_saturated")

        # function
        before = tags[self._before_function]
        m.d.comb += [
            activation.x.eq(Mux(before.op == Op.G, h, y)),
            activation.silu.eq(before.op != Op.F),
        ]
        y = delay(m, y, activation.latency, "y_function")

        # combine
        combine = tags[to_combine]
        a, b = Signal(self._wide), Signal(self._wide)
        product = Signal(signed(2 * fmt.wide_bits))
        m.d.sync += [a.eq(y), b.eq(Mux(combine.op == Op.UP, up_candidate, activation.y)), product.eq(a * b)]
        product_2 = delay(m, product, 1, "product")
        scaled = (product_2 + (1 << (fmt.frac - 1))) >> fmt.frac
        x = self._residual(m, tags, to_combine, gain)
        total = Signal(signed(fmt.wide_bits + 1))
        m.d.sync += total.eq(x + y)
        total = delay(m, total, 2, "total")
        is_product = is_op(tags[to_gain - 1], Op.G, Op.UP)
        is_sum = is_op(tags[to_gain - 1], Op.OUT, Op.CONTRACT)
        exact = Mux(is_product, scaled, total)
        limit = fmt.wide_max
        # F carries sigmoid, G its own y as the statistics' second operand
        carried = delay(m, Mux(combine.op == Op.F, activation.y, y), PRODUCT_CYCLES - 1, "carried")
        wide, second, overflow = Signal(self._wide), Signal(self._wide), Signal()
        combines = is_product | is_sum
        high, low = combines & (exact > limit), combines & (exact < -limit)
        with m.If(high):
            m.d.sync += wide.eq(limit)
        with m.Elif(low):
            m.d.sync += wide.eq(-limit)
        with m.Else():
            m.d.sync += wide.eq(Mux(combines, exact, carried))
        m.d.sync += [second.eq(carried), overflow.eq(high | low)]

        # gain
        at_gain = tags[to_gain]
        m.d.comb += [
            gain.tag.eq(at_gain),
            gain.wide.eq(wide),
            gain.second.eq(Mux(at_gain.op == Op.G, second, wide)),
            self.saturated.eq(at_gain.valid & at_gain.live & (at_gain.op != Op.EMBED) & (overflow | y_saturated)),
        ]
        for name in ("kappa", "begin", "bias", "word"):
            m.d.comb += getattr(gain, name).eq(getattr(self, name))
        for name in ("pop", "value_valid", "which", "value", "total", "maxima", "tap_valid", "tap_op", "tap"):
            m.d.comb += getattr(self, name).eq(getattr(gain, name))

        everything = {op: to_gain + gain.drain for op in Op}
        buffers = {Op.F: to_gain + gain.decay_latency, Op.I: to_combine, Op.GATE: to_combine}
        m.d.comb += [
            self.empty.eq(self._settled(m, everything, "age")),
            self.buffered.eq(self._settled(m, buffers, "buffer_age")),
        ]
        return m

    def _row_buffers(self, m: Module, tags: list[Tag], to_combine: int):
        """Decay and candidate of a block's rows; read by G at issue (data a cycle later) and UP at combine."""
        rows = self._core.rows
        m.submodules.decays = decays = Memory(shape=unsigned(DECAY_FRAC), depth=rows, init=[])
        m.submodules.candidates = candidates = Memory(shape=self._wide, depth=rows, init=[])
        decay_write, candidate_write = decays.write_port(), candidates.write_port()
        decay_read, g_read, up_read = decays.read_port(), candidates.read_port(), candidates.read_port()

        def counted(port, event):
            # row blocks have a power of two of rows, so each counter is at row 0 when a block begins
            counter = Signal(range(rows))
            with m.If(event):
                m.d.sync += counter.eq(counter + 1)
            with m.If(self.begin_token):
                m.d.sync += counter.eq(0)
            m.d.comb += port.addr.eq(counter)

        store = is_op(tags[to_combine], Op.I, Op.GATE)
        counted(decay_write, self._gain.decay_valid)
        counted(candidate_write, store)
        counted(decay_read, is_op(self.issue, Op.G))
        counted(g_read, is_op(self.issue, Op.G))
        counted(up_read, is_op(tags[to_combine - 1], Op.UP))
        m.d.comb += [
            decay_write.en.eq(self._gain.decay_valid),
            decay_write.data.eq(self._gain.decay),
            candidate_write.en.eq(store),
            candidate_write.data.eq(self._activation.y),
            decay_read.en.eq(1),
            g_read.en.eq(1),
            up_read.en.eq(1),
        ]
        return decay_read.data, g_read.data, up_read.data

    def _residual(self, m: Module, tags: list[Tag], to_combine: int, gain: GainStage):
        """The residual of the row at combine; rows are read and written back in order, each once a group."""
        depth = self._core.max_hidden
        m.submodules.residuals = residuals = Memory(shape=self._wide, depth=depth, init=[])
        read, write = residuals.read_port(), residuals.write_port()
        ahead = tags[to_combine - 1]
        reads = is_op(ahead, Op.OUT, Op.CONTRACT) & ahead.live
        for port, event in ((read, reads), (write, gain.residual_valid)):
            counter = Signal(range(depth))
            with m.If(self.begin):
                m.d.sync += counter.eq(0)
            with m.Elif(event):
                m.d.sync += counter.eq(counter + 1)
            m.d.comb += port.addr.eq(counter)
        m.d.comb += [read.en.eq(1), write.en.eq(gain.residual_valid), write.data.eq(gain.residual)]
        return read.data

    def _settled(self, m: Module, cycles: dict[Op, int], name: str):
        """Whether every row issued so far, of the operations in ``cycles``, is that many cycles old or more."""
        left = Signal(range(max(cycles.values()) + 1), name=name)
        waits = Signal.like(left, name=f"{name}_of_row")
        with m.Switch(self.issue.op):
            for op, depth in cycles.items():
                with m.Case(op):
                    m.d.comb += waits.eq(depth)
        with m.If(self.issue.valid & (waits > left)):
            m.d.sync += left.eq(waits)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        return ~self.issue.valid & (left == 0)
