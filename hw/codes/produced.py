# SPDX-License-Identifier: Apache-2.0
"""What a group produces for the next one: values on their way to the vector store, and what they are of."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from tritforge.hw.codes.placed import phase_shape
from tritforge.hw.lib.floats import code_float
from tritforge.hw.params import CONTEXTS_BITS, CoreParams


class Produced(wiring.Signature):
    """What kind of vectors a group produces and when they are quantised.

    Attributes
    ----------
    begin : Out, pulse, before the first value of a group.
    three : Out, three vectors are written, not one.
    contexts : Out, 1 to ``params.batch``, for both sides; constant from ``begin`` until the codes are available.
    span : Out, positions of a vector that is being written, contexts * ceil(elements / columns).
    start : Out, pulse, when all values are written. vectors, quantise_span : Out, 1 to 3 and the span of what is
        quantised; constant from ``start`` until the last position is in the quantiser.
    """

    def __init__(self, params: CoreParams) -> None:
        span = range(params.store_positions + 1)
        super().__init__(
            {
                "begin": Out(1),
                "three": Out(1),
                "contexts": Out(CONTEXTS_BITS),
                "span": Out(span),
                "start": Out(1),
                "vectors": Out(2),
                "quantise_span": Out(span),
                **(
                    {"first_word": Out(range(params.store_positions)), "first_phase": Out(phase_shape(params))}
                    if params.linked
                    else {}
                ),
            }
        )


class Values(wiring.Signature):
    """Values of a group's vectors, V elements of one of them a cycle, seen from the vector path.

    Attributes
    ----------
    valid : Out, mask of rows, from row 0 on; the others are past the vector's end.
    which, context : Out, the vector, 0 unless there are three, and whose.
    floats : Out, code floats, one a row.
    """

    def __init__(self, params: CoreParams) -> None:
        super().__init__(
            {
                "valid": Out(params.vector_rows),
                "which": Out(2),
                "context": Out(params.context_bits),
                "floats": Out(data.ArrayLayout(code_float(params.formats), params.vector_rows)),
            }
        )
