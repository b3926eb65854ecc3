# SPDX-License-Identifier: Apache-2.0
"""Ternary products by additions and subtractions alone: the sum over plus columns less that over minus columns."""

import torch
from torch import Tensor

from tritforge.golden.chunks import CHUNK


def accumulate(codes: Tensor, trits: Tensor) -> Tensor:
    """What `golden.model.integer.accumulate` returns, bit for bit, without a multiplication.

    Parameters
    ----------
    codes : integers [T, n] of at most 127 * 16 in magnitude.
    trits : int8 [rows, n].

    Returns
    -------
    int64 [T, rows]; sums are taken in int32, which no row of this model can overflow (127 * 16 * n < 2**24).
    """
    vectors = codes.to(torch.int32).unsqueeze(1)
    rows_at_once = max(1, CHUNK // codes.numel())
    parts = []
    for rows in trits.split(rows_at_once):
        plus, minus = (torch.where(mask, vectors, 0).sum(-1, dtype=torch.int32) for mask in (rows > 0, rows < 0))
        parts.append(plus - minus)
    return torch.cat(parts, dim=-1).long()
