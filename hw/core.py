# SPDX-License-Identifier: Apache-2.0
"""The core: one token of a MatMul-free language model per packet of the weight stream."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect

from tritforge.hw.array.array import TernaryArray
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.control.axi_lite import AxiLite
from tritforge.hw.control.dependency import dependency
from tritforge.hw.control.events import events
from tritforge.hw.control.registers import STATE_LATENCY, Registers
from tritforge.hw.control.result import ResultUnit
from tritforge.hw.control.sequencer import Sequencer
from tritforge.hw.lib.interfaces import AxiStream, Edge, delayed
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.link.exchange import Exchange
from tritforge.hw.params import BYTE, CORE_BITS, CoreParams
from tritforge.hw.scales.scales import ScaleUnit, shared_select
from tritforge.hw.stream.front import StreamFront
from tritforge.hw.stream.header_reader import HeaderReader
from tritforge.hw.stream.side import SideWords, shared_read
from tritforge.hw.taps import TRACE
from tritforge.hw.vector.path import VectorPath
from tritforge.hw.vector.recurrence import Recurrence

BUSES = ("s_axis_weights", "m_axis_result", "s_axil_csr")
"""Prefixes of the core's AXI interfaces."""


def taps(params: CoreParams) -> dict[str, wiring.Member]:
    """Debug ports: each row group's accumulators as they are issued and its results at the gain stage, with a mask of
    its live rows, row 0 lowest; and what goes on in every cycle (hw/taps.py)."""
    rows = data.ArrayLayout(signed(32), params.vector_rows)
    kinds = {
        f"tap_{kind}{name}": Out(shape)
        for kind in ("acc", "wide")
        for name, shape in (("_valid", params.vector_rows), ("_op", 4), ("", rows))
    }
    return kinds | {"tap_trace": Out(TRACE)}


class Core(wiring.Component):
    """Weight stream in, one result packet a token out; see docs/architecture.md for the whole.

    Ports: ``s_axis_weights_*`` (AXI4-Stream, 8 * lanes bits), ``m_axis_result_*`` (AXI4-Stream, 32 bits),
    ``s_axil_csr_*`` (AXI4-Lite), one clock, one synchronous reset; ``tap_*`` if the parameters ask for them. A core
    with a link also ``s_axis_link_*`` from the core before it in the ring and ``m_axis_link_*`` to the next one
    (AXI4-Stream), and the straps ``link_index``, its number, and ``link_last``, that of the last core.

    Parameters
    ----------
    params : geometry, limits and widths.

    Attributes
    ----------
    edges, links : its AXI interfaces; the second from and to other cores.
    buses : their prefixes.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        signatures = (AxiStream(params.beat_bits).flip(), AxiStream(32), AxiLite().flip())
        self.edges = [Edge(*pair) for pair in zip(BUSES, signatures, strict=True)]
        link = AxiStream(BYTE * params.link_bytes)
        self.links = [Edge("s_axis_link", link.flip()), Edge("m_axis_link", link)] if params.linked else []
        ports = (edge.ports for edge in (*self.edges, *self.links))
        self.buses = [edge.prefix for edge in (*self.edges, *self.links)]
        straps = {"link_index": In(CORE_BITS), "link_last": In(CORE_BITS)} if params.linked else {}
        super().__init__(reduce(or_, ports) | straps | (taps(params) if params.taps else {}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        params = self._params
        m.submodules.registers = registers = Registers(params)
        m.submodules.front = front = StreamFront(params)
        m.submodules.side = side = SideWords(params)
        m.submodules.header = header = HeaderReader(params)
        m.submodules.sequencer = sequencer = Sequencer(params)
        m.submodules.store = store = VectorStore(params)
        m.submodules.array = array = TernaryArray(params)
        m.submodules.scales = scales = ScaleUnit(params)
        m.submodules.vector = vector = VectorPath(params)
        m.submodules.result = result = ResultUnit(params)
        shape = header.shape

        # the edge
        weights, results, csr = (edge.inside(self) for edge in self.edges)
        connect(m, weights, front.weights)
        connect(m, results, result.result)
        connect(m, csr, registers.csr)

        # the course of a packet and its header; the front is far from the sequencer
        packet = delayed(m, sequencer.packet, "packet", members=("clear", "fault", "fault_status"))
        connect(m, packet, front.packet)
        connect(m, sequencer.header, header.check)
        m.d.comb += [front.shape.eq(shape), sequencer.shape.eq(shape)]

        # beats to side words, for sequencer and vector path
        connect(m, front.side, side.beats)
        connect(m, shared_read(m, sequencer.side, sequencer.reading, vector.side), side.read)
        m.d.comb += [side.clear.eq(packet.clear), sequencer.level.eq(side.level)]

        # beats and codes to the array; the first cycle of the codes' way is that in which the front lets the beat in
        connect(m, delayed(m, front.feed, "feed", VectorStore.read_latency - 1), array.feed)
        connect(m, front.codes, store.reads)
        m.d.comb += [array.activations.eq(store.codes), store.clear.eq(sequencer.packet.clear)]

        # accumulators and their scale to the vector path
        connect(m, sequencer.array, array.rows)
        connect(m, sequencer.rows, vector.rows)
        connect(m, sequencer.constants, vector.constants)
        connect(m, delayed(m, scales.scale, "scale", reset_less=("mantissa", "shift")), vector.scale)
        m.d.comb += [vector.acc.eq(array.acc), vector.contexts.eq(shape.contexts)]

        # what the vector path makes of them: codes, and their scales, for the next group
        produced, start = dependency(m, params, sequencer.course, shape)
        connect(m, produced, store.produced)
        connect(m, start, scales.operands)
        if params.linked:
            self._exchange(m, header, front, sequencer, produced, store, scales, vector, result, registers)
        else:
            connect(m, vector.values, store.values)
            connect(m, vector.statistics, scales.statistics)
        connect(m, sequencer.scale_words, scales.words)
        connect(m, store.factors, scales.factors)
        if params.extra_bits:
            m.d.comb += scales.threshold.eq(registers.outlier_threshold)

        # the head's accumulators, which come a cycle after their issue, and their scales to the result
        rows = ("live", "context", "row")
        connect(m, delayed(m, sequencer.head, "head", members=("valid", *rows), reset_less=rows), result.rows)
        connect(m, sequencer.result, result.packet)
        begin, finish = sequencer.result.begin, sequencer.result.finish
        connect(m, shared_select(m, sequencer.scale, result.scale_context, begin, finish), scales.select)
        connect(m, scales.scale, result.scale)
        m.d.comb += [
            result.acc.eq(array.acc),
            result.logits.eq(shape.logits),
            result.contexts.eq(shape.contexts),
            result.sequence.eq(shape.sequence),
        ]

        # the registers, far from everything: events, commands and the window into the state
        seen = events(
            m,
            params,
            cycle=front.cycle,
            busy=front.busy,
            end=sequencer.result,
            contexts=shape.contexts,
            torn=sequencer.header.torn,
            saturated=vector.saturated,
        )
        connect(m, seen, registers.events)
        late, read_data = STATE_LATENCY - Recurrence.read_latency, ("read_data",)
        connect(m, delayed(m, registers.state, "state", late, read_data, reset_less=read_data), vector.state)
        m.d.comb += [
            front.abort_token.eq(delay(m, registers.abort_token, 2, "abort_token")),
            sequencer.restored.eq(delay(m, registers.state.write, 1, "restored")),
        ]
        if params.taps:
            self._taps(m, front, sequencer, array, scales, vector, store)
        return m

    def _exchange(
        self,
        m: Module,
        header: HeaderReader,
        front: StreamFront,
        sequencer: Sequencer,
        produced: wiring.PureInterface,
        store: VectorStore,
        scales: ScaleUnit,
        vector: VectorPath,
        result: ResultUnit,
        registers: Registers,
    ) -> None:
        """The other cores, between what the vector path makes and what the next group needs."""
        params, shape = self._params, header.shape
        m.submodules.exchange = exchange = Exchange(params, max(vector.until_empty.values()), result.settles)
        before, behind = (edge.inside(self) for edge in self.links)
        connect(m, before, exchange.before)
        connect(m, behind, exchange.behind)
        connect(m, sequencer.ring, exchange.course)
        connect(m, produced, exchange.produced)
        connect(m, vector.values, exchange.values)
        connect(m, exchange.counted, vector.counted)
        connect(m, vector.statistics, exchange.statistics)
        connect(m, exchange.joined, scales.statistics)
        m.d.comb += [
            header.index.eq(self.link_index),
            header.others.eq(self.link_last),
            exchange.index.eq(self.link_index),
            exchange.others.eq(self.link_last),
            exchange.contexts.eq(shape.contexts),
            exchange.first_token.eq(shape.first_token),
            exchange.quantising.eq(store.quantising),
            store.placed.eq(exchange.placed),
            exchange.largest.eq(result.largest),
            exchange.tokens.eq(result.tokens),
            result.winners.eq(exchange.winners),
            front.peer_failed.eq(sequencer.ring.peer_failed),
            front.exchanges.eq(sequencer.exchanges),
            exchange.hello.eq(registers.hello),
            registers.link.index.eq(self.link_index),
            registers.link.last.eq(self.link_last),
            registers.link.heard.eq(exchange.heard.index),
            registers.link.heard_valid.eq(exchange.heard.valid),
        ]

    def _taps(
        self,
        m: Module,
        front: StreamFront,
        sequencer: Sequencer,
        array: TernaryArray,
        scales: ScaleUnit,
        vector: VectorPath,
        store: VectorStore,
    ) -> None:
        """What the debug ports show."""
        issued = sequencer.rows.tag.valid | sequencer.head.valid
        trace = self.tap_trace
        # accumulators come a cycle after their issue
        m.d.sync += [
            self.tap_acc_valid.eq(Mux(issued, sequencer.head.live, 0)),
            self.tap_acc_op.eq(sequencer.rows.tag.op),
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
        for row in range(self._params.vector_rows):
            m.d.comb += [self.tap_acc[row].eq(array.acc[row]), self.tap_wide[row].eq(vector.tap[row])]
