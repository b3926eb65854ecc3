# SPDX-License-Identifier: Apache-2.0
"""A model with other trits, to see what the data alone changes."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from tritforge.golden.model.quantise import IntegerHead, IntegerLayer, Matrix
from tritforge.golden.model.source import IntegerSource, Quantised


class Redrawn:
    """A quantised checkpoint whose trits are drawn at random; all else is that of another.

    Parameters
    ----------
    source
        The other.
    zeros
        Share of zeros; plus and minus share the rest.
    seed
        The same seed gives the same trits.
    """

    def __init__(self, source: Quantised, zeros: float, seed: int = 1) -> None:
        self.config, self.fmt, self.embedding = source.config, source.fmt, source.embedding
        self.checkpoint = source.checkpoint
        self._source, self._zeros, self._seed = source, zeros, seed

    def layer(self, index: int) -> IntegerLayer:
        """One layer."""
        layer = self._source.layer(index)
        matrices = {
            name: self._draw(matrix, index, place) for place, (name, matrix) in enumerate(layer.matrices.items())
        }
        return replace(layer, matrices=matrices)

    def head(self) -> IntegerHead:
        """The final norm and lm_head."""
        head = self._source.head()
        return replace(head, matrix=self._draw(head.matrix, self.config.layers, 0))

    def _draw(self, matrix: Matrix, layer: int, place: int) -> Matrix:
        generator = torch.Generator().manual_seed(1000 * self._seed + 10 * layer + place)
        values = torch.rand(matrix.trits.shape, generator=generator)
        signs = torch.where(values < (1 + self._zeros) / 2, 1, -1)
        return replace(matrix, trits=torch.where(values < self._zeros, 0, signs).to(torch.int8).numpy())


def zero_share(source: IntegerSource) -> float:
    """Share of zeros among all trits of a model."""

    def matrices() -> Iterable[Matrix]:
        for index in range(source.config.layers):
            yield from source.layer(index).matrices.values()
        yield source.head().matrix

    zeros = total = 0
    for matrix in matrices():
        zeros += matrix.trits.size - int(np.count_nonzero(matrix.trits))
        total += matrix.trits.size
    return zeros / total
