# SPDX-License-Identifier: Apache-2.0
"""Token packets from an image: a few kilobytes built per packet, the rest streamed from the file as it is."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.host.image.image import Image
from tritforge.host.image.layout import Bytes, group_bytes, group_view, in_blocks
from tritforge.hw.packet import Context, header_words
from tritforge.hw.params import MAX_BATCH
from tritforge.hw.schedule import Group


class TokenStream:
    """Makes the packets of an image.

    Parameters
    ----------
    image
        The model; its body is part of every packet without being copied.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._embed = cache(self._new_embed)

    def packet(self, contexts: Sequence[Context], sequence: int = 0) -> list[Bytes]:
        """The segments of one packet, whole beats each: header, EMBED group, body.

        The EMBED group is overwritten by the next packet of as many contexts. `TritforgeError` for a token outside
        the vocabulary, and for more contexts than a packet can carry or none.
        """
        params, shape = self._image.params, self._image.shape
        count = len(contexts)
        if not 1 <= count <= MAX_BATCH:
            raise TritforgeError(f"A packet carries 1 to {MAX_BATCH} contexts, not {count}.")
        for context in contexts:
            check_token(context.token, shape.vocab)
        data, words = self._embed(count)
        rows = self._image.embedding.rows([context.token for context in contexts])
        words[:] = in_blocks(rows.T.astype(np.int32).view(np.uint32), params)
        header = header_words(params, shape, contexts, sequence)
        return [header.view(np.uint8), data, self._image.body]

    def _new_embed(self, contexts: int) -> tuple[Bytes, NDArray[np.uint32]]:
        """An EMBED group for so many contexts, and the view of its x words [blocks, contexts, rows]."""
        params, shape = self._image.params, self._image.shape
        data = np.zeros(group_bytes(params, shape, Group.EMBED, 0, contexts), dtype=np.uint8)
        view = group_view(data, params, shape, Group.EMBED, 0, contexts)
        constants, gains = self._image.entry
        view.constants[:] = constants
        view.gains[:, contexts:] = in_blocks(gains, params)
        return data, view.gains[:, :contexts]


def check_token(token: int, vocab: int) -> None:
    """Raise TritforgeError for a token outside the vocabulary."""
    if not 0 <= token < vocab:
        raise TritforgeError(f"Token {token} is outside the vocabulary, which has 0 to {vocab - 1}.")
