# SPDX-License-Identifier: Apache-2.0
"""A board as a way to run a model: packet by packet like any core, or tokens on their own."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure, TritforgeError
from tritforge.host.board.board import FINAL, MOST_TOKENS, STATUS_MASK, Board, Story, logged_beats
from tritforge.host.image.image import Image
from tritforge.host.image.stream import TokenStream
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.driver import CoreError
from tritforge.hw.board.layout import Plan
from tritforge.hw.packet import Context
from tritforge.hw.schedule import HeaderWord, Status


class CoreRegisters:
    """The registers of a board's core, as a transport of the driver that has nothing else.

    Parameters
    ----------
    board : connected.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """There is nothing loaded that could be run."""
        raise NotImplementedError

    def read_register(self, offset: int) -> int:
        """See `host.run.transport.Transport`."""
        return self._board.core_register(offset)

    def write_register(self, offset: int, value: int) -> None:
        """See `host.run.transport.Transport`."""
        self._board.set_core_register(offset, value)


class BoardTransport(CoreRegisters):
    """A board whose memory holds an image, as a transport of the driver (`host.run.transport`): of a packet only the
    beginning goes through the line.

    Parameters
    ----------
    board : loaded.
    image : what it is loaded with.
    where : in its memory.

    Attributes
    ----------
    cycles : of all packets so far.
    """

    def __init__(self, board: Board, image: Image, where: Plan) -> None:
        super().__init__(board)
        self._image, self._where = image, where
        self.cycles = 0

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """See `host.run.transport.Transport`; the last segment is the image's body, which the board has."""
        if not (last and expect_result) or segments[-1].base is not self._image.body.base:
            raise ValueError("A board plays whole packets of its own image.")
        contexts = int(segments[0].view(np.uint32)[HeaderWord.CONTEXTS]) & 0xFF
        self.put(segments, contexts)
        (token,) = self._board.play(Story(self._where, contexts))
        self.cycles += token.cycles
        return self._board.result(self._where.results)

    def put(self, packet: Sequence[NDArray[np.uint8]], contexts: int = 1) -> None:
        """Write the record of a packet into the scratch."""
        self._board.write_memory(self._where.scratch, self._where.split(packet, contexts)[0])


class BoardBackend(CoreBackend):
    """A board (`host.run.backends.Backend`) that can go on by itself.

    Attributes
    ----------
    where : in its memory everything is.
    cycles : of each token that the board has played by itself since the last reset.
    """

    def __init__(self, board: Board, image: Image, where: Plan, outlier_threshold: float | None = None) -> None:
        self._board, self.where = board, where
        self._transport = BoardTransport(board, image, where)
        self._stream = TokenStream(image)
        self.cycles: list[int] = []
        super().__init__(self._transport, image, outlier_threshold)

    @property
    def independent(self) -> bool:
        """Whether the memory holds the records that tokens on their own need."""
        return self.where.records is not None

    @property
    def beats(self) -> int:
        """Of a token that the board plays by itself."""
        where = self.where
        return where.record_beats() + where.blocks * where.gains_beats + where.body_beats

    def play(self, token: int, count: int) -> Iterator[int]:
        """Run a token, and then let the board go on with what it says: up to ``count`` tokens, the first of which
        follows ``token``; a token that ends the text is the last.

        Raises
        ------
        TritforgeError
            Where the memory holds no records.
        CoreError
            Where the core refuses a packet.
        """
        where = self.where
        if not self.independent:
            raise TritforgeError("The board's memory has no room for the records of this model's tokens.")
        eos = self.config.eos
        context = Context(token, zero=self._fresh)
        end = next(iter(eos)) if len(eos) == 1 else None
        left = count
        while left:
            self._transport.put(self._stream.packet([context]))
            self._fresh = False
            said, final = None, False
            for said in self._board.play(Story(where, 1, min(left, MOST_TOKENS, self._room()), end)):
                status = Status(said.status & STATUS_MASK)
                if status is not Status.OK:
                    raise CoreError([context.token], status)
                self.cycles.append(said.cycles)
                left -= 1
                final = bool(said.status & FINAL)
                context = Context(said.token)
                yield said.token
                if said.token in eos:
                    return
            if said is None or not final:
                raise Failure("The board has stopped before it was told to; reset it and load it again.")

    def reset(self) -> None:
        """See `Backend`."""
        super().reset()
        self.cycles.clear()

    def _room(self) -> int:
        """Results that the memory has room for."""
        return self.where.results_beats // logged_beats(self.where.beat_bytes)
