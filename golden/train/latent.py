# SPDX-License-Identifier: Apache-2.0
"""Latent weights as training has them: ternarised in a graph, and kept clear of the thresholds when stored."""

import torch

from tritforge.golden.ternary import SCALE_FLOOR


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
