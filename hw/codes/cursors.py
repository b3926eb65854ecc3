# SPDX-License-Identifier: Apache-2.0
"""Where the rows of a group belong in the vector store: a cursor a context, which counts them."""

from dataclasses import dataclass

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.codes.placed import phase_shape, phases, placed_layout
from tritforge.hw.codes.produced import Produced, Values
from tritforge.hw.lib.pipeline import delay
from tritforge.hw.lib.width import cut, plus_one
from tritforge.hw.params import CoreParams


@dataclass(frozen=True)
class Placing:
    """Rows with their place. valid, phase : a cycle after them. values, word, next_word : two cycles."""

    valid: Value
    phase: Value
    values: data.View
    word: Signal
    next_word: Signal


def place(m: Module, params: CoreParams, produced: wiring.PureInterface, arriving: wiring.PureInterface) -> Placing:
    """Count rows as they arrive, `Values`, in the order of `VectorStore`."""
    rows = params.vector_rows
    first_columns = phases(params)
    position = range(params.store_positions + params.batch)
    layout = data.StructLayout({"position": position, "next_word": position, "phase": phase_shape(params)})
    cursors = Array(Signal(layout, name=f"cursor_{context}") for context in range(params.batch))
    cursor = Signal(layout)
    step = produced.contexts if params.batch > 1 else 1
    context = delay(m, arriving.context, 1, "context", reset_less=True)
    m.d.comb += cursor.eq(cursors[context] if params.batch > 1 else cursors[0])

    # row 0 is the last to lack an element
    valid = delay(m, arriving.valid, 1, "valid")
    group_ends = delay(m, arriving.valid[0] & ((arriving.which == 2) | ~produced.three), 1, "group_ends")
    reaches_end = [phase for phase, first in enumerate(first_columns) if first + rows >= params.columns]
    for number, own in enumerate(cursors):
        with m.If(produced.begin):
            if params.linked:
                # within the vector
                first = cut(produced.first_word + number, own.position)
                m.d.sync += [
                    own.position.eq(first),
                    own.next_word.eq(cut(produced.first_word + number + step, first)),
                ]
                m.d.sync += own.phase.eq(produced.first_phase)
            else:
                # there are as many contexts as the batch, and more positions than twice that
                following = step + number if params.batch == 1 else (produced.contexts + number)[: len(own.next_word)]
                m.d.sync += [own.position.eq(number), own.next_word.eq(following), own.phase.eq(0)]
        with m.Elif(group_ends & (context == number if params.batch > 1 else 1)):
            m.d.sync += own.phase.eq(Mux(cursor.phase == len(first_columns) - 1, 0, plus_one(cursor.phase)))
            with m.If(cursor.phase.matches(*reaches_end)):
                # behind the last element both are out of range and unused
                following = cut(cursor.next_word + step, own.next_word)
                m.d.sync += [own.position.eq(cursor.next_word), own.next_word.eq(following)]

    offset, word, next_word = (
        Signal(range(params.store_positions), name=name, reset_less=True) for name in ("offset", "word", "next_word")
    )
    m.d.sync += [
        # of what is written, all are within the depth
        offset.eq(cut(Array([0, produced.span, produced.span << 1])[arriving.which], offset)),
        word.eq(cut(cursor.position + offset, word)),
        next_word.eq(cut(cursor.next_word + offset, next_word)),
    ]
    values = delay(m, arriving.floats, 2, "values", reset_less=True)
    return Placing(valid, cursor.phase, values, word, next_word)


class Placer(wiring.Component):
    """Rows with their place, two cycles later. Throughput: a row group a cycle.

    Parameters
    ----------
    params : of a linked core.

    Attributes
    ----------
    produced, values : In, as those of `VectorStore`. placed : Out, `placed_layout`.
    """

    latency = 2

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        super().__init__(
            {
                "produced": In(Produced(params)),
                "values": In(Values(params)),
                "placed": Out(placed_layout(params)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        placed, arriving = self.placed, self.values
        found = place(m, self._params, self.produced, arriving)
        m.d.comb += [
            placed.floats.eq(found.values),
            placed.valid.eq(delay(m, found.valid, 1, "placed_valid")),
            placed.which.eq(delay(m, arriving.which, 2, "which", reset_less=True)),
            placed.context.eq(delay(m, arriving.context, 2, "whose", reset_less=True)),
            placed.word.eq(found.word),
            placed.phase.eq(delay(m, found.phase, 1, "placed_phase", reset_less=True)),
        ]
        if "next_word" in dict(placed.shape()):
            m.d.comb += placed.next_word.eq(found.next_word)
        return m
