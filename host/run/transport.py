# SPDX-License-Identifier: Apache-2.0
"""What the driver needs of a link to a core or to several: a DMA engine, a simulation or a test's stand-in."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Registers(Protocol):
    """The registers of one core."""

    def read_register(self, offset: int) -> int:
        """The 32 bit register at a byte offset."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write the 32 bit register at a byte offset."""
        ...


class Transport(Registers, Protocol):
    """A link to one core."""

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """Stream segments, whole beats each, and return the words of one result packet.

        Parameters
        ----------
        segments
            Sent one behind the other; read in place, so they may be parts of a mapped file.
        last
            Whether the last beat carries TLAST.
        expect_result
            Whether to wait for a result; if not, nothing is returned.
        """
        ...


@runtime_checkable
class RingTransport(Protocol):
    """Links to the cores of a ring, which share a model."""

    @property
    def cores(self) -> Sequence[Registers]:
        """The registers of each, in the order of the ring."""
        ...

    def exchange_all(self, packets: Sequence[Sequence[NDArray[np.uint8]]]) -> list[NDArray[np.uint32]]:
        """Stream a packet to each core at the same time, as `Transport.exchange` does, and return the words of the
        result packet of each."""
        ...
