# SPDX-License-Identifier: Apache-2.0
"""Tables of the numeric contract, of plain numbers: integer model and gateware have them from here."""

import math
from itertools import pairwise

from tritforge.golden.model.formats import SIGMA_FRAC, SIGMA_RANGE, SIGMA_SEGMENTS, SLOPE_EXTRA

LOG_FRAC = 6
"""Fraction bits of a logarithm to base two, and of a significand those it is taken of."""
LOGARITHMS = tuple(
    min(round(2**LOG_FRAC * math.log2(1 + (index + 0.5) / 2**LOG_FRAC)), (1 << LOG_FRAC) - 1)
    for index in range(1 << LOG_FRAC)
)
"""The fraction of the logarithm by the LOG_FRAC bits after the first."""


def sigma_table() -> list[tuple[int, int]]:
    """(base, slope) of 512 chords of sigmoid(-x) on [0, 16): 18 bit base, 18 bit slope, both unsigned."""
    points = [1 / (1 + math.exp(index * SIGMA_RANGE / SIGMA_SEGMENTS)) for index in range(SIGMA_SEGMENTS + 1)]
    return [
        (round(here * 2**SIGMA_FRAC), round((here - there) * 2 ** (SIGMA_FRAC + SLOPE_EXTRA)))
        for here, there in pairwise(points)
    ]
