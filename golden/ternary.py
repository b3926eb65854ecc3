# SPDX-License-Identifier: Apache-2.0
"""From latent float32 weights to trits and one scale per tensor."""

from typing import NamedTuple

import torch

from golden.chunks import by_rows

SCALE_FLOOR = 1e-5
"""Smallest scale, as in the public code: an all-zero tensor gets it."""
STORED = torch.float32, torch.float16, torch.bfloat16
"""The types of stored weights; float32 holds the values of all."""


class Ternary(NamedTuple):
    """A ternary tensor: the weights are `trits * scale`.

    Attributes
    ----------
    trits
        int8, each -1, 0 or 1, of the weight's shape.
    scale
        Positive; exactly a float32 value.
    """

    trits: torch.Tensor
    scale: float


def ternarise(weight: torch.Tensor) -> Ternary:
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
    if weight.dtype not in STORED:
        raise TypeError(f"ternarise takes weights of one type among {STORED}, not {weight.dtype}.")
    trits = torch.empty(weight.shape, dtype=torch.int8)
    magnitude = _only_magnitude(weight)
    if magnitude:
        for values, out in by_rows(weight, trits):
            out.copy_(values.sign())
        return Ternary(trits, magnitude)
    # The scale of ternarise_latent: another order of a float64 sum does not show in float32.
    total = sum(values.double().abs_().sum().item() for (values,) in by_rows(weight))
    scale = torch.tensor(total / weight.numel(), dtype=torch.float32).clamp(min=SCALE_FLOOR)
    factor = 1.0 / scale
    for values, out in by_rows(weight, trits):
        out.copy_((values.float() * factor).round_().clamp_(-1, 1))
    return Ternary(trits, scale.item())


def ternarise_latent(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the float32 trits and scale of latent weights, as a graph that training can compile.

    The arithmetic is that of the public code, in float32 (the trits depend on it), except that the
    mean is summed in float64, so that it does not depend on the thread count or the device.
    """
    scale = weight.abs().mean(dtype=torch.float64).to(torch.float32).clamp(min=SCALE_FLOOR)
    return (weight * (1.0 / scale)).round().clamp(-1, 1), scale


def keep_clear(weight: torch.Tensor, margin: float = 0.1) -> torch.Tensor:
    """Return latent weights with the same trits and scale, none near a threshold.

    Training piles latent weights up at the thresholds, where storing them in 16 bits flips a few per
    cent of the trits. The result survives that, and a mean taken in 16 bits as well.

    Parameters
    ----------
    weight
        float32, not all zero.
    margin
        Distance kept from the thresholds, a share of them.
    """
    trits, scale = ternarise_latent(weight)
    magnitude, threshold = weight.abs(), scale / 2
    below, above = (
        magnitude.clamp(max=threshold * (1 - margin)),
        magnitude.clamp(min=threshold * (1 + margin)),
    )
    far = torch.where(trits == 0, below, above)
    return far * weight.sign() * (scale / far.mean(dtype=torch.float64)).to(torch.float32)


def _only_magnitude(weight: torch.Tensor) -> float:
    """Return the magnitude that all values but zeros share; 0 where there are several, or only zeros."""
    shared = 0.0
    for (values,) in by_rows(weight):
        magnitude = values.float().abs()
        shared = shared or magnitude.max().item()
        if not ((magnitude == 0) | (magnitude == shared)).all():
            return 0.0
    return shared
