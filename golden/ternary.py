# SPDX-License-Identifier: Apache-2.0
"""From latent float32 weights to trits and one scale per tensor."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tritforge.golden.arrays import STORED
from tritforge.golden.chunks import by_rows

SCALE_FLOOR = 1e-5
"""Smallest scale, as in the public code: an all-zero tensor gets it."""


class Ternary(NamedTuple):
    """A ternary tensor: the weights are `trits * scale`.

    Attributes
    ----------
    trits
        int8, each -1, 0 or 1, of the weight's shape.
    scale
        Positive; exactly a float32 value.
    """

    trits: NDArray[np.int8]
    scale: float


def ternarise(weight: NDArray[Any]) -> Ternary:
    """Return `clamp(round_half_even(W / mean|W|), -1, 1)` and `mean|W|`.

    A tensor whose values are already -s, 0 and s keeps them, with scale s: taking the mean again would
    shrink the scale by the share of non-zeros.

    Parameters
    ----------
    weight
        As stored: float32, float16 or bfloat16, any shape. Each chunk is upcast to float32 before anything
        is computed from it, so the whole never is.

    Raises
    ------
    TypeError
        For any other type.
    """
    if weight.dtype not in STORED.values():
        raise TypeError(f"ternarise takes weights of one type among {[*STORED]}, not {weight.dtype}.")
    trits = np.empty(weight.shape, np.int8)
    magnitude = _only_magnitude(weight)
    if magnitude:
        for values, out in by_rows(weight, trits):
            out[...] = np.sign(values.astype(np.float32))
        return Ternary(trits, magnitude)
    # The scale of golden.train.latent: another order of a float64 sum does not show in float32.
    total = sum(float(np.abs(values.astype(np.float64)).sum()) for (values,) in by_rows(weight))
    scale = max(np.float32(total / weight.size), np.float32(SCALE_FLOOR))
    factor = np.float32(1) / scale
    for values, out in by_rows(weight, trits):
        with np.errstate(over="ignore"):
            out[...] = np.rint(values.astype(np.float32) * factor).clip(-1, 1)
    return Ternary(trits, float(scale))


def _only_magnitude(weight: NDArray[Any]) -> float:
    """Return the magnitude that all values but zeros share; 0 where there are several, or only zeros."""
    shared = np.float32(0)
    for (values,) in by_rows(weight):
        magnitude = np.abs(values.astype(np.float32))
        shared = shared or magnitude.max()
        if not ((magnitude == 0) | (magnitude == shared)).all():
            return 0.0
    return float(shared)
