# SPDX-License-Identifier: Apache-2.0
"""A machine in software behind the driver's link: memory, registers, and a player that reads what settings say."""

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tritforge.host.board.board import FINAL, STATUS_MASK
from tritforge.host.board.link import BusError, Token
from tritforge.hw.board.machine_map import (
    BY_NAME,
    CORE,
    END_ENABLE,
    LEAST_CAPTURE,
    MACHINE,
    MACHINE_ID,
    MACHINE_VERSION,
    SETTINGS,
    SETTINGS_OFFSET,
    Setting,
)

Bytes = NDArray[np.uint8]
NAMES = {register.offset: name for name, register in BY_NAME.items()}


class Core(Protocol):
    """A core at the machine, as `host.run.transport.Transport` has it."""

    def exchange(self, segments: Sequence[Bytes]) -> NDArray[np.uint32]: ...

    def read_register(self, offset: int) -> int: ...

    def write_register(self, offset: int, value: int) -> None: ...


class Machine:
    """See `host.board.link.Link`; time passes with each call.

    Parameters
    ----------
    core : of the machine.
    beat_bytes, beats : of its memory.
    seed : of everything that is random.
    lost : the chance that a token's frame is lost, or whether that of a number is.
    late : the chance that frames wait for the next call; none is sent behind the answer to what came later.
    busy : the chance that no token is made in a call.

    Attributes
    ----------
    memory : bytes. values : of registers, by name.
    writes : byte address and bytes of each call that wrote.
    packets : that the core was given.
    """

    def __init__(
        self,
        core: Core,
        beat_bytes: int,
        beats: int,
        seed: int = 0,
        lost: float | Callable[[int], bool] = 0.0,
        late: float = 0.0,
        busy: float = 0.3,
    ) -> None:
        self.memory = np.zeros(beats * beat_bytes, dtype=np.uint8)
        self.values = {
            "ID": MACHINE_ID,
            "SHAPE": BY_NAME["SHAPE"].word(
                VERSION=MACHINE_VERSION,
                BEAT_BYTES_LOG2=beat_bytes.bit_length() - 1,
                BEATS_LOG2=beats.bit_length() - 1,
            ),
            "CLOCK": 137_500,
            "STATUS": BY_NAME["STATUS"].field("READY").mask,
            "COMMAND": 0,
            "DONE": 0,
            "CYCLES": 0,
            "RESULT": 0,
            "CAPTURE": LEAST_CAPTURE,
        }
        self.settings = np.zeros(SETTINGS, dtype=np.uint32)
        self.writes: list[tuple[int, int]] = []
        self.packets: list[Bytes] = []
        self.stopped = False
        self._core, self._beat_bytes = core, beat_bytes
        self._dice, self._late, self._busy = random.Random(seed), late, busy
        self._lost = lost if callable(lost) else lambda number: self._dice.random() < lost
        self._story: Iterator[None] | None = None
        self._line: deque[Token] = deque()
        self._here: list[Token] = []

    @property
    def playing(self) -> bool:
        """Whether it is."""
        return bool(self.values["STATUS"] & BY_NAME["STATUS"].field("PLAYING").mask)

    def put(self, address: int, data: Bytes) -> None:
        """Bytes are in the memory at once."""
        self.memory[address : address + len(data)] = data

    def write(self, address: int, data: bytes | Sequence[int] | NDArray[np.uint32]) -> None:
        """See `Link`."""
        content = data if isinstance(data, bytes) else np.asarray(data, dtype="<u4").tobytes()
        self.writes.append((address, len(content)))
        self._goes_on(answers=True)
        if address < CORE:
            self._inside(address, len(content))[:] = np.frombuffer(content, dtype=np.uint8)
            return
        for at, word in enumerate(np.frombuffer(content, dtype="<u4").tolist()):
            self._set(address + 4 * at, word)

    def read(self, address: int, words: int) -> NDArray[np.uint32]:
        """See `Link`."""
        self._goes_on(answers=True)
        if address < CORE:
            return self._inside(address, 4 * words).copy().view(np.uint32)
        return np.array([self._get(address + 4 * at) for at in range(words)], dtype=np.uint32)

    def tokens(self) -> list[Token]:
        """See `Link`."""
        tokens, self._here = self._here, []
        return tokens

    def listen(self, timeout_s: float) -> list[Token]:
        """See `Link`."""
        assert timeout_s > 0
        self._goes_on()
        return self.tokens()

    def packet(self, record: int, x_beats: int) -> Bytes:
        """What the settings make of the record at a beat: head, each row block's x words and gains, body."""
        at = {setting: int(self.settings[setting]) for setting in Setting}
        parts = [self._beats(record, at[Setting.HEAD_BEATS])]
        record += at[Setting.HEAD_BEATS]
        for block in range(at[Setting.BLOCKS]):
            parts.append(self._beats(record + block * x_beats, x_beats))
            gains = at[Setting.GAINS_BEATS]
            parts.append(self._beats(at[Setting.GAINS_ADDRESS] + block * gains, gains))
        parts.append(self._beats(at[Setting.BODY_ADDRESS], at[Setting.BODY_BEATS]))
        return np.concatenate(parts)

    def _beats(self, beat: int, count: int) -> Bytes:
        return self._inside(beat * self._beat_bytes, count * self._beat_bytes)

    def _inside(self, address: int, size: int) -> Bytes:
        if address + size > len(self.memory):
            raise BusError(address, "beyond the memory")
        return self.memory[address : address + size]

    def _get(self, address: int) -> int:
        if address < MACHINE:
            return self._core.read_register(address - CORE)
        offset = address - MACHINE
        return (
            int(self.settings[(offset - SETTINGS_OFFSET) // 4]) if offset not in NAMES else self.values[NAMES[offset]]
        )

    def _set(self, address: int, word: int) -> None:
        offset = address - MACHINE
        if address < MACHINE:
            self._core.write_register(address - CORE, word)
        elif offset not in NAMES:
            assert not self.playing, "the settings are the player's"
            self.settings[(offset - SETTINGS_OFFSET) // 4] = word
        elif NAMES[offset] == "CAPTURE":
            self.values["CAPTURE"] = word
        else:
            assert NAMES[offset] == "COMMAND"
            if word & BY_NAME["COMMAND"].field("STOP").mask:
                self.stopped = True
            if word & BY_NAME["COMMAND"].field("START").mask and not self.playing:
                self.stopped, self._story = False, self._play()
                self.values["STATUS"] |= BY_NAME["STATUS"].field("PLAYING").mask
                self.values["DONE"] = 0

    def _goes_on(self, answers: bool = False) -> None:
        """Some time: tokens are made, and frames come; those that were sent before an answer come before it."""
        sent = len(self._line) if answers else 0
        while self._story is not None and self._dice.random() >= self._busy:
            if next(self._story, self) is self:
                self._story = None
        while self._line and (sent > 0 or self._dice.random() >= self._late):
            self._here.append(self._line.popleft())
            sent -= 1

    def _play(self) -> Iterator[None]:
        try:
            yield from self._packets()
        finally:
            # also where one reads or writes what is not there
            self.values["STATUS"] &= ~BY_NAME["STATUS"].field("PLAYING").mask

    def _packets(self) -> Iterator[None]:
        at = {setting: int(self.settings[setting]) for setting in Setting}
        place, record, x_beats = at[Setting.RESULT_ADDRESS], at[Setting.FIRST_ADDRESS], at[Setting.FIRST_BEATS]
        over = False
        while not over:
            self.packets.append(self.packet(record, x_beats))
            words = [int(word) for word in self._core.exchange([self.packets[-1]])]
            cycles = self._dice.randrange(1, 1 << 31)
            logged = np.array([*words, cycles], dtype=np.uint32).view(np.uint8)
            beats = -(-len(logged) // self._beat_bytes)
            # the rest of its last beat is anything
            rest = self._dice.randbytes(beats * self._beat_bytes - len(logged))
            self._beats(place, beats)[:] = np.concatenate([logged, np.frombuffer(rest, dtype=np.uint8)])
            place += beats
            last_word = len(words) % (self._beat_bytes // 4)
            done, status = self.values["DONE"] + 1, words[-2] & STATUS_MASK
            token = words[-4] & 0xFFFF if len(words) > 3 else self._dice.getrandbits(16)
            ends = bool(at[Setting.END] & END_ENABLE) and token == at[Setting.END] & 0xFFFF
            over = bool(status) or done == at[Setting.COUNT] or ends or self.stopped
            self.values |= {
                "DONE": done,
                "CYCLES": cycles,
                "RESULT": BY_NAME["RESULT"].word(ADDRESS=place, LAST_WORD=last_word),
            }
            if not self._lost(done):
                self._line.append(Token(done, token, cycles, status | (FINAL if over else 0)))
            record = at[Setting.RECORDS_ADDRESS] + token * at[Setting.RECORDS_STRIDE]
            x_beats = at[Setting.RECORD_BEATS]
            if over:
                self.values["STATUS"] &= ~BY_NAME["STATUS"].field("PLAYING").mask
            yield
