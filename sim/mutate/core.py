# SPDX-License-Identifier: Apache-2.0
"""A core of which one mutant is made, as a transport of the host's driver that gives up soon."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tritforge.hw.params import CoreParams
from tritforge.sim.harness import Harness
from tritforge.sim.native import HarnessTimeout

IDLE = 4000
"""Cycles without a beat or a word after which it hangs; no packet of the checks waits so long."""


class MutantCore:
    """The core as one mutant, fresh.

    Parameters
    ----------
    params
        Of the core.
    library
        What `sim.build_harness.build_harness` made of `sim.mutate.design.mutated`.
    number
        The mutant's; 0 for none.

    Attributes
    ----------
    stall
        Probability of a cycle without a new beat, and of one that takes no word, from now on.
    held
        Probability of a cycle that takes no word, where it is more.
    cycles
        Simulated in exchanges so far.
    """

    def __init__(self, params: CoreParams, library: Path, number: int) -> None:
        self.stall, self.held, self.cycles = 0.0, 0.0, 0
        self._params, self._seed = params, 1
        self._harness = Harness(library, params.lanes)
        if number:
            self._harness.mutate(number)
        self._harness.reset()

    def __enter__(self) -> "MutantCore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._harness.close()

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """See `host.run.transport.Transport`; `HarnessTimeout` also for an exchange that goes on and on."""
        self._seed += 1
        beats = sum(segment.size for segment in segments) // self._params.lanes
        most = 50_000 + 40 * beats

        def progress(cycles: int, _: int) -> None:
            if cycles > most:
                raise HarnessTimeout(f"The core has not ended a packet of {beats} beats after {cycles} cycles.")

        done = self._harness.exchange(
            segments,
            last=last,
            expect_result=expect_result,
            capacity=self._params.batch * (self._params.max_vocab + 2) + 2,
            in_stall=self.stall,
            out_stall=max(self.stall, self.held),
            seed=self._seed,
            max_idle_cycles=IDLE,
            progress=progress,
        )
        self.cycles += done.cycles
        return done.words

    def write_coverage(self, path: Path) -> None:
        """See `sim.harness.Harness.write_coverage`."""
        self._harness.write_coverage(path)

    def reset(self) -> None:
        """The reset, for a few cycles."""
        self._harness.reset()

    def idle(self, cycles: int) -> None:
        """Let so many cycles pass."""
        self._harness.idle(cycles)

    def read_register(self, offset: int) -> int:
        """See `host.run.transport.Transport`."""
        return self._harness.csr_read(offset)

    def write_register(self, offset: int, value: int) -> None:
        """See `host.run.transport.Transport`."""
        self._harness.csr_write(offset, value)
