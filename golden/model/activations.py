# SPDX-License-Identifier: Apache-2.0
"""How the inputs of ternary products are coded; of plain numbers, so that a host needs no PyTorch."""

from dataclasses import dataclass

from tritforge.golden import TritforgeError

CODE_BITS = 8
MOST_BITS = 12
DEFAULT_THRESHOLD = 6.0
THRESHOLD_FRAC = 4
THRESHOLD_BITS = 10


@dataclass(frozen=True)
class Activations:
    """How the inputs of ternary products are coded.

    Parameters
    ----------
    bits : of a code, 8 to 12.
    threshold : from which multiple of the vector's root mean square on an element is an outlier, in sixteenths; 0 for
        none at all: then every code is that of eight bits.
    """

    bits: int = CODE_BITS
    threshold: int = 0

    def __post_init__(self) -> None:
        if not CODE_BITS <= self.bits <= MOST_BITS:
            raise TritforgeError(f"act_bits must be {CODE_BITS} to {MOST_BITS}, not {self.bits}.")
        if not 0 <= self.threshold < 1 << THRESHOLD_BITS:
            raise TritforgeError(f"An outlier threshold has {THRESHOLD_BITS} bits, so {self.threshold} is none.")

    @property
    def extra(self) -> int:
        """Bits beyond eight."""
        return self.bits - CODE_BITS


def activations(bits: int, threshold: float | None = None) -> Activations:
    """Codes of ``bits``, with a threshold in root mean squares, 0 for off; None takes the default, in int8 off."""
    if threshold is None:
        threshold = DEFAULT_THRESHOLD if bits > CODE_BITS else 0
    elif threshold and bits == CODE_BITS:
        raise TritforgeError("An outlier threshold needs codes of more than 8 bits, such as with --set act_bits=10.")
    most = ((1 << THRESHOLD_BITS) - 1) / 2**THRESHOLD_FRAC
    if threshold and not 2**-THRESHOLD_FRAC <= threshold <= most:
        raise TritforgeError(
            f"The outlier threshold must be 0 (off) or {2**-THRESHOLD_FRAC} to {most}, not {threshold}."
        )
    return Activations(bits, round(threshold * 2**THRESHOLD_FRAC))
