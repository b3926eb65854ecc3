# SPDX-License-Identifier: Apache-2.0
"""Looks whether a board works: when its memory's answers are taken, its memory, its bandwidth."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure
from tritforge.host.board.board import STATUS_MASK, Board, Story
from tritforge.hw.board.layout import place
from tritforge.hw.board.machine_map import BY_NAME, LEAST_CAPTURE
from tritforge.hw.packet import Context, header_words
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Shape, Status, token_beats

PATTERN_BYTES = 1024
PHASES = range(0, 32, 2)
"""Steps of the memory's clock: a whole period of the board's."""
CAPTURES = range(LEAST_CAPTURE - 1, 4)
BLOCK_BYTES = {False: 1 << 8, True: 1 << 12}
"""Of a block: of some, and where all of the memory is tested."""
STREAM = Shape(256, 2, 704, 512)
"""A model whose weights are whatever the memory holds."""
Progress = Callable[[int, int], None]


class Setting(NamedTuple):
    """When answers are taken: cycles, and steps of the memory's clock."""

    capture: int
    phase: int


@dataclass(frozen=True)
class Scan:
    """Which settings read back what was written.

    Attributes
    ----------
    good : by setting.
    chosen : in the middle of the longest run of good phases, of the least capture that has one; None where none is.
    """

    good: dict[Setting, bool]
    chosen: Setting | None

    def rows(self) -> dict[int, str]:
        """By cycles, a mark for each phase: # where it is good."""
        rows = dict.fromkeys(sorted({setting.capture for setting in self.good}), "")
        for setting, good in self.good.items():
            rows[setting.capture] += "#" if good else "."
        return rows


def scan(board: Board, phases: Sequence[int] = PHASES, progress: Progress | None = None) -> Scan:
    """Try all settings, and leave the best one set.

    Raises
    ------
    Failure
        Where none works.
    """
    pattern = _pattern(PATTERN_BYTES, 1)
    wanted = [Setting(capture, phase) for phase in phases for capture in CAPTURES]
    good = {}
    for number, setting in enumerate(wanted, 1):
        _set(board, setting)
        board.write_memory(0, pattern)
        good[setting] = bool((board.read_memory(0, PATTERN_BYTES // board.identity.beat_bytes) == pattern).all())
        if progress is not None:
            progress(number, len(wanted))
    chosen = _middle(good, phases)
    if chosen is None:
        raise Failure("Nothing that is written to the memory comes back; is it soldered, and the clock not too fast?")
    _set(board, chosen)
    return Scan(good, chosen)


def test_memory(board: Board, whole: bool = False, progress: Progress | None = None) -> int:
    """Write and read back: a beat at every power of two, which finds address lines that are stuck or joined, and then
    blocks all over the memory, or all of it.

    Returns
    -------
    int
        Bytes that were compared.

    Raises
    ------
    Failure
        With the first address that differs.
    """
    size, beats = board.identity.beat_bytes, board.identity.memory_bytes // board.identity.beat_bytes
    lines = [0, *(1 << bit for bit in range(beats.bit_length() - 1))]
    for at in lines:
        board.write_memory(at, _pattern(size, at))
    for at in lines:
        _compare(board, at, _pattern(size, at))
    block = BLOCK_BYTES[whole]
    step = block // size
    blocks = list(range(0, beats, step)) if whole else [k * beats // 32 // step * step for k in range(32)]
    for number, at in enumerate(blocks, 1):
        board.write_memory(at, _pattern(block, at))
        if progress is not None:
            progress(number, 2 * len(blocks))
    for number, at in enumerate(blocks, 1):
        _compare(board, at, _pattern(block, at))
        if progress is not None:
            progress(len(blocks) + number, 2 * len(blocks))
    return len(lines) * size + len(blocks) * block


def bandwidth(board: Board, core: CoreParams) -> float:
    """Bytes a second of the weight stream: a token of a model of zeros and of whatever the memory holds, which comes
    to its end like any other.

    Raises
    ------
    Failure
        Where the core refuses it.
    """
    identity = board.identity
    where = place(core, STREAM, identity.memory_bytes)
    header = header_words(core, STREAM, [Context(0, zero=True)], 0)
    record = np.zeros(where.record_beats() * identity.beat_bytes, dtype=np.uint8)
    record[: 4 * len(header)] = header.view(np.uint8)
    board.write_memory(where.scratch, record)
    (token,) = board.play(Story(where))
    if token.status & STATUS_MASK != Status.OK:
        raise Failure(
            f"The core ends a packet with status {Status(token.status & STATUS_MASK).name}; reset the board."
        )
    return token_beats(core, STREAM) * identity.beat_bytes * identity.clock_hz / token.cycles


def _set(board: Board, setting: Setting) -> None:
    board.set_register("CAPTURE", BY_NAME["CAPTURE"].word(CYCLES=setting.capture, PHASE=setting.phase))


def _middle(good: dict[Setting, bool], phases: Sequence[int]) -> Setting | None:
    best: tuple[int, Setting] | None = None
    for capture in CAPTURES:
        for run in _runs([good[Setting(capture, phase)] for phase in phases]):
            middle = Setting(capture, phases[run[len(run) // 2]])
            if best is None or len(run) > best[0]:
                best = len(run), middle
    return best and best[1]


def _runs(values: Sequence[bool]) -> Iterator[list[int]]:
    """Positions of what is true, run by run."""
    run: list[int] = []
    for at, value in enumerate(values):
        if value:
            run.append(at)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _pattern(count: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8)


def _compare(board: Board, at: int, wanted: NDArray[np.uint8]) -> None:
    found = board.read_memory(at, len(wanted) // board.identity.beat_bytes)
    wrong = np.flatnonzero(found != wanted)
    if len(wrong):
        address = at * board.identity.beat_bytes + int(wrong[0])
        raise Failure(
            f"The memory at {address:#x} holds {found[wrong[0]]:#04x} instead of {wanted[wrong[0]]:#04x} "
            f"({len(wrong)} of {len(wanted)} bytes differ)."
        )
