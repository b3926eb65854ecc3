# SPDX-License-Identifier: Apache-2.0
"""The dividers of an ECP5's PLL."""

from dataclasses import dataclass

from tritforge.golden import TritforgeError

OSCILLATOR_HZ = (400_000_000, 800_000_000)
DETECTOR_HZ = 10_000_000
"""Least frequency at which reference and feedback are compared."""


@dataclass(frozen=True)
class Dividers:
    """``output = reference / input * feedback``; the oscillator runs at ``output * divider``."""

    input: int
    feedback: int
    divider: int


def dividers(reference_hz: int, output_hz: int) -> Dividers:
    """The dividers for exactly this output, with the slowest reference divider and the oscillator in its middle.

    Raises
    ------
    TritforgeError
        Where there are none.
    """
    low, high = OSCILLATOR_HZ
    for divided in range(1, reference_hz // DETECTOR_HZ + 1):
        feedback, rest = divmod(output_hz * divided, reference_hz)
        choices = [d for d in range(1, 129) if low <= output_hz * d <= high]
        if not rest and 1 <= feedback <= 80 and choices:
            best = min(choices, key=lambda d: abs(output_hz * d - (low + high) // 2))
            return Dividers(divided, feedback, best)
    raise TritforgeError(
        f"No PLL makes {output_hz / 1e6:g} MHz of {reference_hz / 1e6:g} MHz; choose a multiple of "
        f"{reference_hz / (reference_hz // DETECTOR_HZ) / 1e6:g} MHz."
    )
