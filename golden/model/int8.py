# SPDX-License-Identifier: Apache-2.0
"""Ways to quantise the inputs of ternary products, in float32: LLM.int8() and what it is to be compared with.

LLM.int8() (Dettmers et al., 2022) takes the columns apart in which an input reaches the threshold 6.0, multiplies
them in half precision, and codes what is left in int8 by its own largest magnitude. Here that is decided for each
token, as in decoding, and the weights need no codes: they are ternary.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tritforge.golden.model.activations import CODE_BITS, DEFAULT_THRESHOLD
from tritforge.golden.model.reference import CODE_MAX, PEAK_FLOOR, ReferenceModel, rms_norm, round_half_away

Quantise = Callable[[Tensor], Tensor]
"""Inputs [T, n] of a product to what it sees of them, in the same units."""


@dataclass
class Share:
    """Of how many elements and vectors something is true.

    Attributes
    ----------
    elements, vectors
        Shares of those seen so far.
    """

    _seen: list[int] = field(default_factory=lambda: [0, 0])
    _true: list[int] = field(default_factory=lambda: [0, 0])

    def count(self, outlier: Tensor) -> Tensor:
        """Count a mask [T, n]; return it."""
        for at, mask in enumerate((outlier, outlier.any(-1))):
            self._seen[at] += mask.numel()
            self._true[at] += int(mask.sum())
        return outlier

    @property
    def elements(self) -> float:
        return self._true[0] / self._seen[0]

    @property
    def vectors(self) -> float:
        return self._true[1] / self._seen[1]


def exact(y: Tensor) -> Tensor:
    """Not quantised."""
    return y


def absmax(bits: int) -> Quantise:
    """Codes of so many bits by the largest magnitude of each vector."""
    return lambda y: _coded(y, _largest(y), (1 << (bits - 1)) - 1)


def llm_int8(share: Share, threshold: float = DEFAULT_THRESHOLD) -> Quantise:
    """LLM.int8(): inputs from the threshold on in float16, the others in int8 by their own largest magnitude."""

    def quantise(y: Tensor) -> Tensor:
        outlier = share.count(y.abs() >= threshold)
        rest = torch.where(outlier, 0, y)
        return torch.where(outlier, y.half().float(), _coded(rest, _largest(rest), CODE_MAX))

    return quantise


def extended(bits: int, share: Share, threshold: float = DEFAULT_THRESHOLD, power_of_two: bool = False) -> Quantise:
    """127 for ``threshold`` times the root mean square; larger inputs beyond it, as far as ``bits`` reach.

    With ``power_of_two`` it is for the largest magnitude over a power of two: the real `golden.model.outlier_codes`.
    """

    def quantise(y: Tensor) -> Tensor:
        level, largest = threshold * y.square().mean(-1, keepdim=True).sqrt(), _largest(y)
        share.count(y.abs() > level)
        if power_of_two:
            widening = (largest / level.clamp(min=PEAK_FLOOR)).log2().ceil().clamp(0, bits - CODE_BITS)
            return _coded(y, largest * torch.exp2(-widening), CODE_MAX)
        least = largest * CODE_MAX / ((1 << (bits - 1)) - 1)
        return _coded(y, torch.maximum(torch.minimum(largest, level), least), CODE_MAX)

    return quantise


class QuantisedModel(ReferenceModel):
    """The float32 reference with other inputs of its products."""

    def __init__(self, model: ReferenceModel, quantise: Quantise) -> None:
        super().__init__(model.config, model.tensors, model.linears)
        self._quantise = quantise

    def _linear(self, name: str, x: Tensor, keep: dict[str, Tensor]) -> Tensor:
        trits, scale = self.linears[name]
        seen = self._quantise(rms_norm(x, self.tensors[f"{name}.norm.weight"]))
        return seen @ torch.from_numpy(trits).float().T * scale


def _largest(y: Tensor) -> Tensor:
    """The largest magnitude of each vector [T, 1]."""
    return y.abs().amax(-1, keepdim=True).clamp(min=PEAK_FLOOR)


def _coded(y: Tensor, level: Tensor, code: int) -> Tensor:
    """Rounded to multiples of ``level / code``."""
    return round_half_away(y * (code / level)) * (level / code)
