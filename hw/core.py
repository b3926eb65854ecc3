# SPDX-License-Identifier: Apache-2.0
"""The core: one token of a MatMul-free language model per packet of the weight stream."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect

from tritforge.hw.array.array import TernaryArray
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.control.axi_lite import AxiLite
from tritforge.hw.control.events import EventUnit
from tritforge.hw.control.registers import STATE_LATENCY, Registers
from tritforge.hw.control.result import ResultUnit
from tritforge.hw.control.sequencer import Sequencer
from tritforge.hw.lib.interfaces import Edge, delayed
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleUnit
from tritforge.hw.stream.front import StreamFront
from tritforge.hw.stream.header_reader import HeaderReader
from tritforge.hw.stream.side import SideWords
from tritforge.hw.taps import TRACE
from tritforge.hw.vector.path import VectorPath
from tritforge.hw.vector.recurrence import Recurrence

BUSES = ("s_axis_weights", "m_axis_result", "s_axil_csr")
"""Prefixes of the core's AXI interfaces."""


def taps(core: CoreParams) -> dict[str, wiring.Member]:
    """Debug ports: each row group's accumulators as they are issued and its results at the gain stage, with a mask of
    its live rows, lane 0 lowest; and what goes on in every cycle (hw/taps.py)."""
    rows = data.ArrayLayout(signed(32), core.vector_rows)
    kinds = {
        f"tap_{kind}{name}": Out(shape)
        for kind in ("acc", "wide")
        for name, shape in (("_valid", core.vector_rows), ("_op", 4), ("", rows))
    }
    return kinds | {"tap_trace": Out(TRACE)}


class Core(wiring.Component):
    """Weight stream in, one result packet a token out; see docs/architecture.md for the whole.

    Ports: ``s_axis_weights_*`` (AXI4-Stream, 8 * lanes bits), ``m_axis_result_*`` (AXI4-Stream, 32 bits),
    ``s_axil_csr_*`` (AXI4-Lite), one clock, one synchronous reset; ``tap_*`` if the parameters ask for them.

    Parameters
    ----------
    core : geometry, limits and widths.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        self._csr = Edge("s_axil_csr", AxiLite().flip())
        super().__init__(
            {
                "s_axis_weights_tdata": In(unsigned(8 * core.lanes)),
                "s_axis_weights_tvalid": In(1),
                "s_axis_weights_tready": Out(1),
                "s_axis_weights_tlast": In(1),
                "m_axis_result_tdata": Out(unsigned(32)),
                "m_axis_result_tvalid": Out(1),
                "m_axis_result_tready": In(1),
                "m_axis_result_tlast": Out(1),
                **self._csr.ports,
                **(taps(core) if core.taps else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = self._core
        m.submodules.registers = registers = Registers(core)
        m.submodules.events = events = EventUnit(core)
        m.submodules.front = front = StreamFront(core)
        m.submodules.side = side = SideWords(core)
        m.submodules.header = header = HeaderReader(core)
        m.submodules.sequencer = sequencer = Sequencer(core)
        m.submodules.store = store = VectorStore(core)
        m.submodules.array = array = TernaryArray(core)
        m.submodules.scales = scales = ScaleUnit(core)
        m.submodules.vector = vector = VectorPath(core)
        m.submodules.result = result = ResultUnit(core)

        self._stream(m, front, side, header, sequencer, vector)
        self._products(m, front, header, sequencer, store, array, scales, vector)
        self._rows(m, header, sequencer, array, scales, vector)
        self._result(m, header, sequencer, array, scales, result)
        self._control(m, registers, events, front, header, sequencer, scales, vector)
        if core.taps:
            self._taps(m, front, sequencer, array, scales, vector, store, result)
        return m

    def _stream(self, m, front, side, header, sequencer, vector) -> None:
        """Weight stream to front to side words to header reader, sequencer and vector path."""
        weights = front.weights
        clear, reading = delay(m, sequencer.clear, 1, "clear"), delay(m, sequencer.reading, 1, "reading")
        m.d.comb += [
            weights.payload.data.eq(self.s_axis_weights_tdata),
            weights.payload.last.eq(self.s_axis_weights_tlast),
            weights.valid.eq(self.s_axis_weights_tvalid),
            self.s_axis_weights_tready.eq(weights.ready),
        ]
        m.d.comb += [
            side.put.eq(front.side_put),
            side.beat.eq(front.beat),
            front.side_room.eq(side.room),
            # the sequencer reads while the vector path is empty
            side.address.eq(Mux(reading, delay(m, sequencer.address, 1, "read_address"), vector.side_address)),
            side.release.eq(delay(m, sequencer.side_release, 1, "read_release") | vector.side_release),
            side.clear.eq(clear),
            sequencer.level.eq(side.level),
            sequencer.words.eq(side.words),
            vector.side_words.eq(side.words),
            header.word.eq(sequencer.word),
            header.pop.eq(sequencer.header_pop),
            header.clear.eq(sequencer.idle),
            header.torn.eq(sequencer.torn),
            front.shape.eq(header.shape),
            sequencer.shape.eq(header.shape),
            sequencer.header_done.eq(header.done),
            sequencer.header_status.eq(header.status),
            front.idle.eq(sequencer.idle),
            front.accept.eq(sequencer.accept),
            front.reject.eq(sequencer.reject),
            front.clear.eq(clear),
            sequencer.fault.eq(delay(m, front.fault, 1, "fault")),
            sequencer.fault_status.eq(delay(m, front.fault_status, 1, "fault_status")),
            sequencer.embed_block.eq(front.embed_block),
        ]

    def _products(self, m, front, header, sequencer, store, array, scales, vector) -> None:
        """Statistics to scales and codes, codes and trits to the array."""
        core, shape = self._core, header.shape
        produced = Signal.like(store.span)
        span = Signal.like(produced)
        vectors = Signal(2)
        m.d.sync += produced.eq(Mux(sequencer.next_inner, shape.intermediate_span, shape.hidden_span))
        produced_vectors = Mux(sequencer.next_three, 3, 1)
        with m.If(sequencer.dependency):
            m.d.sync += [span.eq(produced), vectors.eq(produced_vectors)]
        m.d.comb += [
            scales.start.eq(sequencer.dependency),
            scales.tensors.eq(produced_vectors),
            scales.contexts.eq(shape.contexts),
            scales.maxima.eq(vector.maxima),
            scales.total.eq(vector.total),
            scales.words.as_value().eq(sequencer.scale_words.as_value()),
            scales.words_valid.eq(sequencer.constants_valid),
            store.begin.eq(sequencer.begin),
            store.three.eq(delay(m, sequencer.next_three, 1, "next_three")),
            store.contexts.eq(shape.contexts),
            store.span.eq(produced),
            store.value_valid.eq(vector.value_valid),
            store.which.eq(vector.which),
            store.context.eq(vector.value_context),
            store.values.eq(vector.values),
            store.start.eq(delay(m, sequencer.dependency, 1, "store_start")),
            store.vectors.eq(vectors),
            store.quantise_span.eq(span),
            scales.factor_vector.eq(store.factor_vector),
            scales.factor_context.eq(store.factor_context),
            store.reciprocal.eq(scales.reciprocal),
            store.e_max.eq(scales.e_max),
            store.reciprocal_ready.eq(scales.reciprocal_ready),
            store.address.eq(front.code_address),
            store.release.eq(front.release),
            store.clear.eq(sequencer.clear),
            front.available.eq(store.available),
            front.drained.eq(sequencer.drained),
            sequencer.loaded.eq(array.loaded),
            # the first cycle of the codes' way is that in which the front lets the beat in
            array.valid.eq(delay(m, front.feed, VectorStore.read_latency - 1, "feed")),
            array.first.eq(delay(m, front.feed_first, VectorStore.read_latency - 1, "feed_first")),
            array.last.eq(delay(m, front.feed_last, VectorStore.read_latency - 1, "feed_last")),
            array.context.eq(delay(m, front.feed_context, VectorStore.read_latency - 1, "feed_context")),
            array.final_context.eq(delay(m, front.final_context, VectorStore.read_latency - 1, "feed_final")),
            array.beat.eq(delay(m, front.beat, VectorStore.read_latency - 1, "beat")),
            array.activations.eq(store.codes),
            array.drain.eq(sequencer.drain),
            array.reload.eq(sequencer.reload),
            array.next_context.eq(sequencer.next_context),
        ]
        if core.extra_bits:
            m.d.comb += [
                scales.powers.eq(vector.powers),
                scales.length.eq(Mux(sequencer.next_inner, shape.intermediate, shape.hidden)),
            ]

    def _rows(self, m, header, sequencer, array, scales, vector) -> None:
        """Drained accumulators with their scales to the vector path."""
        m.d.comb += [
            sequencer.scale_ready.eq(scales.ready),
            sequencer.empty.eq(vector.empty),
            sequencer.buffered.eq(vector.buffered),
            scales.scale_matrix.eq(sequencer.scale_matrix),
            vector.issue.eq(sequencer.issue),
            vector.acc.eq(array.acc),
            vector.mantissa.eq(delay(m, scales.mantissa, 1, "mantissa", reset_less=True)),
            vector.shift.eq(delay(m, scales.shift, 1, "shift", reset_less=True)),
            vector.zero.eq(sequencer.zero),
            vector.state_word.eq(sequencer.state_word),
            vector.contexts.eq(header.shape.contexts),
            vector.begin.eq(sequencer.begin),
            vector.kappa.eq(sequencer.kappa),
            vector.bias.eq(sequencer.bias),
        ]

    def _result(self, m, header, sequencer, array, scales, result) -> None:
        """The head's accumulators and their scales to the result unit."""
        shape = header.shape
        finishing = Signal()
        with m.If(sequencer.finish | sequencer.begin_packet):
            m.d.sync += finishing.eq(sequencer.finish)
        m.d.comb += [
            scales.scale_context.eq(Mux(finishing, result.scale_context, sequencer.scale_context)),
            result.begin.eq(sequencer.begin_packet),
            # accumulators come a cycle after their issue
            result.rows_valid.eq(delay(m, sequencer.head_valid, 1, "head_valid")),
            result.rows.acc.eq(array.acc),
            result.rows.live.eq(delay(m, sequencer.head_live, 1, "head_live", reset_less=True)),
            result.rows.context.eq(delay(m, sequencer.scale_context, 1, "head_context", reset_less=True)),
            result.rows.row.eq(delay(m, sequencer.head_row, 1, "head_row", reset_less=True)),
            sequencer.head_room.eq(result.room),
            result.logits.eq(shape.logits),
            result.contexts.eq(shape.contexts),
            result.finish.eq(sequencer.finish),
            result.status.eq(sequencer.status),
            result.sequence.eq(shape.sequence),
            result.mantissa.eq(scales.mantissa),
            result.shift.eq(scales.shift),
            sequencer.finished.eq(result.done),
            self.m_axis_result_tdata.eq(result.result.payload.data),
            self.m_axis_result_tlast.eq(result.result.payload.last),
            self.m_axis_result_tvalid.eq(result.result.valid),
            result.result.ready.eq(self.m_axis_result_tready),
        ]

    def _control(self, m, registers, events, front, header, sequencer, scales, vector) -> None:
        """Registers: status, counters and the window into the state."""
        connect(m, self._csr.inside(self), registers.csr)
        connect(m, events.events, registers.events)
        # from blocks far apart
        state_late = STATE_LATENCY - Recurrence.read_latency
        read_data = ("read_data",)
        connect(m, delayed(m, registers.state, "state", state_late, read_data, reset_less=read_data), vector.state)
        m.d.comb += [
            events.cycle.eq(front.cycle),
            events.busy.eq(front.busy),
            events.finish.eq(sequencer.finish),
            events.status.eq(sequencer.status),
            events.contexts.eq(header.shape.contexts),
            events.torn.eq(sequencer.torn),
            events.saturated.eq(vector.saturated),
            front.abort_token.eq(delay(m, registers.abort_token, 2, "abort_token")),
            sequencer.restored.eq(delay(m, registers.state.write, 1, "restored")),
        ]
        if self._core.extra_bits:
            m.d.comb += scales.threshold.eq(registers.outlier_threshold)

    def _taps(self, m, front, sequencer, array, scales, vector, store, result) -> None:
        """What the debug ports show."""
        issued = sequencer.issue.valid | sequencer.head_valid
        trace = self.tap_trace
        # accumulators come a cycle after their issue
        m.d.sync += [
            self.tap_acc_valid.eq(Mux(issued, sequencer.head_live, 0)),
            self.tap_acc_op.eq(sequencer.issue.op),
        ]
        m.d.comb += [
            self.tap_wide_valid.eq(vector.tap_valid),
            self.tap_wide_op.eq(vector.tap_op),
            trace.cycle.eq(front.cycle),
            trace.group.eq(front.group),
            trace.matrix.eq(front.matrix),
            trace.block.eq(front.block),
            trace.rows.eq(sequencer.rows_active),
            trace.rows_group.eq(sequencer.group),
            trace.rows_matrix.eq(sequencer.matrix),
            trace.rows_block.eq(sequencer.block),
            trace.rows_context.eq(sequencer.rows_context),
            trace.reciprocals.eq(scales.dividing),
            trace.scales.eq(scales.scaling),
            trace.quantiser.eq(store.busy),
        ]
        for lane in range(self._core.vector_rows):
            m.d.comb += [self.tap_acc[lane].eq(array.acc[lane]), self.tap_wide[lane].eq(vector.tap[lane])]
