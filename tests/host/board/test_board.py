# SPDX-License-Identifier: Apache-2.0
"""The driver gives each token once, in order, whatever the line loses, and leaves no board playing."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.host.board.machine import Machine
from tritforge.golden import Failure, TritforgeError
from tritforge.host.board.board import FINAL, MOST_TOKENS, Board, Story
from tritforge.host.board.link import Token
from tritforge.hw.board.layout import Plan
from tritforge.hw.board.machine_map import END_ENABLE, MACHINE_ID, SETTINGS, Setting
from tritforge.hw.schedule import RESULT_MAGIC, Status

BEATS = 1 << 14


class Script:
    """A core that says what it is told to, and knows no registers but one.

    Attributes
    ----------
    results : packets of words, one after the other.
    """

    def __init__(self, results: Sequence[Sequence[int]]) -> None:
        self.results = list(results)
        self.registers = {0x10: 0}

    def exchange(self, segments: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint32]:
        return np.array(self.results.pop(0), dtype=np.uint32)

    def read_register(self, offset: int) -> int:
        return self.registers[offset]

    def write_register(self, offset: int, value: int) -> None:
        self.registers[offset] = value


def said(dice: random.Random, token: int) -> list[int]:
    """A result of one context."""
    return [token, dice.getrandbits(32), 1 << 8 | RESULT_MAGIC << 16, dice.getrandbits(32)]


def error(dice: random.Random, status: Status) -> list[int]:
    return [status | RESULT_MAGIC << 16, dice.getrandbits(32)]


def where(beat_bytes: int) -> Plan:
    """Results behind the first half of the memory; what is before is anything."""
    return Plan(beat_bytes, 0, 3, 4, 1, 2, 9, 64, 70, 100, 80, BEATS // 2, BEATS // 2)


def told(machine: Machine, results: Sequence[Sequence[int]], given: Sequence[Token]) -> None:
    """Tokens are those of results, each once; the last one is final. A token has no meaning after an error."""
    assert [token.number for token in given] == list(range(1, len(results) + 1))
    for token, words in zip(given, results, strict=True):
        status = words[-2] & 0xF
        assert token.status == status | (FINAL if token.number == len(results) else 0)
        assert status or token.token == words[-4]
    assert given[-1].cycles == machine.values["CYCLES"] and not machine.playing


def test_what_is_no_machine_is_refused() -> None:
    machine = Machine(Script([]), 16, BEATS)
    assert Board(machine).identity.beat_bytes == 16 and Board(machine).identity.memory_bytes == 16 * BEATS
    assert Board(machine).identity.clock_hz == 137_500_000
    machine.values["ID"] = MACHINE_ID ^ 1
    with pytest.raises(TritforgeError, match="no machine of tritforge: its ID reads 0x"):
        Board(machine)
    machine.values["ID"] = MACHINE_ID
    machine.values["SHAPE"] += 1
    with pytest.raises(TritforgeError, match="register map 2, this driver knows 1"):
        Board(machine)


def test_memory_and_registers() -> None:
    machine = Machine(Script([]), 16, BEATS)
    board = Board(machine)
    data = np.arange(64, dtype=np.uint8)
    board.write_memory(5, data)
    assert np.array_equal(machine.memory[80:144], data) and np.array_equal(board.read_memory(5, 4), data)
    with pytest.raises(ValueError, match="15 bytes are not whole beats of 16"):
        board.write_memory(0, data[:15])
    board.set_register("CAPTURE", 0x1203)
    assert board.register("CAPTURE") == 0x1203
    assert (board.field("CAPTURE", "PHASE"), board.field("CAPTURE", "CYCLES")) == (0x12, 3)
    board.set_core_register(0x10, 77)
    assert board.core_register(0x10) == 77


def test_settings_of_a_story() -> None:
    plan = where(16)
    words = Story(plan, 3, 7, 9).settings().tolist()
    assert len(words) == SETTINGS and words[len(Setting) :] == [0] * (SETTINGS - len(Setting))
    assert words[: len(Setting)] == [80, 3, 4, 100, 7, 1, 64, 2, 3, 70, 9, BEATS // 2, 7, END_ENABLE | 9]
    assert Story(plan, 1, 1, 0).settings()[Setting.END] == END_ENABLE
    assert Story(plan).settings()[Setting.END] == 0


@pytest.mark.parametrize("beat_bytes", [4, 16, 64])
@pytest.mark.parametrize("seed", range(30))
def test_each_token_is_given_once(beat_bytes: int, seed: int) -> None:
    dice = random.Random(seed)
    count = dice.choice([1, 2, 3, 40])
    results = [said(dice, dice.randrange(1000)) for _ in range(count)]
    end, ends_early = None, dice.choice(["no", "error", "end", "end"])
    if ends_early != "no":
        results = results[: dice.randint(1, count)]
    if ends_early == "error":
        results[-1] = error(dice, dice.choice(list(Status)[1:]))
    elif ends_early == "end":
        end = results[-1][0] = dice.choice([0, 1000, 0xFFFF])
        results = [words for words in results[:-1] if words[0] != end] + results[-1:]
    lost, late, busy = dice.choice([0.0, 0.3, 1.0]), dice.choice([0.0, 0.7, 0.95]), dice.choice([0.1, 0.5, 0.95])
    machine = Machine(Script(results), beat_bytes, BEATS, seed, lost, late, busy)
    board = Board(machine)
    story = Story(where(beat_bytes), 1, count, end)
    told(machine, results, list(board.play(story)))
    assert not machine.stopped
    # what comes late is of no story that begins then
    again = [said(dice, 5)]
    machine._core = Script(again)
    told(machine, again, list(board.play(Story(where(beat_bytes)))))


@pytest.mark.parametrize("lost", [{1}, {40}, {39, 40}, {2, 3, 17}, set(range(2, 41)), set(range(1, 40))])
def test_what_is_lost_comes_from_the_memory(lost: set[int]) -> None:
    dice = random.Random(1)
    results = [said(dice, dice.randrange(1000)) for _ in range(40)]
    machine = Machine(Script(results), 16, BEATS, lost=lost.__contains__)
    told(machine, results, list(Board(machine).play(Story(where(16), 1, 40))))


@pytest.mark.parametrize("beat_bytes", [4, 16, 64])
@pytest.mark.parametrize("contexts", [1, 2, 8])
@pytest.mark.parametrize("logits", [0, 1, 30])
def test_the_token_of_a_long_result_is_lost(beat_bytes: int, contexts: int, logits: int) -> None:
    dice = random.Random(contexts + logits)
    for _ in range(20):
        words = [dice.getrandbits(32) for _ in range(logits)]
        for _ in range(contexts):
            words += [dice.getrandbits(16), dice.getrandbits(32)]
        words += [contexts << 8 | RESULT_MAGIC << 16, dice.getrandbits(32)]
        for results in ([words], [error(dice, Status.SHORT)]):
            machine = Machine(Script(results), beat_bytes, BEATS, lost=1.0)
            board = Board(machine)
            told(machine, results, list(board.play(Story(where(beat_bytes), contexts))))
            assert board.result(where(beat_bytes).results).tolist() == results[0]


@pytest.mark.parametrize("seed", range(20))
def test_who_goes_away_stops_the_board(seed: int) -> None:
    dice = random.Random(seed)
    machine = Machine(Script([said(dice, number) for number in range(500)]), 16, BEATS, seed, dice.choice([0.0, 0.4]))
    board = Board(machine)
    playing = board.play(Story(where(16), 1, 400))
    given = [next(playing) for _ in range(dice.randint(1, 5))]
    assert [token.token for token in given] == list(range(len(given)))
    playing.close()
    assert machine.stopped and not machine.playing
    # and another story begins from its own first token
    left = machine._core.results[0][0]
    given = list(board.play(Story(where(16), 1, 3)))
    assert [(token.number, token.token) for token in given] == [(1, left), (2, left + 1), (3, left + 2)]


@pytest.mark.parametrize("lost", [0.0, 1.0])
def test_a_board_that_is_stopped_by_another_hand_ends(lost: float) -> None:
    dice = random.Random(1)
    results = [said(dice, number) for number in range(100)]
    machine = Machine(Script(results), 16, BEATS, lost=lost, busy=0.8)
    board = Board(machine)
    given = []
    for token in board.play(Story(where(16), 1, 90)):
        given.append(token)
        if token.number == 3:
            board.stop()
    assert 3 <= len(given) < 90
    told(machine, results[: len(given)], given)


def test_what_cannot_be_played_is_refused() -> None:
    machine = Machine(Script([]), 16, BEATS, busy=1.0)
    board = Board(machine)
    for count in (0, MOST_TOKENS + 1):
        with pytest.raises(TritforgeError, match=f"1 to 65,535 tokens in one go, not {count:,}"):
            board.start(Story(where(16), 1, count))
    board.start(Story(where(16), 1, MOST_TOKENS))
    assert machine.playing
    with pytest.raises(Failure, match="still making tokens"):
        board.start(Story(where(16)))
