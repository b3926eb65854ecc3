# SPDX-License-Identifier: Apache-2.0
"""The design of the ULX3S's bitstream, from the bytes of its serial line to the pins of its memory.

The board, the core and the model are those that are sold; what a token costs here is a few seconds.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.host.board.board import FINAL, Story
from tritforge.host.board.faults import FaultyPort
from tritforge.host.board.link import BusError
from tritforge.host.board.load import load, loaded
from tritforge.host.board.session import BAUD, Opened, opened, settle
from tritforge.host.board.simulate import share
from tritforge.host.run.generate import Sampler, generate
from tritforge.host.run.golden_backends import IntegerBackend
from tritforge.host.run.models import TALES, Model
from tritforge.hw.board.machine_map import CORE, MACHINE, MEMORY
from tritforge.hw.bridge.frames import MOST_WORDS
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.estimate import estimate
from tritforge.perf.estimates.platform import platform
from tritforge.perf.estimates.port import BITS, port
from tritforge.sim.board import simulated_board
from tritforge.sim.board.chip_timing import chip_timing
from tritforge.sim.board.simulated_board import MemoryViolation

PORT = "sim:ulx3s-85f"
PROMPT = "One"


LINES: list[FaultyPort] = []
"""The line of `board`; without faults but where a test asks for some."""


@pytest.fixture(scope="module")
def board() -> Iterator[Opened]:
    def wrapped(port: object) -> FaultyPort:
        LINES[:] = [FaultyPort(port, 0.0, 3)]
        return LINES[0]

    with opened(PORT, wrapped=wrapped) as found:
        yield found


@pytest.fixture(scope="module")
def model(board: Opened) -> Model:
    return Model(TALES, board.core)


def golden_tokens(model: Model, ids: list[int], count: int) -> list[int]:
    """What the integer model says greedily."""
    return list(generate(IntegerBackend(model.source()), ids, count, Sampler()))


def test_tokens_on_their_own(board: Opened, model: Model) -> None:
    """They equal the integer model's, and the weights come at nearly all of the memory's peak."""
    ids = model.prompt(PROMPT)
    backend = model.on_board(board).board
    assert list(generate(backend, ids, 4, Sampler())) == golden_tokens(model, ids, 4)
    facts, there = share(board, backend), platform("ulx3s-85f")
    assert len(backend.cycles) == 4 and facts["share_of_peak"] > 0.985
    # the estimate's are those of more tokens
    assert facts["share_of_peak"] == pytest.approx(there.memory.achieved.value, abs=0.001)
    found = estimate(Shape.of(model.config), board.core, there)
    assert facts["tokens_per_second"] == pytest.approx(found.rate.nominal, rel=0.001)


def test_the_host_sends_every_token(board: Opened, model: Model) -> None:
    """Logits and scales of each are those of the integer model, and so are the tokens."""
    backend, golden = model.on_board(board).board, IntegerBackend(model.source())
    ids = np.array(model.prompt(PROMPT)[:2])
    got, wanted = backend.run(ids).integers, golden.run(ids).integers
    for name in ("raw", "mantissa", "shift"):
        assert np.array_equal(getattr(got, name), getattr(wanted, name)), name


def test_an_end_a_stop_and_a_length(board: Opened, model: Model) -> None:
    """A story ends with its last token, with the token END, or when the host goes away."""
    backend = model.on_board(board).board
    driver, where = board.board, backend.where
    ids = model.prompt(PROMPT)
    wanted = golden_tokens(model, ids[:1], 3)
    backend.run(np.array(ids[:1]), logits=False)
    after = Story(where, count=3, end=wanted[0])
    tokens = list(driver.play(after))
    assert [token.token for token in tokens] == wanted[:1] and tokens[-1].status == FINAL
    story = driver.play(Story(where, count=100))
    first = next(story)
    assert first.status == 0
    story.close()
    done = driver.register("DONE")
    assert not driver.field("STATUS", "PLAYING") and 1 <= done < 100


def test_what_a_host_that_is_gone_has_begun_is_ended(board: Opened, model: Model) -> None:
    backend = model.on_board(board).board
    backend.run(np.array(model.prompt(PROMPT)[:1]), logits=False)
    board.board.start(Story(backend.where, count=1000))
    assert board.board.field("STATUS", "PLAYING")
    settle(board.board, board.link)
    assert not board.board.field("STATUS", "PLAYING") and board.board.register("DONE") < 1000


def test_the_largest_vocabulary_of_its_core(board: Opened, tmp_path: Path) -> None:
    """Records and tokens beyond 16,384, which the board follows by itself."""
    write_random_checkpoint(tmp_path / "many", ModelConfig(16, 1, 16, board.core.max_vocab), 5)
    many = Model(tmp_path / "many", board.core)
    backend, golden = many.on_board(board).board, IntegerBackend(many.source())
    wanted, token = [], board.core.max_vocab - 1
    for _ in range(8):
        token = int(golden.run(np.array([token]), logits=False).tokens[-1])
        wanted.append(token)
    assert max(wanted) > 16384 and list(backend.play(board.core.max_vocab - 1, 8)) == wanted


def test_addresses_of_nothing(board: Opened) -> None:
    """Each is an error with its address, and what follows works."""
    assert board.simulated is not None
    size = board.board.identity.memory_bytes
    for address in (MEMORY + size, MEMORY + size - 4, CORE + 0xFF0, CORE + 0x1000, MACHINE + 0x3C, MACHINE + 0x80):
        if address == MEMORY + size - 4:
            board.link.read(address, 1)
            continue
        with pytest.raises(BusError) as error:
            board.link.read(address, 1)
        assert error.value.address == address
    with pytest.raises(BusError):
        board.link.write(MACHINE, [1])
    assert board.board.register("ID")


def test_faults_on_the_line(board: Opened, model: Model) -> None:
    """Bytes lost, doubled and altered change nothing of what is said."""
    ids, (line,) = model.prompt(PROMPT)[:2], LINES
    backend = model.on_board(board).board
    line.chance = 0.0005
    assert list(generate(backend, ids, 2, Sampler())) == golden_tokens(model, ids, 2)
    line.chance = 0.0
    assert line.count > 1


def test_a_token_at_the_port(tmp_path: Path) -> None:
    """Bytes and time of tokens that the host sends, and of those that the board makes by itself, are the estimate's;
    in a simulation an answer takes no turn beside its bytes."""
    config = ModelConfig(256, 1, 8, 16)
    write_random_checkpoint(tmp_path, config)
    line: FaultyPort | None = None

    def wrapped(port: object) -> FaultyPort:
        nonlocal line
        line = FaultyPort(port, 0.0, 1)
        return line

    with opened(PORT, wrapped=wrapped) as board:
        backend = Model(tmp_path, board.core).on_board(board).board
        there, hertz = port(board.core, Shape.of(config)), board.board.identity.clock_hz
        assert line is not None and board.simulated is not None
        tokens = backend.play(1, 3)
        next(tokens)
        carried, began = line.carried, board.simulated.clock()
        assert len(list(tokens)) == 2 and line.carried - carried == 2 * there.pushed
        machine = sum(backend.cycles[1:]) / hertz
        assert board.simulated.clock() - began == pytest.approx(machine, rel=0.02)
        for _ in range(MOST_WORDS // 4):
            # until frames are as long as they get
            board.board.register("ID")
        carried, began = line.carried, board.simulated.clock()
        backend.run(np.ones(2, dtype=np.int64), logits=False)
        assert line.carried - carried == 2 * there.sent
        waited = board.simulated.clock() - began - machine
        assert waited == pytest.approx(2 * BITS * there.waited / BAUD, rel=0.02)


def test_a_model_through_the_line(board: Opened, tmp_path: Path) -> None:
    """A small one is loaded, found, and runs; another is not taken for it."""
    for seed in (1, 2):
        write_random_checkpoint(tmp_path / str(seed), ModelConfig(16, 1, 16, 16), seed)
    small, other = (Model(tmp_path / str(seed), board.core).image() for seed in (1, 2))
    done: list[tuple[int, int]] = []
    where = load(board.board, small, lambda part, total: done.append((part, total)))
    assert loaded(board.board, small) and not loaded(board.board, other)
    assert done[-1][0] == done[-1][1] == 2 * where.loaded_beats * where.beat_bytes
    backend = Opened(board.board, board.link, board.core, None).backend(small)
    golden = IntegerBackend(Model(tmp_path / "1", board.core).source())
    assert list(backend.play(3, 1)) == golden.run(np.array([3]), logits=False).tokens.tolist()
    with pytest.raises(TritforgeError, match="tritforge board load"):
        Opened(board.board, board.link, board.core, None).backend(other)


def test_a_broken_rule_of_the_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a chip that is slower than the controller was made for."""

    def slower(chip: object, mhz: float) -> object:
        timing = chip_timing(chip, mhz)
        timing.rfc += 1
        return timing

    monkeypatch.setattr(simulated_board, "chip_timing", slower)
    with pytest.raises(MemoryViolation, match="rule tRFC was broken in cycle"), opened(PORT):
        pass


def test_an_unknown_board() -> None:
    with pytest.raises(TritforgeError, match="Unknown board 'x'; choose from ulx3s-85f"), opened("sim:x"):
        pass
