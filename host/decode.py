# SPDX-License-Identifier: Apache-2.0
"""An image decoded back to the integers that it was packed from."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from golden.quantise import IntegerHead, IntegerLayer, Matrix, Norm
from host.layout import GroupView, decode_trits, in_rows
from hw.packet import split_gain, split_scale
from hw.schedule import Group

if TYPE_CHECKING:
    from host.image import Image


def layer(image: "Image", index: int) -> IntegerLayer:
    """Decode one layer."""
    mix, out = image.view(Group.MIX, index), image.view(Group.OUT, index)
    expand, contract = image.view(Group.EXPAND, index), image.view(Group.CONTRACT, index)
    hidden = image.shape.hidden
    mix_words = in_rows(mix.gains, hidden)
    norms = {
        "mix": _entry_norm(image, index),
        "out": _norm(mix, mix_words[:, 1:]),
        "expand": _norm(out, in_rows(out.gains, hidden)),
        "contract": _norm(expand, in_rows(expand.gains, image.shape.intermediate), stat=False),
    }
    gate = np.concatenate([_trits(image, expand, Group.EXPAND, name) for name in ("gate", "up")])
    matrices = {
        name: Matrix(_trits(image, mix, Group.MIX, name), *split_scale(int(mix.constants[k])))
        for k, name in enumerate(("f", "i", "g"))
    }
    matrices |= {
        "o": Matrix(_trits(image, out, Group.OUT, "o"), *split_scale(int(out.constants[0]))),
        "gate": Matrix(gate, *split_scale(int(expand.constants[0]))),
        "down": Matrix(_trits(image, contract, Group.CONTRACT, "down"), *split_scale(int(contract.constants[0]))),
    }
    return IntegerLayer(split_gain(mix_words[:, 0])[0], norms, matrices)


def head(image: "Image") -> IntegerHead:
    """Decode the final norm and lm_head."""
    last = image.shape.layers - 1
    before, head = image.view(Group.CONTRACT, last), image.view(Group.HEAD, last + 1)
    norm = _norm(before, in_rows(before.gains, image.shape.hidden))
    trits = _trits(image, head, Group.HEAD, "lm_head")
    return IntegerHead(norm, Matrix(trits, *split_scale(int(head.constants[0]))))


def _entry_norm(image: "Image", layer: int) -> Norm:
    """The norm in front of a layer's MIX, which the product before it carries."""
    if layer == 0:
        constants, words = image.entry
        return _norm(GroupView(constants, words, {}), words)
    before = image.view(Group.CONTRACT, layer - 1)
    return _norm(before, in_rows(before.gains, image.shape.hidden))


def _trits(image: "Image", view: GroupView, group: Group, name: str) -> NDArray[np.int8]:
    return decode_trits(view.trits[name], image.shape.outputs(group), image.shape.inputs(group), image.core)


def _norm(view: GroupView, words: NDArray[np.uint32], stat: bool = True) -> Norm:
    """The norm whose constants a group carries; ``words`` [n, gains] as in `hw.schedule.gain_words`."""
    gains, stats = split_gain(words)
    vectors = [np.ascontiguousarray(v) for v in gains.T]
    outer = np.ascontiguousarray(stats[:, 0]) if stat else None
    kappa, bias = int(view.constants[3]), int(view.constants[4]) | int(view.constants[5]) << 32
    return Norm(outer, tuple(vectors), kappa, bias)
