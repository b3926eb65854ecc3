# SPDX-License-Identifier: Apache-2.0
"""A board as a backend says what the core says that is given every packet whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.cores import CORES, packed
from tests.fake_core import FakeCore
from tests.host.board.machine import Machine
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.host.board.backend import BoardBackend
from tritforge.host.board.board import Board
from tritforge.host.board.load import preload
from tritforge.host.image.image import Image
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.driver import CoreError
from tritforge.hw.schedule import RESULT_MAGIC, Status

MODEL = ModelConfig(hidden=20, layers=1, intermediate=24, vocab=40, bos=None, eos=())
PARAMS = CORES["4x2"]
BEATS = 1 << 17


class Core(FakeCore):
    """Refuses a packet, if it is told which."""

    refused: int | None = None

    def exchange(self, segments: list[NDArray[np.uint8]]) -> NDArray[np.uint32]:
        if self.refused == self.packets:
            self.packets += 1
            return np.array([Status.STATE | RESULT_MAGIC << 16, 0], dtype=np.uint32)
        return super().exchange(segments)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return packed(PARAMS, tmp_path_factory.mktemp("image"), MODEL)


def begun(image: Image, lost: float = 0.0, seed: int = 1, **other: int) -> tuple[Machine, BoardBackend]:
    """A board with an image in its memory; ``other`` changes its places."""
    params = replace(
        PARAMS, lanes=image.params.lanes, element_bytes=image.params.element_bytes, code=image.params.code
    )
    machine = Machine(Core(params), params.lanes, BEATS, seed, lost, late=lost)
    board = Board(machine)
    where = preload(machine.put, board, image)
    return machine, BoardBackend(board, image, replace(where, **other))


def greedy(image: Image, prompt: list[int], count: int) -> list[int]:
    """What the core says token by token."""
    backend = CoreBackend(FakeCore(PARAMS), image)
    said = backend.run(np.array(prompt), logits=False).tokens[-1:].tolist()
    while len(said) < count:
        said += backend.run(np.array(said[-1:]), logits=False).tokens.tolist()
    return said


def with_eos(eos: tuple[int, ...], folder: Path) -> Image:
    """The same weights, and tokens that end a text."""
    return packed(PARAMS, folder, replace(MODEL, eos=eos))


@pytest.mark.parametrize("lost", [0.0, 0.6])
def test_packets_are_answered_as_by_the_core(image: Image, lost: float) -> None:
    machine, backend = begun(image, lost)
    other = CoreBackend(FakeCore(PARAMS), image)
    for ids, logits in (([1, 39, 5, 7, 0, 2, 2], True), ([3, 1, 4], True), ([1, 2, 3, 4], False)):
        found, wanted = backend.run(np.array(ids), logits), other.run(np.array(ids), logits)
        assert found.tokens.tolist() == wanted.tokens.tolist()
        assert not logits or np.array_equal(found.integers.raw, wanted.integers.raw)
        assert np.array_equal(backend.state(), other.state())
    assert backend._transport.cycles > 0
    # what goes through the line is less than a packet, each time
    most = max(size for _, size in machine.writes)
    assert most < len(image.body)


@pytest.mark.parametrize("lost", [0.0, 0.6])
def test_tokens_are_those_of_the_core(image: Image, lost: float) -> None:
    machine, backend = begun(image, lost)
    assert backend.independent
    for prompt in ([1], [4, 9, 11], [2, 0]):
        backend.reset()
        if prompt[:-1]:
            backend.run(np.array(prompt[:-1]), logits=False)
        said = greedy(image, prompt, 25)
        assert list(backend.play(prompt[-1], 20)) == said[:20]
        assert len(backend.cycles) == 20 and not machine.playing
        # it goes on from there, with the state that there is
        assert list(backend.play(said[19], 5)) == said[20:]
        other = CoreBackend(FakeCore(PARAMS), image)
        other.run(np.array([*prompt, *said[:-1]]), logits=False)
        assert np.array_equal(backend.state(), other.state())


def test_a_text_ends(image: Image, tmp_path: Path) -> None:
    said = greedy(image, [1], 20)
    end = next(token for number, token in enumerate(said) if number > 2 and token not in said[:number])
    until = said[: said.index(end) + 1]
    for eos in ((end,), (end, 38, 39)):
        machine, backend = begun(with_eos(eos, tmp_path / str(len(eos))))
        assert list(backend.play(1, 20)) == until
        assert not machine.playing
        # one token that ends it is the board's matter, several are the host's
        assert machine.stopped == (len(eos) > 1)


@pytest.mark.parametrize("refused", [0, 1, 6])
@pytest.mark.parametrize("lost", [0.0, 1.0])
def test_what_the_core_refuses_is_an_error(image: Image, refused: int, lost: float) -> None:
    machine, backend = begun(image, lost)
    machine._core.refused = refused
    said, before = [], [1, *greedy(image, [1], 10)]
    with pytest.raises(CoreError, match=f"ended token {before[refused]} with status STATE") as error:
        for token in backend.play(1, 10):
            said.append(token)
    assert error.value.status is Status.STATE and said == before[1 : refused + 1]
    assert not machine.playing and len(backend.cycles) == refused
    with pytest.raises(CoreError, match="ended tokens 3, 4 with status STATE"):
        machine._core.refused = machine._core.packets
        backend.run(np.array([3, 4]), logits=False)


def test_who_goes_away_stops_the_board(image: Image) -> None:
    machine, backend = begun(image)
    playing = backend.play(1, 5000)
    said = [next(playing) for _ in range(3)]
    playing.close()
    assert said == greedy(image, [1], 3) and machine.stopped and not machine.playing
    backend.reset()
    assert list(backend.play(1, 4)) == greedy(image, [1], 4)


def test_more_tokens_than_the_memory_has_room_for(image: Image, tmp_path: Path) -> None:
    # of small and of large beats, a few results at the very end of the memory
    for one in (image, packed(CORES["256x4"], tmp_path, MODEL)):
        beats = -(-20 // one.params.lanes)
        machine, backend = begun(one, results=BEATS - 10 * beats, results_beats=10 * beats)
        assert list(backend.play(1, 25)) == greedy(image, [1], 25)
        assert not machine.playing and len(backend.cycles) == 25


def test_without_records_it_does_not_go_on_by_itself(image: Image) -> None:
    machine, backend = begun(image, records=None)
    assert not backend.independent
    with pytest.raises(TritforgeError, match="no room for the records of this model's tokens"):
        next(backend.play(1, 1))
    assert machine.packets == []


def test_a_board_plays_packets_of_its_own_image(image: Image) -> None:
    _, backend = begun(image)
    packet = [np.zeros(64, np.uint8), np.zeros(64, np.uint8), image.body.copy()]
    with pytest.raises(ValueError, match="whole packets of its own image"):
        backend._transport.exchange(packet)
    for options in ({"last": False}, {"expect_result": False}):
        with pytest.raises(ValueError, match="whole packets of its own image"):
            backend._transport.exchange([*packet[:2], image.body], **options)
