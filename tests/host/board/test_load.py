# SPDX-License-Identifier: Apache-2.0
"""An image gets into a board's memory, whatever interrupts it, and what the memory does not keep is found."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cores import CORES, packed
from tritforge.golden import Failure, TritforgeError
from tritforge.host.board import load as loading
from tritforge.host.board.load import AGAIN, load, loaded, preload, require
from tritforge.host.board.plan import content, plan
from tritforge.host.board.port import LinkLost
from tritforge.host.image.image import Image
from tritforge.hw.board.layout import DIRECTORY_BYTES
from tritforge.hw.board.machine_map import Identity

BEATS = 1 << 15
STEP = 4096


class FakeBoard:
    """The driver of a board, as far as its memory.

    Attributes
    ----------
    memory : bytes. written : first beat and bytes of each write. read : the same.
    budget : bytes that it writes until the line is lost in the middle of a write; None for no end.
    faulty : bytes that keep their value, and how many more writes they do.
    """

    def __init__(self, beat_bytes: int) -> None:
        self.identity = Identity(beat_bytes, BEATS * beat_bytes, 100_000_000)
        self.memory = np.random.default_rng(1).integers(0, 256, BEATS * beat_bytes, dtype=np.uint8)
        self.written: list[tuple[int, int]] = []
        self.read: list[tuple[int, int]] = []
        self.budget: int | None = None
        self.faulty: dict[int, int] = {}

    def put(self, address: int, data: NDArray[np.uint8]) -> None:
        self.memory[address : address + len(data)] = data

    def read_memory(self, beat: int, beats: int) -> NDArray[np.uint8]:
        size = self.identity.beat_bytes
        self.read.append((beat, beats * size))
        return self.memory[beat * size : (beat + beats) * size].copy()

    def write_memory(self, beat: int, data: NDArray[np.uint8]) -> None:
        size = self.identity.beat_bytes
        assert len(data) and len(data) % size == 0 and data.dtype == np.uint8
        place = beat * size
        kept = {at: int(self.memory[at]) for at in self.faulty if place <= at < place + len(data)}
        count = len(data) if self.budget is None else min(len(data), self.budget)
        self.memory[place : place + count] = data[:count]
        for at, value in kept.items():
            if self.faulty[at]:
                self.memory[at] = value
                self.faulty[at] -= 1
        if self.budget is not None:
            self.budget -= count
            if not self.budget:
                raise LinkLost("pulled")
        self.written.append((beat, len(data)))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return packed(CORES["16x2"], tmp_path_factory.mktemp("image"))


@pytest.fixture
def board(image: Image, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    monkeypatch.setattr(loading, "STEP_BYTES", STEP)
    return FakeBoard(image.params.lanes)


def wanted(image: Image, board: FakeBoard) -> NDArray[np.uint8]:
    return np.concatenate([part.ravel() for part in content(image, plan(image, board.identity))])


def holds(image: Image, board: FakeBoard) -> bool:
    data = wanted(image, board)
    return np.array_equal(board.memory[DIRECTORY_BYTES : DIRECTORY_BYTES + len(data)], data)


def load_unread(board: FakeBoard, image: Image) -> None:
    """Load, and go away before anything is read back."""

    def progress(done: int, total: int) -> None:
        if 2 * done == total:
            raise LinkLost("pulled")

    with pytest.raises(LinkLost):
        load(board, image, progress)


def test_an_image_is_loaded_once(image: Image, board: FakeBoard) -> None:
    assert not loaded(board, image)
    with pytest.raises(TritforgeError, match="does not hold this model; load it"):
        require(board, image)
    behind = board.memory[DIRECTORY_BYTES + len(wanted(image, board)) :].copy()
    seen: list[tuple[int, int]] = []
    where = load(board, image, lambda done, total: seen.append((done, total)))
    assert where == plan(image, board.identity) == require(board, image)
    assert holds(image, board) and loaded(board, image)
    # each byte once, and nothing else but the directory
    parts = [(beat, size) for beat, size in board.written if beat]
    at = where.gains
    for beat, size in parts:
        assert beat == at and size <= STEP
        at += size // where.beat_bytes
    assert at == where.scratch and np.array_equal(board.memory[at * where.beat_bytes :], behind)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {2 * len(wanted(image, board))} and seen[-1][0] == seen[-1][1]
    # once more: there is nothing to do
    board.written.clear()
    board.read.clear()
    assert load(board, image) == where
    assert board.written == [] and board.read == [(0, DIRECTORY_BYTES)]


def test_a_load_goes_on_where_it_was_interrupted(image: Image, board: FakeBoard) -> None:
    fresh = board.memory.copy()
    load(board, image)
    writes, total = list(board.written), len(wanted(image, board))
    assert len(writes) > 20
    begun = noted = parts = 0
    for number, (beat, size) in enumerate(writes):
        for cut in (size // 2, size):
            if number == len(writes) - 1 and cut == size:
                # it was all over
                continue
            board.memory[:], board.budget = fresh, begun + cut
            with pytest.raises(LinkLost):
                load(board, image)
            assert not loaded(board, image)
            board.budget = None
            board.written.clear()
            load(board, image)
            assert holds(image, board) and loaded(board, image)
            kept = noted if beat else parts if cut == size else 0
            # what was noted is kept; a directory in pieces is none
            assert sum(size for beat, size in board.written if beat) == total - kept
        begun += size
        parts += size if beat else 0
        noted = noted if beat else parts
    assert parts == total


def test_a_part_that_is_loaded_is_not_written_again(image: Image, board: FakeBoard) -> None:
    load_unread(board, image)
    assert not loaded(board, image) and holds(image, board)
    board.written.clear()
    load(board, image)
    assert board.written == [(0, DIRECTORY_BYTES)] and loaded(board, image)


def test_another_image_is_loaded_from_the_beginning(image: Image, board: FakeBoard, tmp_path: Path) -> None:
    load(board, image)
    other = packed(image.params, tmp_path, seed=1)
    assert not loaded(board, other)
    load(board, other)
    assert holds(other, board) and loaded(board, other) and not loaded(board, image)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.999])
def test_an_altered_byte_is_found_and_mended(image: Image, board: FakeBoard, place: float) -> None:
    load_unread(board, image)
    at = DIRECTORY_BYTES + int(place * len(wanted(image, board)))
    board.memory[at] ^= 0x10
    board.written.clear()
    load(board, image)
    assert holds(image, board) and loaded(board, image)
    # its part alone, and the directory
    (beat, size), (directory, _) = board.written
    assert directory == 0 and beat * image.params.lanes <= at < beat * image.params.lanes + size


@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_what_the_memory_does_not_keep_is_a_failure(image: Image, board: FakeBoard, place: float) -> None:
    at = DIRECTORY_BYTES + int(place * len(wanted(image, board)))
    board.memory[at] = wanted(image, board)[at - DIRECTORY_BYTES] ^ 0xFF
    board.faulty[at] = 1 << 30
    with pytest.raises(Failure, match="does not keep what is written; run tritforge board test") as error:
        load(board, image)
    (address,) = (int(word, 16) for word in str(error.value).split() if word.startswith("0x"))
    assert address <= at < address + STEP
    assert sum(beat * image.params.lanes == address for beat, _ in board.written) == 1 + AGAIN
    assert not loaded(board, image)
    # one that gives in earlier is none
    board.faulty[at] = AGAIN - 2
    load(board, image)
    assert holds(image, board) and loaded(board, image)


def test_a_simulated_memory_is_filled_at_once(image: Image, board: FakeBoard) -> None:
    assert preload(board.put, board, image) == plan(image, board.identity)
    assert holds(image, board) and loaded(board, image) and board.written == []
