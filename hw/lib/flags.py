# SPDX-License-Identifier: Apache-2.0
"""Several signals of one bit at once."""

from amaranth.hdl import Signal


def flags(*names: str) -> list[Signal]:
    """Signals of one bit: in a tuple of them Amaranth does not see their names."""
    return [Signal(name=name) for name in names]
