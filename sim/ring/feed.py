# SPDX-License-Identifier: Apache-2.0
"""What a ring of simulated cores is given: links between them, and a packet for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.sim.native import chance

LARGEST_LATENCY = 100_000


@dataclass(frozen=True)
class Links:
    """The links of a ring.

    Attributes
    ----------
    latency
        Cycles from core to core, beside what the cores themselves take: 0 for wires.
    stall
        Probability that a cycle brings no beat, and that one takes none.
    """

    latency: int = 0
    stall: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.latency <= LARGEST_LATENCY:
            raise TritforgeError(f"The latency of a link is 0 to {LARGEST_LATENCY:,} cycles, not {self.latency}.")
        chance("The stall of a link", self.stall)


@dataclass(frozen=True)
class Feed:
    """What one core gets, and how; see `sim.harness.Harness.exchange`.

    Attributes
    ----------
    segments
        Its packet, or a part of it; nothing for a core that is left waiting.
    last, expect_result, in_stall, out_stall, seed
        As there.
    """

    segments: Sequence[NDArray[np.uint8]]
    last: bool = True
    expect_result: bool = True
    in_stall: float = 0.0
    out_stall: float = 0.0
    seed: int = 1


WIRES = Links()
