# SPDX-License-Identifier: Apache-2.0
"""What a packet asks of each of N cores that share a model by output rows: cycles, bytes, operations.

Tensor parallel (`hw.schedule.Share`): at the end of a product a core has its share of the next input; all cores need
all of it, and the maxima and sums of squares over all rows (`perf.estimates.ring`). What counts is the first core's
share, the largest, which all wait for.
"""

from dataclasses import dataclass
from functools import cache

from tritforge.hw.lib.floats import code_float
from tritforge.hw.operations import OPS, slots
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import MATRICES, Group, Shape, Share, groups, token_beats
from tritforge.perf.estimates.cycles import CycleModel, Cycles
from tritforge.perf.estimates.ring import RingModel, vectors_of


@dataclass(frozen=True)
class Work:
    """What a packet asks of each core.

    Attributes
    ----------
    cycles
        With a memory that is never late, without the exchange.
    exchange
        Cycles in which the first core waits for the others, and the last of them for it; none without a link.
    stream
        Bytes of the core's own weight stream.
    array, vector
        Cycles in which array and vector path take something: the units' busy cycles.
    quantised
        Activations made int8.
    stored
        Bytes read from and written to on-chip memory.
    sent
        Bytes of values that it sends to each other core.
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
def work(params: CoreParams, shape: Shape, contexts: int = 1, cores: int = 1, latency: int = 0) -> Work:
    """What a packet of so many contexts asks of each of so many cores, with links of so many cycles between them.

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
        vectors = vectors_of(group, layer == shape.layers - 1)
        inputs = vectors * shape.outputs(group) * contexts
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
    cycles = _cycles(params).packet(share, contexts)
    together = (
        max(one.total for one in _ring(params, latency).packet(shape, cores, contexts)) if cores > 1 else cycles.total
    )
    return Work(
        cycles,
        together - cycles.total,
        beats * params.lanes,
        trit_beats * contexts,
        vector,
        quantised,
        round(stored),
        round(gained * float_bytes),
    )


_cycles, _ring = cache(CycleModel), cache(RingModel)
"""They ask every unit for its latency, which takes longer than the rest."""
