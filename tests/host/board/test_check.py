# SPDX-License-Identifier: Apache-2.0
"""What is said of a board whose memory works, and of one whose memory does not."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from tritforge.golden import Failure
from tritforge.host.board import check
from tritforge.host.board.board import STATUS_MASK, Story
from tritforge.host.board.check import CAPTURES, PHASES, STREAM, Setting, bandwidth, scan
from tritforge.host.board.link import Token
from tritforge.hw.board.machine_map import BY_NAME
from tritforge.hw.params import preset
from tritforge.hw.schedule import Status, token_beats

BEAT, BEATS, CLOCK = 16, 1 << 13, 125_000_000
EDGE = preset("edge")


class Memory:
    """A board that has a memory and a register of when it answers.

    line : of an address, to which one it goes. good : whether what is read at a setting is what is there. spoilt :
    bytes that hold another value than was written.
    """

    def __init__(
        self,
        line: Callable[[int], int] = lambda address: address,
        good: Callable[[Setting], bool] = lambda setting: True,
        spoilt: tuple[int, ...] = (),
        beats: int = BEATS,
    ) -> None:
        self.identity = SimpleNamespace(beat_bytes=BEAT, memory_bytes=beats * BEAT, clock_hz=CLOCK)
        self.bytes = np.zeros((beats, BEAT), np.uint8)
        self.line, self.good, self.spoilt = line, good, spoilt
        self.setting = Setting(0, 0)
        self.story: Story | None = None
        self.status, self.cycles = Status.OK, 0

    def set_register(self, name: str, word: int) -> None:
        fields = (BY_NAME[name].field(part) for part in ("CYCLES", "PHASE"))
        self.setting = Setting(*((word >> field.low) % (1 << field.width) for field in fields))

    def write_memory(self, address: int, data: NDArray[np.uint8]) -> None:
        for number, beat in enumerate(data.reshape(-1, BEAT)):
            self.bytes[self.line(address + number)] = beat

    def read_memory(self, address: int, beats: int) -> NDArray[np.uint8]:
        held = self.bytes.copy()
        held.reshape(-1)[list(self.spoilt)] ^= 0x10
        data = np.concatenate([held[self.line(address + number)] for number in range(beats)])
        return data if self.good(self.setting) else data ^ 1

    def play(self, story: Story) -> list[Token]:
        self.story = story
        return [Token(1, 5, self.cycles, self.status & STATUS_MASK)]


@pytest.mark.parametrize(("least", "chosen"), [(range(4, 8), Setting(3, 16)), (range(4, 16), Setting(2, 10))])
def test_the_middle_of_the_longest_run_is_chosen(least: range, chosen: Setting) -> None:
    """Of the least capture that has one as long."""
    runs = {2: least, 3: range(10, 22)}
    board = Memory(good=lambda setting: setting.phase in runs.get(setting.capture, ()))
    found = scan(board)
    assert {setting for setting, good in found.good.items() if good} == {
        Setting(capture, phase) for capture, run in runs.items() for phase in PHASES if phase in run
    }
    assert found.chosen == board.setting == chosen
    assert found.rows()[3] == "." * 5 + "#" * 6 + "." * 5
    assert list(found.rows()) == sorted(CAPTURES)


def test_a_memory_that_never_answers_right_is_a_failure() -> None:
    with pytest.raises(Failure, match="Nothing that is written to the memory comes back"):
        scan(Memory(good=lambda setting: False))


@pytest.mark.parametrize("whole", [False, True])
def test_a_good_memory_passes(whole: bool) -> None:
    done: list[tuple[int, int]] = []
    compared = check.test_memory(Memory(), whole, lambda now, of: done.append((now, of)))
    lines = BEATS.bit_length() * BEAT
    assert compared == lines + (BEATS * BEAT if whole else 32 * 256)
    assert done[-1][0] == done[-1][1] == len(done)


@pytest.mark.parametrize("bit", range(BEATS.bit_length() - 1))
@pytest.mark.parametrize("fault", ["low", "high", "joined"])
def test_each_address_line_is_tested(bit: int, fault: str) -> None:
    other = (bit + 1) % (BEATS.bit_length() - 1)

    def line(address: int) -> int:
        if fault == "joined":
            both = (address >> bit | address >> other) & 1
            return address & ~(1 << bit) & ~(1 << other) | both << bit | both << other
        return address & ~(1 << bit) if fault == "low" else address | 1 << bit

    with pytest.raises(Failure, match=r"The memory at 0x[0-9a-f]+ holds 0x"):
        check.test_memory(Memory(line))


def test_a_byte_is_found_where_all_is_tested() -> None:
    """And named; it lies in no block of the short test."""
    place = (BEATS // 2 + 40) * BEAT + 3
    board = Memory(spoilt=(place,))
    assert check.test_memory(board)
    with pytest.raises(Failure, match=rf"at {place:#x} holds .* \(1 of 4096 bytes differ\)"):
        check.test_memory(Memory(spoilt=(place,)), whole=True)


def test_the_bandwidth_is_that_of_the_stream() -> None:
    board = Memory(beats=1 << 16)
    board.cycles = 2 * token_beats(EDGE, STREAM)
    assert bandwidth(board, EDGE) == BEAT * CLOCK / 2
    assert board.story is not None and board.bytes[board.story.where.scratch].any()


def test_a_core_that_refuses_the_token_is_a_failure() -> None:
    board = Memory(beats=1 << 16)
    board.cycles, board.status = 1, Status.LIMITS
    with pytest.raises(Failure, match="ends a packet with status LIMITS"):
        bandwidth(board, EDGE)
