# SPDX-License-Identifier: Apache-2.0
"""Token packets from an image: a few kilobytes built per packet, the rest streamed from the file as it is."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.host.image.image import Image
from tritforge.host.image.layout import Bytes, group_bytes, group_view, in_blocks
from tritforge.hw.packet import BIAS_WORDS, Context, header_words
from tritforge.hw.params import MAX_BATCH
from tritforge.hw.schedule import Group, Shape, Share


class TokenStream:
    """Makes the packets of an image.

    Parameters
    ----------
    image
        The model; its bodies are part of every packet without being copied.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._embed = cache(self._new_embed)

    def packet(self, contexts: Sequence[Context], sequence: int = 0) -> list[Bytes]:
        """The segments of one packet, whole beats each: header, EMBED group, body.

        The EMBED group is overwritten by the next packet of as many contexts. `TritforgeError` for a token outside
        the vocabulary, for more contexts than a packet can carry or none, and for an image that several cores share.
        """
        body, rows = self._image.body, self._rows(contexts)
        (share,) = self._image.shares
        return [self._header(self._image.shape, contexts, sequence), self._embedded(share, rows), body]

    def packets(self, contexts: Sequence[Context], sequence: int = 0) -> list[list[Bytes]]:
        """The segments of the packet of each linked core, core 0 first; otherwise as `packet`."""
        image, rows = self._image, self._rows(contexts)
        return [
            [self._header(share, contexts, sequence), self._embedded(share, rows), body]
            for share, body in zip(image.shares, image.bodies, strict=True)
        ]

    def _header(self, shape: Shape, contexts: Sequence[Context], sequence: int) -> Bytes:
        return header_words(self._image.params, shape, contexts, sequence).view(np.uint8)

    def _rows(self, contexts: Sequence[Context]) -> NDArray[np.uint32]:
        """The embedding rows of the contexts' tokens as words [hidden, contexts]."""
        if not 1 <= len(contexts) <= MAX_BATCH:
            raise TritforgeError(f"A packet carries 1 to {MAX_BATCH} contexts, not {len(contexts)}.")
        for context in contexts:
            check_token(context.token, self._image.shape.vocab)
        rows = self._image.embedding.rows([context.token for context in contexts])
        return rows.T.astype(np.int32).view(np.uint32)

    def _embedded(self, share: Share, rows: NDArray[np.uint32]) -> Bytes:
        """The EMBED group of a core."""
        data, words = self._embed(share, rows.shape[1])
        words[:] = in_blocks(rows[share.own(Group.EMBED)], self._image.params)
        return data

    def _new_embed(self, share: Share, contexts: int) -> tuple[Bytes, NDArray[np.uint32]]:
        """An EMBED group of a core for so many contexts, and the view of its x words [blocks, contexts, rows]."""
        params = self._image.params
        data = np.zeros(group_bytes(params, share, Group.EMBED, 0, contexts), dtype=np.uint8)
        view = group_view(data, params, share, Group.EMBED, 0, contexts)
        constants, gains = self._image.entry
        view.constants[:] = constants
        if share.index:
            view.constants[BIAS_WORDS] = 0
        view.gains[:, contexts:] = in_blocks(gains[share.own(Group.EMBED)], params)
        return data, view.gains[:, :contexts]


def check_token(token: int, vocab: int) -> None:
    """Raise TritforgeError for a token outside the vocabulary."""
    if not 0 <= token < vocab:
        raise TritforgeError(f"Token {token} is outside the vocabulary, which has 0 to {vocab - 1}.")
