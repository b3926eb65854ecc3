# SPDX-License-Identifier: Apache-2.0
"""The driver of a board: its registers, its memory, and tokens that it plays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure, TritforgeError
from tritforge.host.board.link import Link, Token
from tritforge.hw.board.layout import Plan
from tritforge.hw.board.machine_map import (
    BY_NAME,
    CORE,
    END_ENABLE,
    MACHINE,
    MACHINE_ID,
    MACHINE_VERSION,
    MEMORY,
    SETTINGS,
    SETTINGS_OFFSET,
    Identity,
    Setting,
)
from tritforge.hw.schedule import RESULT_MAGIC, Status

LISTEN_S = 0.25
"""Silence after which the board is asked how far it is."""
STATUS_MASK, FINAL = 0x0F, 0x80
MOST_TOKENS = 0xFFFF
"""In one go."""
_LOGGED_WORDS, _LOGGED_ERROR_WORDS = 5, 3
"""Token, scale, status word, sequence, cycles; an error has neither token nor scale."""


@dataclass(frozen=True)
class Story:
    """What a board is to play; addresses and lengths in beats, as `hw.board.layout.Plan` has them.

    Attributes
    ----------
    where : in the memory everything is.
    contexts : of the first packet, whose record is in the scratch.
    count : tokens at most; above 1 the first packet has one context and sends no logits, as all that follow.
    end : the token that ends it, None for none.
    """

    where: Plan
    contexts: int = 1
    count: int = 1
    end: int | None = None

    def settings(self) -> NDArray[np.uint32]:
        """The words of the settings."""
        where = self.where
        values: Mapping[Setting, int] = {
            Setting.FIRST_ADDRESS: where.scratch,
            Setting.FIRST_BEATS: where.x_beats * self.contexts,
            Setting.HEAD_BEATS: where.head_beats,
            Setting.RECORDS_ADDRESS: where.records or 0,
            Setting.RECORDS_STRIDE: where.record_beats(),
            Setting.RECORD_BEATS: where.x_beats,
            Setting.GAINS_ADDRESS: where.gains,
            Setting.GAINS_BEATS: where.gains_beats,
            Setting.BLOCKS: where.blocks,
            Setting.BODY_ADDRESS: where.body,
            Setting.BODY_BEATS: where.body_beats,
            Setting.RESULT_ADDRESS: where.results,
            Setting.COUNT: self.count,
            Setting.END: 0 if self.end is None else END_ENABLE | self.end,
        }
        words = np.zeros(SETTINGS, dtype=np.uint32)
        for setting, value in values.items():
            words[setting] = value
        return words


def logged_beats(beat_bytes: int) -> int:
    """That the result of a token takes in the memory."""
    return -(-4 * _LOGGED_WORDS // beat_bytes)


class Board:
    """A board behind a link.

    Parameters
    ----------
    link : connected.

    Attributes
    ----------
    identity : what it says of itself.

    Raises
    ------
    TritforgeError
        Where something else answers.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        found = self.register("ID")
        if found != MACHINE_ID:
            raise TritforgeError(f"What answers is no machine of tritforge: its ID reads {found:#010x}.")
        shape = self.register("SHAPE")
        version, beat, beats, started_by_host = (
            (shape & field.mask) >> field.low for field in BY_NAME["SHAPE"].fields
        )
        if version != MACHINE_VERSION:
            raise TritforgeError(
                f"The board has register map {version}, this driver knows {MACHINE_VERSION}; build it anew."
            )
        clock_hz = self.register("CLOCK") * 1000
        self.identity = Identity(1 << beat, 1 << beat + beats, clock_hz, bool(started_by_host))

    def register(self, name: str) -> int:
        """Read one of the machine's registers."""
        return int(self._link.read(MACHINE + BY_NAME[name].offset, 1)[0])

    def set_register(self, name: str, value: int) -> None:
        """Write one of them."""
        self._link.write(MACHINE + BY_NAME[name].offset, [value])

    def field(self, name: str, field: str) -> int:
        """Read a field of one of them."""
        where = BY_NAME[name].field(field)
        return (self.register(name) & where.mask) >> where.low

    def core_register(self, offset: int) -> int:
        """Read one of the core's registers."""
        return int(self._link.read(CORE + offset, 1)[0])

    def set_core_register(self, offset: int, value: int) -> None:
        """Write one of the core's registers."""
        self._link.write(CORE + offset, [value])

    def read_memory(self, beat: int, beats: int) -> NDArray[np.uint8]:
        """Bytes of the memory from a beat on."""
        size = self.identity.beat_bytes
        return self._link.read(MEMORY + beat * size, beats * size // 4).view(np.uint8)

    def write_memory(self, beat: int, data: NDArray[np.uint8]) -> None:
        """Write whole beats."""
        size = self.identity.beat_bytes
        if len(data) % size:
            raise ValueError(f"{len(data)} bytes are not whole beats of {size}.")
        self._link.write(MEMORY + beat * size, np.ascontiguousarray(data).view(np.uint32))

    def start(self, story: Story) -> None:
        """Begin to play; Failure where something is played already."""
        if not 1 <= story.count <= MOST_TOKENS:
            raise TritforgeError(f"A board makes 1 to {MOST_TOKENS:,} tokens in one go, not {story.count:,}.")
        if self.field("STATUS", "PLAYING"):
            raise Failure("The board is still making tokens; wait, or connect anew, which ends them.")
        self._link.tokens()
        self._link.write(MACHINE + SETTINGS_OFFSET, story.settings())
        self.set_register("COMMAND", BY_NAME["COMMAND"].field("START").mask)

    def stop(self) -> None:
        """End with the token that is being made, and wait for it."""
        self.set_register("COMMAND", BY_NAME["COMMAND"].field("STOP").mask)
        while self.field("STATUS", "PLAYING"):
            self._link.listen(LISTEN_S)

    def play(self, story: Story) -> Iterator[Token]:
        """Play, and give each token once, in order; what the line has lost is read from the results in the memory.

        Whoever goes away before the end stops the board. Raises nothing for an error of the core: the last token's
        status says it.
        """
        self.start(story)
        given, over = 0, False
        try:
            while not over:
                for token in self._heard(given) or self._missed(story, given, self._done()):
                    for one in (*self._missed(story, given, token.number - 1), token):
                        # what was given already comes again where the line was slow
                        if one.number == given + 1:
                            given, over = one.number, bool(one.status & FINAL)
                            yield one
        finally:
            if not over:
                self.stop()

    def result(self, first: int) -> NDArray[np.uint32]:
        """The words of a result packet that begins at a beat and is the last one, without its cycles."""
        return self._packet(first)[:-1]

    def _packet(self, first: int) -> NDArray[np.uint32]:
        size, said = self.identity.beat_bytes, self.register("RESULT")
        places = (BY_NAME["RESULT"].field(name) for name in ("ADDRESS", "LAST_WORD"))
        end, last = ((said & place.mask) >> place.low for place in places)
        words = self.read_memory(first, end - first).view(np.uint32)
        return words[: (end - first - 1) * size // 4 + last + 1]

    def _heard(self, given: int) -> list[Token]:
        return [token for token in self._link.listen(LISTEN_S) if token.number > given]

    def _done(self) -> int:
        return self.register("DONE")

    def _missed(self, story: Story, given: int, done: int) -> list[Token]:
        """Tokens from the memory: numbers above ``given`` up to ``done``."""
        if done <= given:
            return []
        if story.count == 1:
            # it may have several contexts, and logits
            return [self._logged(story, done, self._packet(story.where.results))]
        beats = logged_beats(self.identity.beat_bytes)
        words = self.read_memory(story.where.results + given * beats, (done - given) * beats)
        rows = words.view(np.uint32).reshape(done - given, -1)
        lengths = (_LOGGED_WORDS if row[2] >> 16 == RESULT_MAGIC else _LOGGED_ERROR_WORDS for row in rows)
        logged = enumerate(zip(rows, lengths, strict=True), given + 1)
        return [self._logged(story, number, row[:length]) for number, (row, length) in logged]

    def _logged(self, story: Story, number: int, packet: NDArray[np.uint32]) -> Token:
        """The token of a result packet and its cycles."""
        words = [int(word) for word in packet]
        *_, status_word, _, cycles = words
        token = words[-_LOGGED_WORDS] if len(words) >= _LOGGED_WORDS else 0
        status = Status(status_word & STATUS_MASK)
        if number < story.count and token != story.end and status is Status.OK:
            # it may have been stopped
            over = not self.field("STATUS", "PLAYING") and self._done() == number
        else:
            over = True
        return Token(number, token, cycles, status | (FINAL if over else 0))
