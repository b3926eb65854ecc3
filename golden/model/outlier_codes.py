# SPDX-License-Identifier: Apache-2.0
"""Codes of more than eight bits for vectors with outliers: part of the numeric contract (`docs/numerics.md`).

The largest element of a vector usually gets the code 127. Where it is an outlier, that leaves little for the others.
Here 127 then belongs to ``max / 2**s``, and what is beyond it has codes up to ``127 * 2**s``, which fit ``8 + s``
bits: nothing is clipped. s is the least with ``max / 2**s <= threshold * rms``, as far as the bits go. That takes no
more bits than ``threshold * rms`` itself would, its steps are never coarser, and nothing is divided or multiplied
anew: the exponent of the largest element is taken as s less, in the codes as in the output scale.

The comparison is one of logarithms with six fraction bits: the threshold is off by 3 % at most, no code is.
"""

import torch
from torch import Tensor

from tritforge.golden.model.activations import THRESHOLD_FRAC, Activations
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.numerics import bit_length
from tritforge.golden.model.tables import LOG_FRAC, LOGARITHMS


def logarithm(value: Tensor) -> Tensor:
    """2**LOG_FRAC * log2 of integers from 1 on, by the LOG_FRAC bits after the first; off by at most 1.5 in 64."""
    exponent = bit_length(value) - 1
    fraction = torch.where(
        exponent > LOG_FRAC, value >> (exponent - LOG_FRAC).clamp(min=0), value << (LOG_FRAC - exponent).clamp(min=0)
    )
    return (exponent << LOG_FRAC) + torch.tensor(LOGARITHMS)[fraction - (1 << LOG_FRAC)]


def widening(power: Tensor, m: Tensor, e: Tensor, length: int, given: Activations, fmt: Formats) -> Tensor:
    """s of vectors of ``length`` elements, 0 to ``given.extra``.

    Parameters
    ----------
    power : int64, sum of the squares of ``v >> fmt.power_shift``, rounded.
    m, e : int64, significand and exponent of the largest magnitude (`golden.model.numerics.normalise`).
    """
    if not given.threshold:
        return torch.zeros_like(power)
    threshold = logarithm(torch.tensor(given.threshold)) - (THRESHOLD_FRAC << LOG_FRAC)
    largest = logarithm(m) + (e - fmt.mantissa + fmt.product_drop - fmt.power_shift << LOG_FRAC)
    square = 2 * (largest - threshold) + logarithm(torch.tensor(length)) - logarithm(power.clamp(min=1))
    return (square + (2 << LOG_FRAC) - 1 >> LOG_FRAC + 1).clamp(0, given.extra)
