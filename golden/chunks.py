# SPDX-License-Identifier: Apache-2.0
"""Large arrays a few rows at a time, so that what is computed on the way stays in a core's cache."""

import math
from collections.abc import Iterator
from typing import Protocol, Self, TypeVar

CHUNK = 1 << 17
"""Values of a chunk: half a megabyte in float32."""


class Rows(Protocol):
    """An array of NumPy or PyTorch."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> Self: ...


Array = TypeVar("Array", bound=Rows)


def by_rows(first: Array, *others: Array) -> Iterator[tuple[Array, ...]]:
    """Views of the same rows of arrays that have as many, about CHUNK values of ``first`` at a time."""
    length = first.shape[0]
    rows = max(1, CHUNK * length // max(1, math.prod(first.shape)))
    for start in range(0, length, rows):
        yield tuple(array[start : start + rows] for array in (first, *others))
