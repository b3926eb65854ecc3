# SPDX-License-Identifier: Apache-2.0
"""What the driver needs of a link to a core: a DMA engine, a simulation or a test's stand-in."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Transport(Protocol):
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

    def read_register(self, offset: int) -> int:
        """The 32 bit register at a byte offset."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write the 32 bit register at a byte offset."""
        ...
