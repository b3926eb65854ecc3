# SPDX-License-Identifier: Apache-2.0
"""Embedding rows as codes with one scale a group, made wide when they are asked for; NumPy, as the host has it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Embedding:
    """Codes int8 or int16 [V, d] with one float32 scale a group: row = round(code * scale * 2**residual_frac)."""

    codes: NDArray[np.int8] | NDArray[np.int16]
    scales: NDArray[np.float32]
    residual_frac: int

    def rows(self, ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        """Residual values [T, d] of the tokens ``ids``; nothing else of the table is read."""
        codes, scales = self.codes[ids], self.scales[ids]
        group = codes.shape[1] // scales.shape[1]
        wide = scales.astype(np.float64).repeat(group, axis=1) * 2.0**self.residual_frac
        return np.rint(codes * wide).astype(np.int64)
