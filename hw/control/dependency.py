# SPDX-License-Identifier: Apache-2.0
"""The dependency behind a group: what it produces is normalised for the next one."""

from amaranth.hdl import Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from tritforge.hw.codes.produced import Produced
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleStart


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


def dependency(
    m: Module, params: CoreParams, course: wiring.PureInterface, shape: data.View
) -> tuple[wiring.PureInterface, wiring.PureInterface]:
    """`Produced` and `ScaleStart` of a group's ``course``: of what kind its vectors are, and when they are complete.

    The store, which is far away, hears it a cycle later than the scale unit.
    """
    produced, start = Produced(params).create(path=("produced",)), ScaleStart(params).create(path=("scales",))
    vectors = Mux(course.next_three, 3, 1)
    m.d.sync += produced.span.eq(Mux(course.next_inner, shape.intermediate_span, shape.hidden_span))
    with m.If(course.dependency):
        m.d.sync += [produced.quantise_span.eq(produced.span), produced.vectors.eq(vectors)]
    m.d.comb += [
        produced.begin.eq(course.begin),
        produced.three.eq(delay(m, course.next_three, 1, "next_three")),
        produced.contexts.eq(shape.contexts),
        produced.start.eq(delay(m, course.dependency, 1, "store_start")),
        start.start.eq(course.dependency),
        start.tensors.eq(vectors),
        start.contexts.eq(shape.contexts),
    ]
    if params.linked:
        for name in ("first_word", "first_phase"):
            ours = Mux(course.next_inner, shape[f"intermediate_{name}"], shape[f"hidden_{name}"])
            m.d.sync += getattr(produced, name).eq(ours)
    if params.extra_bits:
        m.d.comb += start.length.eq(Mux(course.next_inner, shape.intermediate, shape.hidden))
    return produced, start
