# SPDX-License-Identifier: Apache-2.0
"""An image decoded back to the integers that it was packed from."""

import numpy as np
from numpy.typing import NDArray

from tritforge.golden.model.quantise import IntegerHead, IntegerLayer, Matrix, Norm
from tritforge.host.image.image import Image
from tritforge.host.image.layout import GroupView, decode_trits, in_rows
from tritforge.hw.packet import split_gain, split_scale
from tritforge.hw.schedule import Group


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
        image = self._image
        mix, out = image.view(Group.MIX, index), image.view(Group.OUT, index)
        expand, contract = image.view(Group.EXPAND, index), image.view(Group.CONTRACT, index)
        hidden = image.shape.hidden
        mix_words = in_rows(mix.gains, hidden)
        norms = {
            "mix": self._entry_norm(index),
            "out": _norm(mix, mix_words[:, 1:]),
            "expand": _norm(out, in_rows(out.gains, hidden)),
            "contract": _norm(expand, in_rows(expand.gains, image.shape.intermediate), stat=False),
        }
        gate = np.concatenate([self._trits(expand, Group.EXPAND, name) for name in ("gate", "up")])
        matrices = {
            name: Matrix(self._trits(mix, Group.MIX, name), *split_scale(int(mix.constants[k])))
            for k, name in enumerate(("f", "i", "g"))
        }
        matrices |= {
            "o": Matrix(self._trits(out, Group.OUT, "o"), *split_scale(int(out.constants[0]))),
            "gate": Matrix(gate, *split_scale(int(expand.constants[0]))),
            "down": Matrix(self._trits(contract, Group.CONTRACT, "down"), *split_scale(int(contract.constants[0]))),
        }
        return IntegerLayer(split_gain(mix_words[:, 0])[0], norms, matrices)

    def head(self) -> IntegerHead:
        """Decode the final norm and lm_head."""
        image = self._image
        last = image.shape.layers - 1
        before, head = image.view(Group.CONTRACT, last), image.view(Group.HEAD, last + 1)
        norm = _norm(before, in_rows(before.gains, image.shape.hidden))
        trits = self._trits(head, Group.HEAD, "lm_head")
        return IntegerHead(norm, Matrix(trits, *split_scale(int(head.constants[0]))))

    def _entry_norm(self, layer: int) -> Norm:
        """The norm in front of a layer's MIX, which the product before it carries."""
        if layer == 0:
            constants, words = self._image.entry
            return _norm(GroupView(constants, words, {}), words)
        before = self._image.view(Group.CONTRACT, layer - 1)
        return _norm(before, in_rows(before.gains, self._image.shape.hidden))

    def _trits(self, view: GroupView, group: Group, name: str) -> NDArray[np.int8]:
        shape, params = self._image.shape, self._image.params
        return decode_trits(view.trits[name], shape.outputs(group), shape.inputs(group), params)


def _norm(view: GroupView, words: NDArray[np.uint32], stat: bool = True) -> Norm:
    """The norm whose constants a group carries; ``words`` [n, gains] as in `hw.schedule.gain_words`."""
    gains, stats = split_gain(words)
    vectors = [np.ascontiguousarray(v) for v in gains.T]
    outer = np.ascontiguousarray(stats[:, 0]) if stat else None
    kappa, bias = int(view.constants[3]), int(view.constants[4]) | int(view.constants[5]) << 32
    return Norm(outer, tuple(vectors), kappa, bias)
