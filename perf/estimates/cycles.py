# SPDX-License-Identifier: Apache-2.0
"""Cycles of a packet in closed form, from the core's parameters and the model's shape.

The host always has a beat and asks for no logits. docs/architecture.md has the schedule that this adds up;
latencies are those of the units themselves, so that a change of the gateware changes the estimate.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

from amaranth.hdl import UnusedElaboratable

from tritforge.hw.array.array import ANNOUNCED, array_latency
from tritforge.hw.codes.store import VectorStore
from tritforge.hw.control.result import ResultUnit
from tritforge.hw.control.sequencer import Sequencer
from tritforge.hw.operations import OPS, Op, slots
from tritforge.hw.packet import trailer_words
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import ScaleUnit
from tritforge.hw.schedule import (
    CONSTANT_WORDS,
    HEADER_WORDS,
    MATRICES,
    Group,
    Shape,
    block_side_beats,
    groups,
    side_beats,
    token_beats,
)
from tritforge.hw.stream.front import StreamFront
from tritforge.hw.stream.header_reader import HeaderReader
from tritforge.hw.stream.side import SideWords
from tritforge.hw.vector.path import VectorPath

# units are asked for their latencies here and go unused
warnings.filterwarnings("ignore", category=UnusedElaboratable)

_LEVEL = StreamFront.side_latency + SideWords.level_latency
"""From the acceptance of a beat until the sequencer sees it among the side words."""


@dataclass(frozen=True)
class Cycles:
    """Cycles of a packet by cause (hw.taps.Cycle); waits are drain and dependency together.

    Attributes
    ----------
    beats, repeats
        Beats accepted, and the cycles in which one is taken for a context that is not its last.
    waits
        The stream waits for rows to be drained or for activations.
    result
        From the last beat until the result is out.
    """

    beats: int
    repeats: int
    waits: int
    result: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.beats + self.repeats + self.waits + self.result


@dataclass(frozen=True)
class Step:
    """A group on its own.

    Attributes
    ----------
    group, layer
        Which.
    cycles
        From the dependency before it, or the packet's first beat, to the one behind it. HEAD: to its last feed.
    period
        From one row block to the next.
    rows
        From the issue of a row block's first row group to that of the last, of the operation that other groups need.
    """

    group: Group
    layer: int
    cycles: int
    period: int
    rows: int


class CycleModel:
    """The cycles of packets on one core.

    Parameters
    ----------
    params
        Its parameters.
    """

    def __init__(self, params: CoreParams) -> None:
        self._params, self._slots = params, slots(params)
        path, self._first_word = VectorPath(params), ResultUnit(params).latency
        self._empty, self._buffered = path.until_empty, path.until_buffered
        self._issue = VectorStore.read_latency + array_latency(params) - ANNOUNCED + Sequencer.reaction
        """From a row block's last feed to the issue of its first row group."""

    def packet(self, shape: Shape, contexts: int = 1) -> Cycles:
        """The cycles of a packet with so many contexts."""
        params = self._params
        beats = token_beats(params, shape, contexts)
        trits = sum(
            params.blocks(shape.outputs(group)) * len(MATRICES[group]) * params.beats(shape.inputs(group))
            for group, _ in groups(shape)
        )
        repeats = (contexts - 1) * trits
        # from the first beat to the last, both of them
        end = 1 + sum(step.cycles for step in self.steps(shape, contexts))
        return Cycles(beats, repeats, end - beats - repeats, self.result(contexts))

    def result(self, contexts: int) -> int:
        """From the last beat until the result is out."""
        first_word = Sequencer.ending + self._first_word
        return self._issue + self._rows(Op.HEAD, contexts) + first_word + trailer_words(contexts) - 1

    def steps(self, shape: Shape, contexts: int = 1) -> Iterator[Step]:
        """The groups of a packet, one behind the other."""
        last, kept = shape.layers - 1, dict[tuple[Group, bool], Step]()
        for group, layer in groups(shape):
            key = group, layer == last
            if key not in kept:
                kept[key] = (
                    self._embed(shape, contexts)
                    if group is Group.EMBED
                    else self._group(shape, group, layer, contexts)
                )
            yield replace(kept[key], layer=layer)

    def _rows(self, op: Op, contexts: int) -> int:
        """From the issue of a row block's first row group to that of its last."""
        return (contexts * self._params.row_groups - 1) * self._slots[op]

    def _concluded(self, op: Op) -> int:
        """From the issue of a group's last row group to the dependency behind it."""
        return self._empty[op] + Sequencer.conclusion

    def _header(self) -> int:
        """From the packet's first beat to the acceptance of its header."""
        last = side_beats(self._params, HEADER_WORDS) - 1
        begun = _LEVEL + max(Sequencer.opening, last + Sequencer.fetch)
        read = begun + HEADER_WORDS - 1 + Sequencer.read_latency
        return read + HeaderReader.latency + Sequencer.verdict

    def _embed(self, shape: Shape, contexts: int) -> Step:
        """From the packet's first beat to the dependency behind the embedding: its rows are slower than its beats."""
        params = self._params
        blocks = params.blocks(shape.outputs(Group.EMBED))
        side = block_side_beats(params, Group.EMBED, False, contexts)
        read = _LEVEL + Sequencer.fetch + CONSTANT_WORDS - 1 + Sequencer.read_latency + Sequencer.beginning
        arrived = side + StreamFront.side_latency + Sequencer.embed_reaction
        constants = StreamFront.opening + side_beats(params, CONSTANT_WORDS) - 1
        first = self._header() + constants + max(read, arrived)
        block = max(contexts * params.row_groups * self._slots[Op.EMBED], side)
        rows = self._rows(Op.EMBED, contexts)
        return Step(Group.EMBED, 0, first + (blocks - 1) * block + rows + self._concluded(Op.EMBED), block, rows)

    def _group(self, shape: Shape, group: Group, layer: int, contexts: int) -> Step:
        """From the dependency before a group's products to the one behind them (HEAD: to its last feed)."""
        params, last = self._params, layer == shape.layers - 1
        ops = [Op.OUT if op is Op.CONTRACT and last else op for op in OPS[group]]
        feeds = contexts * params.beats(shape.inputs(group))
        side = block_side_beats(params, group, last)
        blocks = params.blocks(shape.outputs(group))
        # the first activation is there when its reciprocal and the quantiser are; the first scales may come after it
        first = ScaleUnit.reciprocal_latency + VectorStore.latency + StreamFront.latency
        scaled = ScaleUnit.root_latency + contexts - 1 + ScaleUnit.scale_latency + Sequencer.reaction
        held = max(0, scaled - (first + feeds - 1 + self._issue))
        # nothing is before the first row block
        inner, late = self._steps(ops, feeds, contexts, held)
        fed, period, rows = first + feeds - 1 + sum(inner), 0, self._rows(ops[-1], contexts)
        if blocks > 1:
            second = self._next(ops, feeds, side, contexts, late)
            inner, late = self._steps(ops, feeds, contexts)
            following = self._next(ops, feeds, side, contexts, late)
            fed += second + (blocks - 2) * following + (blocks - 1) * sum(inner)
            period = following + sum(inner)
        if group is not Group.HEAD:
            fed += self._issue + late + rows + self._concluded(ops[-1])
        return Step(group, layer, fed, period, rows)

    def _steps(self, ops: list[Op], feeds: int, contexts: int, held: int = 0) -> tuple[list[int], int]:
        """What a row block takes for each of its matrices but the first, and how late its last rows are issued.

        A matrix takes its beats, or what is left of the time that the rows before it take. The rows of the first are
        issued ``held`` cycles late. G and UP rows wait besides until the rows that they need are in the row buffers.
        """
        waits = [held, *[0] * (len(ops) - 1)]
        steps = [
            max(feeds, self._drained(op, contexts) + wait) for op, wait in zip(ops[:-1], waits[:-1], strict=True)
        ]
        late = waits[-1]
        for index, op in enumerate(ops[:-1]):
            ready = waits[index] + self._rows(op, contexts) + self._buffered[op] + Sequencer.reaction
            late = max(late, ready - sum(steps[index:]))
        return steps, late

    def _next(self, ops: list[Op], feeds: int, side: int, contexts: int, late: int) -> int:
        """What the first matrix of a row block takes behind rows that are issued so late."""
        return max(feeds + side, self._drained(ops[-1], contexts) + late)

    def _drained(self, op: Op, contexts: int) -> int:
        """From a row block's last feed to that of the next, whose last beat waits for the issue of these rows."""
        return self._issue + self._rows(op, contexts) + StreamFront.drained_latency + contexts - 1
