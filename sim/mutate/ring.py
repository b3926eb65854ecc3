# SPDX-License-Identifier: Apache-2.0
"""Rings of cores of which one mutant is made, the same of all, which give up soon."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tritforge.hw.params import CoreParams
from tritforge.sim.native import HarnessTimeout
from tritforge.sim.ring.feed import WIRES, Links
from tritforge.sim.ring.simulator import SimRing

MOST = 400_000
"""Cycles of an exchange; no packet of the checks takes a tenth of them."""


class MutantRings:
    """Rings of cores as one mutant, each fresh; the parameters are those of `sim.mutate.core.MutantCore`."""

    def __init__(self, params: CoreParams, library: Path, number: int) -> None:
        self._params, self._library, self._number = params, library, number
        self._rings: list[SimRing] = []

    def __enter__(self) -> "MutantRings":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ring in self._rings:
            ring.ring.close()

    def ring(self, count: int, links: Links = WIRES, stalls: Sequence[float] = (0.0,)) -> SimRing:
        """So many cores, whose streams stall as ``stalls`` says, which repeat."""
        each = [stalls[core % len(stalls)] for core in range(count)]
        ring = SimRing(self._params, count, stall=each, links=links, threads=1, library=self._library)
        self._rings.append(ring)
        if self._number:
            ring.ring.mutate(self._number)
            ring.ring.reset()
        ring.progress = _give_up
        return ring


def _give_up(cycles: int, beats: int) -> None:
    if cycles > MOST:
        raise HarnessTimeout(f"The ring has not ended its packets of {beats} beats after {cycles} cycles.")
