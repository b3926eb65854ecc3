# SPDX-License-Identifier: Apache-2.0
"""Integer formats of the numeric contract (`docs/numerics.md`); of plain numbers, so that a host needs no PyTorch.

Formats
-------
wide
    signed ``wide_bits``, saturated symmetrically: residual, activations, state. Activations and state carry
    ``frac`` fraction bits, the residual a number chosen per model.
gain
    signed 18 bit mantissa, 14 bit where it only enters a sum of squares; its exponent is known to the packer only.
code float
    sign, ``mantissa`` bit significand (normalised, top bit set, or 0) and 6 bit exponent: what a quantiser input
    is stored as. Value ``m * 2**(e - mantissa)``.
scale
    ``mantissa`` bit normalised significand and an exponent.
"""

from dataclasses import dataclass

from tritforge.golden import TritforgeError

GAIN_BITS = 18
STAT_BITS = 14
CODE_MAX = 127
"""Code of the largest element, or of the level that outliers exceed (`golden.model.outlier_codes`)."""
OMEGA_FRAC = 16
"""Fraction bits of a decay gain 1 - LB, 0 to 2**16 inclusive."""
SIGMA_FRAC = 18
DECAY_FRAC = 17
SCALE_LEFT = 8
"""Most bits that an output scale shifts to the left: where a layer adds much more than the embedding holds."""
SIGMA_SEGMENTS = 512
SIGMA_RANGE = 16
SLOPE_EXTRA = 6
EPS = 1e-6
UNIT_EXPONENT = 13
"""A statistics gain of one, where a vector has no outer norm: 2**13."""


@dataclass(frozen=True)
class Formats:
    """Widths of the vector path; one object for the integer model, the packer and the gateware.

    Parameters
    ----------
    wide_bits : width of residual, activations and state, 24 to 32.
    frac : fraction bits of activations and state, 12 to ``wide_bits - 8``.
    mantissa : bits of every significand (quantiser input, reciprocal, scale), 12 to 17.
    """

    wide_bits: int = 32
    frac: int = 20
    mantissa: int = 17

    def __post_init__(self) -> None:
        if not 24 <= self.wide_bits <= 32:
            raise TritforgeError(f"wide_bits must be 24 to 32, not {self.wide_bits}.")
        if not 12 <= self.frac <= self.wide_bits - 8:
            raise TritforgeError(f"frac must be 12 to wide_bits - 8 = {self.wide_bits - 8}, not {self.frac}.")
        if not 12 <= self.mantissa <= 17:
            raise TritforgeError(f"mantissa must be 12 to 17 bits, not {self.mantissa}.")

    @property
    def wide_max(self) -> int:
        """Largest wide magnitude."""
        return (1 << (self.wide_bits - 1)) - 1

    @property
    def product_drop(self) -> int:
        """Low bits of value x gain that are dropped before the code float is normalised."""
        return 9

    @property
    def magnitude_bits(self) -> int:
        """Bits of |value x gain| >> product_drop; also the largest exponent of a code float."""
        return self.wide_bits - 1 + GAIN_BITS - 1 - self.product_drop

    @property
    def square_shift(self) -> int:
        """Shift of value x gain to the 25 bit magnitude that is squared."""
        return self.wide_bits - 1 + STAT_BITS - 1 - 24

    @property
    def power_shift(self) -> int:
        """Shift of value x gain to the 25 bit magnitude that is squared to compare with an outlier threshold."""
        return self.wide_bits - 1 + GAIN_BITS - 1 - 24

    @property
    def epsilon_shift(self) -> int:
        """Shift of value x kappa: nine bits more, since kappa is sqrt(eps) with nine bits more."""
        return self.square_shift + 9

    @property
    def code_shift(self) -> int:
        """m * reciprocal >> code_shift is the code of an element with the largest element's exponent."""
        return 2 * self.mantissa - 8
