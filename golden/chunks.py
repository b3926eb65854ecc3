# SPDX-License-Identifier: Apache-2.0
"""Large tensors a few rows at a time, so that what is computed on the way stays in a core's cache."""

from collections.abc import Iterator

from torch import Tensor

CHUNK = 1 << 17
"""Values of a chunk: half a megabyte in float32."""


def by_rows(first: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of the same rows of tensors that have as many, about CHUNK values of ``first`` at a time."""
    rows = max(1, CHUNK * len(first) // first.numel())
    return zip(*(tensor.split(rows) for tensor in (first, *others)), strict=True)
