# SPDX-License-Identifier: Apache-2.0
"""The core: one token of a MatMul-free language model per packet of the weight stream."""

from amaranth.hdl import Array, Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.array import TernaryArray
from hw.axi_lite import AXI_LITE
from hw.csr import Registers
from hw.front import StreamFront
from hw.header import HeaderReader
from hw.ops import delay
from hw.params import CoreParams
from hw.result import ResultUnit
from hw.scales import ScaleUnit
from hw.sequencer import SETTLE, Sequencer
from hw.side import SideWords
from hw.store import VectorStore
from hw.vector import VectorPath

TAPS = {
    "tap_acc_valid": Out(1),
    "tap_acc_op": Out(4),
    "tap_acc": Out(signed(32)),
    "tap_wide_valid": Out(1),
    "tap_wide_op": Out(4),
    "tap_wide": Out(signed(32)),
}
"""Debug ports: each live row's accumulator as it is issued, and its result at the gain stage."""


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
                **{f"s_axil_csr_{name}": member for name, member in AXI_LITE.items()},
                **(TAPS if core.taps else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = self._core
        m.submodules.registers = registers = Registers(core)
        m.submodules.front = front = StreamFront(core)
        m.submodules.side = side = SideWords(core)
        m.submodules.header = header = HeaderReader(core)
        m.submodules.sequencer = sequencer = Sequencer(core)
        m.submodules.store = store = VectorStore(core)
        m.submodules.array = array = TernaryArray(core)
        m.submodules.scales = scales = ScaleUnit(core.formats)
        m.submodules.vector = vector = VectorPath(core)
        m.submodules.result = result = ResultUnit(core)
        assert array.latency + 2 < SETTLE

        self._stream(m, front, side, header, sequencer, vector)
        self._products(m, front, header, sequencer, store, array, scales, vector)
        self._rows(m, header, sequencer, array, scales, vector, result, side)
        self._control(m, registers, front, header, sequencer, vector, result)
        return m

    def _stream(self, m, front, side, header, sequencer, vector) -> None:
        """Weight stream to front to side words to header reader, sequencer and vector path."""
        weights = front.weights
        m.d.comb += [
            weights.payload.data.eq(self.s_axis_weights_tdata),
            weights.payload.last.eq(self.s_axis_weights_tlast),
            weights.valid.eq(self.s_axis_weights_tvalid),
            self.s_axis_weights_tready.eq(weights.ready),
        ]
        wiring.connect(m, front.side, side.beats)
        m.d.comb += [
            side.pop.eq(sequencer.pop | vector.pop),
            side.last.eq(sequencer.pop_last),
            side.clear.eq(sequencer.clear),
            header.word.eq(side.word),
            header.pop.eq(sequencer.header_pop),
            header.clear.eq(sequencer.idle),
            header.torn.eq(sequencer.torn),
            sequencer.word.eq(side.word),
            sequencer.word_valid.eq(side.valid),
            vector.word.eq(side.word),
            front.shape.eq(header.shape),
            sequencer.shape.eq(header.shape),
            sequencer.header_done.eq(header.done),
            sequencer.header_status.eq(header.status),
            front.idle.eq(sequencer.idle),
            front.accept.eq(sequencer.accept),
            front.reject.eq(sequencer.reject),
            sequencer.fault.eq(front.fault),
            sequencer.fault_status.eq(front.fault_status),
            sequencer.embed_block.eq(front.embed_block),
        ]

    def _products(self, m, front, header, sequencer, store, array, scales, vector) -> None:
        """Statistics to scales and codes, codes and trits to the array."""
        shape = header.shape
        produced = Signal.like(store.write_stride)
        stride, vectors = Signal.like(produced), Signal(2)
        m.d.comb += produced.eq(shape.hidden_beats)
        with m.If(sequencer.next_inner):
            m.d.comb += produced.eq(shape.intermediate_beats)
        produced_vectors = Signal(2, init=1)
        with m.If(sequencer.next_three):
            m.d.comb += produced_vectors.eq(3)
        with m.If(sequencer.dependency):
            m.d.sync += [stride.eq(produced), vectors.eq(produced_vectors)]
        m.d.comb += [
            scales.start.eq(sequencer.dependency),
            scales.tensors.eq(produced_vectors),
            scales.maxima.as_value().eq(vector.maxima.as_value()),
            scales.total.eq(vector.total),
            scales.words.as_value().eq(sequencer.scale_words.as_value()),
            scales.words_valid.eq(sequencer.constants_valid),
            store.begin.eq(sequencer.begin),
            store.three.eq(sequencer.next_three),
            store.write_stride.eq(produced),
            store.value_valid.eq(vector.value_valid),
            store.which.eq(vector.which),
            store.value.eq(vector.value),
            store.start.eq(delay(m, sequencer.dependency, 1, "store_start")),
            store.vectors.eq(vectors),
            store.stride.eq(stride),
            store.reciprocal.eq(scales.reciprocal),
            store.e_max.eq(scales.e_max),
            store.reciprocal_ready.eq(scales.reciprocal_ready),
            store.address.eq(front.code_address),
            store.release.eq(front.release),
            store.clear.eq(sequencer.clear),
            front.available.eq(store.available),
            front.block_pending.eq(sequencer.block_pending),
            sequencer.fed.eq(front.feed & front.feed_last),
            sequencer.loaded.eq(array.loaded),
            array.valid.eq(delay(m, front.feed, 1, "feed")),
            array.first.eq(delay(m, front.feed_first, 1, "feed_first")),
            array.last.eq(delay(m, front.feed_last, 1, "feed_last")),
            array.beat.eq(delay(m, front.weights.payload.data, 1, "beat")),
            array.activations.eq(store.codes),
            array.drain.eq(sequencer.drain),
        ]

    def _rows(self, m, header, sequencer, array, scales, vector, result, side) -> None:
        """Drained accumulators to the vector path, or to the result unit for the head."""
        shape = header.shape
        m.d.comb += [
            sequencer.scale_ready.eq(scales.ready),
            sequencer.empty.eq(vector.empty),
            sequencer.buffered.eq(vector.buffered),
            vector.issue.eq(sequencer.issue),
            vector.acc.eq(array.acc),
            vector.mantissa.eq(Array(scales.mantissa[k] for k in range(3))[sequencer.scale]),
            vector.shift.eq(Array(scales.shift[k] for k in range(3))[sequencer.scale]),
            vector.zero_state.eq(shape.reset),
            vector.begin_token.eq(sequencer.begin_token),
            vector.begin.eq(sequencer.begin),
            vector.kappa.eq(sequencer.kappa),
            vector.bias.eq(sequencer.bias),
            result.begin.eq(sequencer.begin_token),
            result.rows.valid.eq(sequencer.head_valid),
            result.rows.payload.eq(array.acc),
            sequencer.head_ready.eq(result.rows.ready),
            result.logits.eq(shape.logits),
            result.finish.eq(sequencer.finish),
            result.status.eq(sequencer.status),
            result.sequence.eq(shape.sequence),
            result.mantissa.eq(scales.mantissa[0]),
            result.shift.eq(scales.shift[0]),
            sequencer.finished.eq(result.done),
            self.m_axis_result_tdata.eq(result.result.payload.data),
            self.m_axis_result_tlast.eq(result.result.payload.last),
            self.m_axis_result_tvalid.eq(result.result.valid),
            result.result.ready.eq(self.m_axis_result_tready),
        ]
        if self._core.taps:
            issued = sequencer.issue.valid | (result.rows.valid & result.rows.ready)
            m.d.comb += [
                self.tap_acc_valid.eq(issued & sequencer.issue.live),
                self.tap_acc_op.eq(sequencer.issue.op),
                self.tap_acc.eq(array.acc),
                self.tap_wide_valid.eq(vector.tap_valid),
                self.tap_wide_op.eq(vector.tap_op),
                self.tap_wide.eq(vector.tap),
            ]

    def _control(self, m, registers, front, header, sequencer, vector, result) -> None:
        """Registers: status, counters and the window into the state."""
        for name in AXI_LITE:
            inner, outer = getattr(registers, name), getattr(self, f"s_axil_csr_{name}")
            m.d.comb += inner.eq(outer) if AXI_LITE[name].flow is In else outer.eq(inner)
        valid, ready = self.s_axis_weights_tvalid, self.s_axis_weights_tready
        m.d.comb += [
            registers.busy.eq(~sequencer.idle | front.open),
            registers.torn.eq(sequencer.torn),
            registers.beat.eq(valid & ready),
            registers.starved.eq(registers.busy & ready & ~valid),
            registers.stalled.eq(registers.busy & valid & ~ready),
            registers.token_done.eq(sequencer.finish & (sequencer.status == 0)),
            registers.saturated.eq(vector.saturated),
            front.abort.eq(registers.abort_token),
            vector.host.eq(~registers.busy),
            vector.address.eq(registers.state_address),
            vector.write.eq(registers.state_write),
            vector.write_data.eq(registers.state_write_data),
            registers.state_read_data.eq(vector.read_data),
            sequencer.restored.eq(registers.state_write),
        ]
        with m.If(sequencer.finish & (sequencer.status != 0)):
            m.d.comb += registers.error_set.eq(1 << sequencer.status)
