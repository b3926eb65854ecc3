# SPDX-License-Identifier: Apache-2.0
"""An image decoded back to the integers that it was packed from."""

import numpy as np
from numpy.typing import NDArray

from tritforge.golden.model.quantise import IntegerHead, IntegerLayer, Matrix, Norm
from tritforge.host.image.image import Image
from tritforge.host.image.layout import decode_trits, in_rows
from tritforge.hw.packet import BIAS_WORDS, split_gain, split_scale
from tritforge.hw.schedule import LAYER, Group


class DecodedImage:
    """An image as a `golden.model.source.IntegerSource`, so that the integer model runs from it.

    Parameters
    ----------
    image : an opened one.

    Attributes
    ----------
    config, fmt, embedding : the image's.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self.config, self.fmt, self.embedding = image.config, image.fmt, image.embedding

    def layer(self, index: int) -> IntegerLayer:
        """Decode one layer."""
        mix, out, expand, contract = (_Whole(self._image, group, index) for group in LAYER)
        norms = {
            "mix": self._entry_norm(index),
            "out": _norm(mix.constants, mix.words[:, 1:]),
            "expand": _norm(out.constants, out.words),
            "contract": _norm(expand.constants, expand.words, stat=False),
        }
        matrices = {name: mix.matrix(name, scale=k) for k, name in enumerate("fig")}
        matrices |= {"o": out.matrix("o"), "gate": expand.matrix("gate", "up"), "down": contract.matrix("down")}
        return IntegerLayer(split_gain(mix.words[:, 0])[0], norms, matrices)

    def head(self) -> IntegerHead:
        """Decode the final norm and lm_head."""
        layers = self._image.shape.layers
        return IntegerHead(self._entry_norm(layers), _Whole(self._image, Group.HEAD, layers).matrix("lm_head"))

    def _entry_norm(self, layer: int) -> Norm:
        """The norm in front of a layer's MIX or of the head, which the product before it carries."""
        if layer == 0:
            return _norm(*self._image.entry)
        before = _Whole(self._image, Group.CONTRACT, layer - 1)
        return _norm(before.constants, before.words)


class _Whole:
    """A group with the rows of all cores.

    Attributes
    ----------
    constants
        Those of the first core.
    words
        The side words [n, kinds].
    """

    def __init__(self, image: Image, group: Group, layer: int) -> None:
        views = image.views(group, layer)
        self._params, self._group = image.params, group
        self._parts = list(zip(views, image.shares, strict=True))
        self.constants = views[0].constants
        self.words = np.concatenate([in_rows(view.gains, share.outputs(group)) for view, share in self._parts])

    def matrix(self, *names: str, scale: int = 0) -> Matrix:
        """Matrices, one below the other, and the scale that is the constants' so many-th."""
        trits = [
            decode_trits(view.trits[name], share.outputs(self._group), share.inputs(self._group), self._params)
            for name in names
            for view, share in self._parts
        ]
        return Matrix(np.concatenate(trits), *split_scale(int(self.constants[scale])))


def _norm(constants: NDArray[np.uint32], words: NDArray[np.uint32], stat: bool = True) -> Norm:
    """The norm whose constants a group carries; ``words`` [n, gains] as in `hw.schedule.gain_words`."""
    gains, stats = split_gain(words)
    vectors = [np.ascontiguousarray(v) for v in gains.T]
    outer = np.ascontiguousarray(stats[:, 0]) if stat else None
    low, high = constants[BIAS_WORDS].tolist()
    return Norm(outer, tuple(vectors), int(constants[3]), low | high << 32)
