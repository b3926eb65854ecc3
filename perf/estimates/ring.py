# SPDX-License-Identifier: Apache-2.0
"""Cycles of a packet on N cores in a ring, in closed form: what each does by itself, and waits for the others.

A dependency of many cores is over on a core when the sums of all have come to it. They follow the rows. A core's own
sums take a fixed time; those of others come a hop later for each core on the way; and where the last row blocks, or
all of them, bring more rows than the ring or the vector store takes, the sums wait behind those.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tritforge.hw.control.result import ResultUnit
from tritforge.hw.link.gearbox import beats_a_message
from tritforge.hw.link.message import sums, with_link
from tritforge.hw.link.outbox import Outbox
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group, Shape, Share, gain_words
from tritforge.hw.vector.statistics import maximum_latency
from tritforge.perf.estimates.cycles import CycleModel, Cycles, Step

STOP = 2
"""Cycles that a message takes through a ring stop (`hw.link.ring_stop`)."""
TRIP = 8
"""From what a core says until its neighbour has taken it: outbox, and a ring stop at either end of wires."""
ENOUGH = 4
"""What outbox and inbox add to the cycles after which something has settled."""
COMPARED = 7
"""From the last candidate that is taken until the packet is over."""
WINNERS = 1
"""The winners' way to the result."""

Times = NDArray[np.int64]


@dataclass(frozen=True)
class Together:
    """Cycles of a packet on one of N cores.

    Attributes
    ----------
    alone
        What its share takes by itself.
    exchange
        What it waits for the others.
    """

    alone: Cycles
    exchange: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.alone.total + self.exchange


class RingModel:
    """The cycles of packets on cores in a ring.

    Parameters
    ----------
    params
        Of each core; one without a link is taken with one of a message a beat.
    latency
        Cycles of a link, beside the cores' own.
    """

    def __init__(self, params: CoreParams, latency: int = 0) -> None:
        linked = with_link(params)
        self._params, self._model = params, CycleModel(params)
        self._beats = beats_a_message(linked)
        self._hop = STOP + latency + self._beats - 1
        self._trip = TRIP - STOP + self._hop
        self._parts = 2 * sums(linked)
        self._maxima = maximum_latency(linked) + ENOUGH + 1
        self._tokens = ResultUnit(linked).settles + ENOUGH + 2

    def packet(self, shape: Shape, cores: int, contexts: int = 1) -> list[Together]:
        """The cycles on each core of a packet with so many contexts."""
        params, kept = self._params, dict[tuple[int, ...], tuple[list[Step], Cycles]]()
        courses, alone = [], []
        own = [Share(**vars(shape), cores=cores, index=at, granule=params.vector_rows) for at in range(cores)]
        for share in own:
            key = tuple(share.outputs(group) for group in Group)
            if key not in kept:
                kept[key] = list(self._model.steps(share, contexts)), self._model.packet(share, contexts)
            courses.append(kept[key][0])
            alone.append(kept[key][1])
        ring = _Ring(cores)
        times = np.zeros(cores, np.int64)
        for steps in zip(*courses, strict=True):
            times = times + [step.cycles for step in steps]
            if steps[0].group is not Group.HEAD:
                times = self._joined(ring, times, own, steps, contexts)
        times = self._ended(ring, times, contexts) + self._model.result(contexts)
        return [Together(one, int(time) + 1 - one.total) for one, time in zip(alone, times, strict=True)]

    def _joined(
        self, ring: "_Ring", finished: Times, own: Sequence[Share], steps: Sequence[Step], contexts: int
    ) -> Times:
        """When a dependency is over on each core, from when it would be if the core were alone."""
        parts = self._parts * contexts
        said = finished + Outbox.SETTLED + 2 + parts
        each = max(parts * self._beats, self._hop)
        heard = ring.heard(said, parts * (self._beats - 1) + self._trip, each)
        if ring.cores > 1:
            heard = np.maximum(heard, self._carried(finished, own, steps, contexts))
        return heard + self._maxima

    def _carried(self, finished: Times, own: Sequence[Share], steps: Sequence[Step], contexts: int) -> int:
        """When the last sum is behind the rows of all: those of the last row blocks, or of the whole group.

        All cores make rows at the same time. What they make goes on one message at a time, and into the vector store
        between a core's own rows, as soon as it comes: from the nearest core on, or from the furthest alone.
        """
        params, step = self._params, steps[0]
        vectors = vectors_of(step.group, step.layer == own[0].layers - 1) * contexts
        blocks = max(params.blocks(share.outputs(step.group)) for share in own)
        rows = [-(-share.outputs(step.group) // params.vector_rows) for share in own]
        latest = 0
        for count in {1, blocks}:
            made = [vectors * min(row, count * params.row_groups) for row in rows]
            # the block's last row is told a cycle before the vector path is found empty
            span = (count - 1) * step.period + step.rows + vectors // contexts - 1
            begun = int(finished.max()) - 1 - span
            for distance in {1, len(own) - 1}:
                comes = self._trip + (distance - 1) * self._hop
                others = (len(own) - distance) * (max(made) + self._parts * contexts)
                left = max(0, max(made) * (1 - comes / (span + 1)) - others * (self._beats - 1))
                # the first of those comes with the last of the core's own, and waits for it
                latest = max(latest, begun + comes + others * self._beats + round(left) + (left > 0))
        return latest

    def _ended(self, ring: "_Ring", issued: Times, contexts: int) -> Times:
        """The same at the head: each core hears the candidates of all, and compares one after the other."""
        compared = 3 * contexts
        said = issued + self._tokens + compared - 3
        each = max(compared, contexts * self._beats, self._hop)
        return ring.heard(said, contexts * (self._beats - 1) + self._trip, each) + COMPARED + WINNERS


class _Ring:
    """How far the cores are from each other."""

    def __init__(self, cores: int) -> None:
        self.cores, index = cores, np.arange(cores)
        self._distance = (index - index[:, None]) % cores

    def heard(self, said: Times, first: int, each: int) -> Times:
        """When each core has heard all: ``first`` from its neighbour, ``each`` more for every core in between."""
        late = np.where(self._distance, first + (self._distance - 1) * each, 0)
        found: Times = (said[:, None] + late).max(axis=0)
        return found


def vectors_of(group: Group, last_layer: bool) -> int:
    """Vectors that a group leaves as inputs of the next one: one for each matrix with gains of its own."""
    return 0 if group is Group.HEAD else gain_words(group, last_layer) - (group is Group.MIX)
