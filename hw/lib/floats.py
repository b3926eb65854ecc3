# SPDX-License-Identifier: Apache-2.0
"""The code float: the format in which values wait for their quantisation."""

from amaranth.lib.data import StructLayout

from tritforge.golden.model.formats import Formats

EXPONENT_BITS = 6


def code_float(fmt: Formats) -> StructLayout:
    """Layout of a code float: ``(-1)**negative * mantissa * 2**(exponent - fmt.mantissa)``.

    The mantissa is normalised (top bit set) or 0.
    """
    return StructLayout({"mantissa": fmt.mantissa, "exponent": EXPONENT_BITS, "negative": 1})


def maximum(fmt: Formats) -> StructLayout:
    """Layout of a largest magnitude; as an integer it orders like the magnitude."""
    return StructLayout({"mantissa": fmt.mantissa, "exponent": EXPONENT_BITS})
