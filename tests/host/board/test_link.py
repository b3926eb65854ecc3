# SPDX-License-Identifier: Apache-2.0
"""The link does each access once, whatever the line does to its bytes, and ends with one sentence when it cannot."""

import random

import numpy as np
import pytest

from tests.host.board.simulated import GAP_S, WORDS, Faults, SimulatedPort
from tritforge.golden import TritforgeError
from tritforge.host.board.link import BusError, Link, LinkLost, Token

TIMEOUT_S = 0.05


def linked(port: SimulatedPort, tries: int = 8) -> Link:
    link = Link(port, clock=port.clock, timeout_s=TIMEOUT_S, tries=tries, gap_s=2 * GAP_S)
    link.connect()
    return link


def some_words(dice: random.Random, longest: int) -> tuple[int, list[int]]:
    """Where, and which."""
    count = dice.choice([1, 2, longest, dice.randint(1, longest)])
    return 4 * dice.randrange(WORDS - count), [dice.getrandbits(32) for _ in range(count)]


def test_words_of_all_lengths_arrive() -> None:
    port, dice = SimulatedPort(), random.Random(1)
    link = linked(port)
    for count in (1, 2, 255, 256, 257, 511, 512, 513, 1300):
        words = [dice.getrandbits(32) for _ in range(count)]
        link.write(16, words)
        assert port.memory[4 : 4 + count] == words
        assert link.read(16, count).tolist() == words
    link.write(0, b"\x01\x02\x03\x04")
    assert port.memory[0] == 0x04030201
    link.write(0, np.array([7, 8], np.uint32))
    assert link.read(0, 2).tolist() == [7, 8]
    link.write(0, [])
    assert link.read(0, 0).tolist() == []


def test_nothing_is_sent_twice_on_a_good_line() -> None:
    port = SimulatedPort()
    link = linked(port)
    before = port.sent
    link.write(0, [1] * 1024)
    # frames grow: 64 words, 68 and so on
    assert port.sent - before == 4 * 1024 + 12 * 13
    before, began = port.sent, port.now
    link.read(0, 1024)
    assert port.sent - before == 12 * 9 and port.now - began < TIMEOUT_S


@pytest.mark.parametrize("seed", range(60))
def test_each_access_is_done_once_on_a_bad_line(seed: int) -> None:
    dice = random.Random(seed)
    bad = Faults(*(dice.choice([0.0, 0.1, 0.3]) for _ in range(3)))
    worse = Faults(*(dice.choice([0.0, 0.1, 0.3]) for _ in range(3)))
    # an answer may come after its frame was sent again
    port = SimulatedPort(bad, worse, seed, late=dice.choice([0.0, 0.1]), lateness=1.5 * TIMEOUT_S)
    link = linked(port, tries=200)
    intended, memory = [], [0] * WORDS
    for _ in range(40):
        at, words = some_words(dice, 900)
        if dice.random() < 0.6:
            link.write(at, words)
            intended += [(at + 4 * k, word) for k, word in enumerate(words)]
            memory[at // 4 : at // 4 + len(words)] = words
        else:
            assert link.read(at, len(words)).tolist() == memory[at // 4 : at // 4 + len(words)]
    assert port.writes == intended


@pytest.mark.parametrize("seed", range(60))
def test_a_bus_error_names_its_address_on_a_bad_line(seed: int) -> None:
    dice = random.Random(seed)
    bad = Faults(0.2, 0.2, 0.1) if seed else Faults()
    port = SimulatedPort(bad, bad, seed)
    link = linked(port, tries=200)
    for _ in range(10):
        beyond = dice.randint(1, 700)
        count = beyond + dice.choice([0, dice.randint(1, 700)])
        at = 4 * (WORDS - count + beyond)
        with pytest.raises(BusError) as error:
            if dice.random() < 0.5:
                link.write(at, [5] * count)
            else:
                link.read(at, count)
        # of a frame whose answer was lost, the next one's says only that it failed
        assert error.value.address == 4 * WORDS or error.value.address + 1024 > 4 * WORDS >= error.value.address
        if not seed:
            assert error.value.address == 4 * WORDS and hex(4 * WORDS) in str(error.value)
        assert link.read(4 * WORDS - 4, 1).tolist() == [port.memory[-1]]


@pytest.mark.parametrize("seed", range(40))
def test_a_cable_that_is_pulled_ends_with_one_sentence(seed: int) -> None:
    dice = random.Random(seed)
    port = SimulatedPort(Faults(0.05), Faults(0.05), seed)
    link = linked(port)
    pulls = dice.randrange(30)
    done = []
    with pytest.raises(LinkLost, match=r"^The board has not answered 8 times: .*\.$"):
        for number in range(100):
            port.pulled = number == pulls
            at, words = some_words(dice, 300)
            began = port.now
            link.write(at, words)
            done += [(at + 4 * k, word) for k, word in enumerate(words)]
    assert port.writes[: len(done)] == done
    assert port.now - began < 9 * TIMEOUT_S
    with pytest.raises(LinkLost, match="connect first"):
        link.read(0, 1)
    port.pulled = False
    link.connect()
    assert link.read(0, 4).tolist() == port.memory[:4]


def test_without_a_board_nothing_connects() -> None:
    port = SimulatedPort()
    port.pulled = True
    with pytest.raises(LinkLost, match=r"^No board answers: .*\.$"):
        linked(port)
    assert port.now < 9 * TIMEOUT_S


def test_a_board_that_was_reset_is_noticed() -> None:
    port = SimulatedPort()
    link = linked(port)
    for _ in range(5):
        link.write(0, [1])
    port.reset()
    with pytest.raises(LinkLost, match="it was reset"):
        link.write(0, [2])
    link.connect()
    assert link.read(0, 1).tolist() == [1]


def test_a_second_host_begins_behind_a_dead_one() -> None:
    """It died in the middle of a write."""
    port = SimulatedPort()
    linked(port)
    port.write(bytes.fromhex("a501020003000000"))
    began = port.now
    link = linked(port)
    assert port.now - began < TIMEOUT_S
    link.write(0, [3])
    assert port.writes == [(0, 3)]


def test_garbage_on_the_line_hides_nothing() -> None:
    port, dice = SimulatedPort(), random.Random(3)
    link = linked(port)
    for _ in range(200):
        port._answer(dice.randbytes(dice.randrange(40)) + b"\x5a\x02\x00\xff")
        link.write(0, [4])
    assert len(port.writes) == 200


def test_a_line_that_never_ends_its_garbage_is_lost() -> None:
    class Noise(SimulatedPort):
        def read(self, count_at_most: int, timeout_s: float) -> bytes:
            self.now += 1e-4
            return bytes([0x5A]) * 10

    port = Noise()
    with pytest.raises(LinkLost):
        linked(port)
    assert port.now < 10 * TIMEOUT_S


def test_tokens_come_between_answers_and_alone() -> None:
    port = SimulatedPort()
    link = linked(port)
    port.push(1, 700, 123_456, 9)
    link.read(0, 300)
    port.push(2, 701, 1 << 31)
    assert link.listen(1.0) == [Token(1, 700, 123_456, 9)]
    assert link.listen(1.0) == [Token(2, 701, 1 << 31, 0)]
    began = port.now
    assert link.listen(1.0) == [] and port.now - began == pytest.approx(1.0)
    port.push(3, 1, 1)
    link.write(0, [1])
    assert link.tokens() == [Token(3, 1, 1, 0)] and link.tokens() == []


@pytest.mark.parametrize("address, size", [(2, 4), (0, 3), (-4, 4), (0xFFFFFFFC, 8)])
def test_what_are_no_words_is_refused(address: int, size: int) -> None:
    with pytest.raises(TritforgeError, match="no whole words"):
        linked(SimulatedPort()).write(address, bytes(size))
