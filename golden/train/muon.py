# SPDX-License-Identifier: Apache-2.0
"""The Muon optimiser, for the matrices of the layers; all matrices of a shape are stepped together."""

import math
from collections.abc import Iterable

import torch

MOMENTUM = 0.95
MATCH = 0.2
"""Root mean square of an update at a learning rate of 1: about AdamW's, so that both take one rate and decay."""


def orthogonalise(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return [N, rows, columns] with the singular vectors of `matrices` and singular values near 1.

    By Newton-Schulz iterations in bfloat16; the values end between 0.7 and 1.2, which is near enough.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x: torch.Tensor = (matrices.mT if tall else matrices).bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = 3.4445 * x + (2.0315 * (square @ square) - 4.7750 * square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, so that every direction of a matrix learns at the same pace.

    Unlike torch's own it takes the rate as a tensor, so a graph can record it, and needs few launches.

    Parameters
    ----------
    params
        Matrices.
    lr
        Learning rate, a scalar tensor on their device.
    weight_decay
        As of AdamW.
    """

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: torch.Tensor, weight_decay: float):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override] # no closure, which a graph could not record
        """Take one step with the gradients there are."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for parameter in group["params"]:
                shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in shapes.items():
                self._step(parameters, group["lr"], group["weight_decay"], MATCH * math.sqrt(max(shape)))

    def _step(self, parameters: list[torch.nn.Parameter], lr: torch.Tensor, decay: float, size: float) -> None:
        moments = []
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
            moments.append(self.state[parameter]["momentum"])
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        torch._foreach_lerp_(moments, gradients, 1 - MOMENTUM)
        ahead = torch.stack(torch._foreach_lerp(gradients, moments, MOMENTUM))
        updates = orthogonalise(ahead) * (lr * size)
        for parameter, update in zip(parameters, updates, strict=True):
            parameter.mul_(1 - lr * decay).sub_(update)
