# SPDX-License-Identifier: Apache-2.0
"""Puts an image into a board's memory, goes on where it was interrupted, and reads it back."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from tritforge.golden import Failure, TritforgeError
from tritforge.host.board.board import Board
from tritforge.host.board.plan import Directory, content, digest, plan
from tritforge.host.image.image import Image
from tritforge.host.image.layout import Bytes
from tritforge.hw.board.layout import DIRECTORY_BYTES, Plan

STEP_BYTES = 1 << 16
"""Written between two notes of how far it is."""
AGAIN = 3
"""Times that a part is written before the memory is called faulty."""
Progress = Callable[[int, int], None]
"""Called with the bytes done and their total; writing and reading back count alike."""


def loaded(board: Board, image: Image) -> bool:
    """Whether the memory holds the image, complete and read back."""
    where = plan(image, board.identity)
    found = _directory(board)
    return found == Directory(digest(image, where), where.loaded_beats, True)


def load(board: Board, image: Image, progress: Progress | None = None) -> Plan:
    """Load an image.

    What was loaded of the same image before is kept, so an interrupted load goes on where it was; and all of it is
    read back and compared by CRC-32, part after part, so that what has faded meanwhile is written anew.

    Parameters
    ----------
    board : not playing.
    image : packed for its core.
    progress : told how far it is.

    Raises
    ------
    TritforgeError
        Where the image does not fit.
    Failure
        Where a part is not what was written, three times over.
    """
    where = plan(image, board.identity)
    state = Directory(digest(image, where), 0, False)
    found = _directory(board)
    if found is not None and found.digest == state.digest:
        state = found
    if state.verified:
        return where
    size = where.loaded_beats * where.beat_bytes
    for at, part in _parts(image, where, state.loaded):
        board.write_memory(where.gains + at, part)
        state = replace(state, loaded=at + len(part) // where.beat_bytes)
        board.write_memory(0, _bytes(state))
        if progress is not None:
            progress(state.loaded * where.beat_bytes, 2 * size)
    for at, part in _parts(image, where, 0):
        _compare(board, where, at, part)
        if progress is not None:
            progress(size + at * where.beat_bytes + len(part), 2 * size)
    board.write_memory(0, _bytes(replace(state, verified=True)))
    return where


def preload(put: Callable[[int, Bytes], None], board: Board, image: Image) -> Plan:
    """Put an image straight into a simulated memory; what the line would take is simulated in an hour.

    Parameters
    ----------
    put : writes bytes at an address. board : of the memory. image : packed for its core.
    """
    where = plan(image, board.identity)
    place = where.gains * where.beat_bytes
    for part in content(image, where):
        put(place, part)
        place += len(part)
    put(0, _bytes(Directory(digest(image, where), where.loaded_beats, True)))
    return where


def _directory(board: Board) -> Directory | None:
    return Directory.parse(board.read_memory(0, DIRECTORY_BYTES // board.identity.beat_bytes).tobytes())


def _bytes(directory: Directory) -> Bytes:
    return np.frombuffer(directory.pack(), dtype=np.uint8)


def _parts(image: Image, where: Plan, start: int) -> Iterator[tuple[int, Bytes]]:
    """What lies in the memory from a beat behind the directory on, in steps: (beat, bytes)."""
    at, step = 0, STEP_BYTES // where.beat_bytes
    for section in content(image, where):
        beats = len(section) // where.beat_bytes
        for first in range(0, beats, step):
            stop = min(first + step, beats)
            if at + stop > start:
                yield at + first, section[first * where.beat_bytes : stop * where.beat_bytes]
        at += beats


def _compare(board: Board, where: Plan, at: int, part: Bytes) -> None:
    wanted = zlib.crc32(part.data)
    for _ in range(AGAIN):
        if zlib.crc32(board.read_memory(where.gains + at, len(part) // where.beat_bytes).data) == wanted:
            return
        board.write_memory(where.gains + at, part)
    address = (where.gains + at) * where.beat_bytes
    raise Failure(
        f"The memory at {address:#x} does not keep what is written; run tritforge board test to set when it is read."
    )


def require(board: Board, image: Image) -> Plan:
    """The plan of an image that is loaded; TritforgeError with the remedy where it is not."""
    if not loaded(board, image):
        raise TritforgeError("The board's memory does not hold this model; load it with tritforge board load.")
    return plan(image, board.identity)
