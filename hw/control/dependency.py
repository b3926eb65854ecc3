# SPDX-License-Identifier: Apache-2.0
"""The dependency behind a group: what it produces is normalised for the next one."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.codes.store import Produced
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleStart
from tritforge.hw.stream.header_reader import token_shape


class GroupCourse(wiring.Signature):
    """Begin and end of a group's rows, seen from the sequencer.

    Attributes
    ----------
    begin : Out, pulse, before its first row.
    dependency : Out, pulse, behind its last one: the statistics are final.
    next_three, next_inner : Out, the next group has three vectors, not one; its vectors are of the intermediate size,
        not the hidden one. Stable from two cycles before ``begin`` to ``dependency``.
    """

    def __init__(self) -> None:
        super().__init__({"begin": Out(1), "dependency": Out(1), "next_three": Out(1), "next_inner": Out(1)})


class Dependency(wiring.Component):
    """Says to the vector store what kind of vectors a group produces, and to it and the scale unit when they are
    complete; the store, which is far away, hears it a cycle later.

    Attributes
    ----------
    group : In, its course. shape : In, of the token.
    produced : Out, for the store. scales : Out, for the scale unit.
    """

    def __init__(self, core: CoreParams) -> None:
        self._core = core
        super().__init__(
            {
                "group": In(GroupCourse()),
                "shape": In(token_shape(core)),
                "produced": Out(Produced(core)),
                "scales": Out(ScaleStart(core)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        group, shape, produced, scales = self.group, self.shape, self.produced, self.scales
        vectors = Mux(group.next_three, 3, 1)
        m.d.sync += produced.span.eq(Mux(group.next_inner, shape.intermediate_span, shape.hidden_span))
        with m.If(group.dependency):
            m.d.sync += [produced.quantise_span.eq(produced.span), produced.vectors.eq(vectors)]
        m.d.comb += [
            produced.begin.eq(group.begin),
            produced.three.eq(delay(m, group.next_three, 1, "three")),
            produced.contexts.eq(shape.contexts),
            produced.start.eq(delay(m, group.dependency, 1, "start")),
            scales.start.eq(group.dependency),
            scales.tensors.eq(vectors),
            scales.contexts.eq(shape.contexts),
        ]
        if self._core.extra_bits:
            m.d.comb += scales.length.eq(Mux(group.next_inner, shape.intermediate, shape.hidden))
        return m
