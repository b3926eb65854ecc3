# SPDX-License-Identifier: Apache-2.0
"""Token packets from an image: a few kilobytes built per token, the rest streamed from the file as it is."""

import numpy as np
import torch

from host.image import Image
from host.layout import Bytes, group_bytes, group_view
from hw.packet import header_words
from hw.schedule import Group, gain_words


class TokenStream:
    """Makes the packets of an image.

    Parameters
    ----------
    image
        The model; its body is part of every packet without being copied.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        core, shape = image.core, image.shape
        self._embed = np.zeros(group_bytes(core, shape, Group.EMBED, 0), dtype=np.uint8)
        view = group_view(self._embed, core, shape, Group.EMBED, 0)
        constants, words = image.entry
        view.constants[:] = constants
        self._rows = np.zeros((core.blocks(shape.hidden) * core.rows, gain_words(Group.EMBED, False)), np.uint32)
        self._rows[: shape.hidden, 1:] = words
        self._gains = view.gains

    def packet(self, token: int, sequence: int = 0, flags: int = 0) -> list[Bytes]:
        """The segments of one token, whole beats each: header, EMBED group, body.

        The EMBED group is overwritten by the next call. `ValueError` for a token outside the vocabulary.
        """
        core, shape = self._image.core, self._image.shape
        check_token(token, shape.vocab)
        row = self._image.embedding.rows(torch.tensor([token]))[0].numpy()
        self._rows[: shape.hidden, 0] = row.astype(np.int32).view(np.uint32)
        self._gains[:] = self._rows.reshape(self._gains.shape)
        header = header_words(core, shape, token, sequence, flags)
        return [header.view(np.uint8), self._embed, self._image.body]


def check_token(token: int, vocab: int) -> None:
    """Raise ValueError for a token outside the vocabulary."""
    if not 0 <= token < vocab:
        raise ValueError(f"Token {token} is outside the vocabulary, which has 0 to {vocab - 1}.")
