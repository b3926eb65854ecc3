# SPDX-License-Identifier: Apache-2.0
"""Many cores that share a model, on one chip."""

from functools import reduce
from operator import or_

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from tritforge.golden import TritforgeError
from tritforge.hw.control.axi_lite import AxiLite
from tritforge.hw.core import BUSES, Core
from tritforge.hw.lib.interfaces import AxiStream, Edge
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import MAX_CORES


class Ring(wiring.Component):
    """N cores with their links in a ring; each has a weight stream, a result and registers of its own.

    Ports: those of `Core` for each core k, with ``_k`` behind the interface's name: ``s_axis_weights_0_tdata`` and so
    on. All are in one clock.

    Parameters
    ----------
    params : of each core; it has a link.
    cores : 1 to 16.

    Attributes
    ----------
    buses : prefixes of the AXI interfaces.
    """

    def __init__(self, params: CoreParams, cores: int) -> None:
        if not 1 <= cores <= MAX_CORES:
            raise TritforgeError(f"A ring has 1 to {MAX_CORES} cores, not {cores}.")
        if not params.linked:
            raise TritforgeError("Cores of a ring need a link; set link_bytes.")
        if params.taps:
            raise TritforgeError("A ring brings no debug ports out; leave taps away.")
        self._params = params
        signatures = (AxiStream(params.beat_bits).flip(), AxiStream(32), AxiLite().flip())
        self._edges = [
            [Edge(f"{bus}_{core}", signature) for bus, signature in zip(BUSES, signatures, strict=True)]
            for core in range(cores)
        ]
        self.buses = [edge.prefix for edges in self._edges for edge in edges]
        super().__init__(reduce(or_, (edge.ports for edges in self._edges for edge in edges)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cores = [Core(self._params) for _ in self._edges]
        for index, (core, edges) in enumerate(zip(cores, self._edges, strict=True)):
            m.submodules[f"core_{index}"] = core
            for edge, inner in zip(edges, core.edges, strict=True):
                connect(m, edge.inside(self), inner.outside(core))
            m.d.comb += [core.link_index.eq(index), core.link_last.eq(len(cores) - 1)]
            before = cores[index - 1]
            source, sink = before.links[1].outside(before), core.links[0].outside(core)
            m.d.comb += [
                sink.tdata.eq(source.tdata),
                sink.tvalid.eq(source.tvalid),
                sink.tlast.eq(source.tlast),
                source.tready.eq(sink.tready),
            ]
        return m
