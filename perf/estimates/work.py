# SPDX-License-Identifier: Apache-2.0
"""What a packet asks of each of N cores that share a model by output rows: cycles, bytes, operations.

Tensor parallel (`hw.schedule.Share`): at the end of a product a core has its share of the next input; all cores need
all of it, and the maxima and sums of squares over all rows (`exchange`). What counts is the first core's share, the
largest, which all wait for.
"""

from dataclasses import dataclass
from functools import cache

from tritforge.hw.lib.floats import code_float
from tritforge.hw.operations import OPS, slots
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import MATRICES, Group, Shape, Share, gain_words, groups, token_beats
from tritforge.perf.estimates.cycles import CycleModel, Cycles

STAGE = 4
"""Cycles of a stage of the tree that joins two cores' statistics, wires between the cores included (assumed)."""


@dataclass(frozen=True)
class Work:
    """What a packet asks of each core.

    Attributes
    ----------
    cycles
        With a memory that is never late, without the exchange.
    exchange
        Cycles until all cores have what the others made, summed over the packet's products.
    stream
        Bytes of the core's own weight stream.
    array, vector
        Cycles in which array and vector path take something: the units' busy cycles.
    quantised
        Activations made int8.
    stored
        Bytes read from and written to on-chip memory.
    sent
        Bytes that it sends to each other core.
    """

    cycles: Cycles
    exchange: int
    stream: int
    array: int
    vector: int
    quantised: int
    stored: int
    sent: int

    @property
    def total(self) -> int:
        """Cycles of the packet."""
        return self.cycles.total + self.exchange


@cache
def work(params: CoreParams, shape: Shape, contexts: int = 1, cores: int = 1) -> Work:
    """What a packet of so many contexts asks of each of so many cores.

    `stored` adds up, with 4 bytes a wide word and 3 a code float: for a trit beat the codes of its columns, once a
    context; each side word written, and read by each context; each value of the next product's inputs written and
    read as code float, written as code; state and residual read and written once for each row that changes them, row
    buffers likewise.
    """
    share = Share(**vars(shape), cores=cores, granule=params.vector_rows)
    spans = slots(params)
    trit_beats = rows = vector = quantised = gained = kept = 0
    for group, layer in groups(share):
        blocks, matrices = params.blocks(share.outputs(group)), len(MATRICES[group])
        trit_beats += blocks * matrices * params.beats(share.inputs(group))
        vector += blocks * params.row_groups * sum(spans[op] for op in OPS[group]) * contexts
        rows += share.outputs(group) * matrices
        inputs = _inputs(shape, group, layer) * contexts
        quantised += inputs
        gained += inputs // cores
        kept += {Group.EMBED: 1, Group.OUT: 2, Group.CONTRACT: 2, Group.MIX: 2 + 4, Group.EXPAND: 2}.get(
            group, 0
        ) * share.outputs(group)
    beats = token_beats(params, share, contexts)
    float_bytes, wide = code_float(params.formats).size / 8, params.formats.wide_bits / 8
    stored = (
        trit_beats * contexts * params.columns
        + (beats - trit_beats) * params.lanes * (1 + contexts)
        + quantised * (2 * float_bytes + 1)
        + kept * wide * contexts
    )
    return Work(
        _cycles(params).packet(share, contexts),
        exchange(params, shape, contexts, cores),
        beats * params.lanes,
        trit_beats * contexts,
        vector,
        quantised,
        round(stored),
        round(gained * float_bytes),
    )


_cycles = cache(CycleModel)
"""It asks every unit for its latency, which takes longer than the rest."""


def exchange(params: CoreParams, shape: Shape, contexts: int, cores: int) -> int:
    """Cycles that the exchange between cores adds to a packet.

    Behind each product but the last: the statistics go up and down a binary tree, ``2 ceil(log2 N)`` stages; all
    that the other cores made comes in over a link as wide as a beat. A core sends rows as they leave its vector
    path, so what counts is the larger of (the inputs from the other cores) - (the product's own beats, during which
    they flow) and the last row block of each other core. Behind the head one tree joins the maxima.
    """
    if cores == 1:
        return 0
    share = Share(**vars(shape), cores=cores, granule=params.vector_rows)
    tree = 2 * (cores - 1).bit_length() * STAGE
    float_bytes, total = code_float(params.formats).size / 8, 0
    for group, layer in groups(shape):
        inputs = _inputs(shape, group, layer) * contexts
        if inputs:
            others = inputs * float_bytes * (cores - 1) / cores / params.lanes
            blocks = params.blocks(share.outputs(group))
            beats = blocks * len(MATRICES[group]) * params.beats(share.inputs(group)) * contexts
            total += round(max(others / blocks, others - beats))
        total += tree
    return total


def _inputs(shape: Shape, group: Group, layer: int) -> int:
    """Values that a product leaves as the next one's inputs: one a row for each matrix with gains of its own."""
    if group is Group.HEAD:
        return 0
    last = layer == shape.layers - 1
    kinds = gain_words(group, last) - (group is Group.MIX)
    return kinds * shape.outputs(group)
