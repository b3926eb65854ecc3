# SPDX-License-Identifier: Apache-2.0
"""The types that weights are stored in, as NumPy and as PyTorch have them; PyTorch is imported where it is used."""

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

FLOAT32, FLOAT16, BFLOAT16 = (np.dtype(kind) for kind in (np.float32, np.float16, ml_dtypes.bfloat16))
STORED = {"F32": FLOAT32, "F16": FLOAT16, "BF16": BFLOAT16}
"""By their names in a safetensors file; float32 holds the values of all."""


def as_array(tensor: "Tensor") -> NDArray[Any]:
    """The same values, in memory that both share."""
    import torch

    if tensor.dtype is torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(BFLOAT16)
    return tensor.numpy()


def as_tensor(array: NDArray[Any]) -> "Tensor":
    """The same values, in memory that both share."""
    import torch

    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
