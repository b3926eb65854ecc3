# SPDX-License-Identifier: Apache-2.0
"""The host's end of the serial line: accesses of the board's memory and registers, and the tokens that it pushes."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import Failure, TritforgeError
from tritforge.host.board.answers import Answer, Answers
from tritforge.host.board.port import LinkLost, SerialPort
from tritforge.hw.bridge.frames import MOST_WORDS, SEQUENCES, WINDOW, Kind, Operation, to_board

_READ_BYTES = 1 << 12
_FIRST_WORDS, _LEAST_WORDS, _MORE_WORDS = 64, 8, 4
"""Of a frame: at first, at least, and more with each that arrives; what does not arrive halves them."""


class BusError(Failure):
    """The board has nothing at an address, or what is there refuses.

    Attributes
    ----------
    address
        In bytes.
    """

    def __init__(self, address: int, message: str) -> None:
        super().__init__(message)
        self.address = address


class Token(NamedTuple):
    """A token that the board has pushed: its number, modulo 2**16, the token, the cycles that it took, a status."""

    number: int
    token: int
    cycles: int
    status: int


@dataclass
class _Part:
    """What a frame does; ``data`` is what it writes, or has read."""

    operation: Operation
    address: int
    words: int
    data: bytes = b""
    sequence: int = 0

    def split(self, words: int) -> list["_Part"]:
        """Its first words, as many at most, and what is left of it."""
        if self.words <= words:
            return [self]
        first = replace(self, words=words, data=self.data[: 4 * words])
        rest = replace(self, address=self.address + 4 * words, words=self.words - words, data=self.data[4 * words :])
        return [first, rest]

    def answered_by(self, answer: Answer) -> bool:
        """Whether it is this frame's; one that comes late is nobody's."""
        words = 0 if answer.refused or self.operation == Operation.WRITE else 4 * self.words
        return (answer.sequence, int(answer.kind), len(answer.words)) == (self.sequence, int(self.operation), words)

    def frame(self) -> bytes:
        payload = self.data if self.operation == Operation.WRITE else b""
        return to_board(self.operation, self.sequence, self.address, self.words, payload)


class Link:
    """A connection to a board; each access is carried out once, whatever is lost on the line.

    Parameters
    ----------
    port
        The line.
    clock
        Seconds; a simulated port has its own, which goes on while it is read.
    timeout_s
        Without an answer for so long, frames are sent again. The line must bring 4 kilobytes in less, and ``gap_s``
        be over.
    tries
        How often a frame is sent, at most, while nothing of use is answered.
    gap_s
        Of silence that ends a frame on the board, or longer: a connection begins with it.
    """

    def __init__(
        self,
        port: SerialPort,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = 0.5,
        tries: int = 8,
        gap_s: float = 0.01,
    ) -> None:
        self._port, self._clock, self._timeout_s, self._tries, self._gap_s = port, clock, timeout_s, tries, gap_s
        self._answers = Answers()
        self._tokens: list[Token] = []
        self._sequence = 0
        self._most_words = _FIRST_WORDS
        self._connected = False

    def connect(self) -> None:
        """Begin: host and board agree on a sequence.

        Raises
        ------
        LinkLost
            If no board answers.
        """
        self._connected = False
        settled = self._clock() + self._gap_s
        while self._clock() < settled:
            self._receive(settled)
        for _ in range(self._tries):
            # an answer to the try before would be another's
            self._sequence = _behind(self._sequence)
            self._port.write(to_board(Operation.CONNECT, self._sequence, 0, 1))
            deadline = self._clock() + self._timeout_s
            while answers := self._receive(deadline):
                if any(one.kind == Kind.CONNECTED and one.sequence == self._sequence for one in answers):
                    self._connected = True
                    return
        raise LinkLost(
            "No board answers: check its cable, that its bitstream is loaded, and that the port has its rate."
        )

    def write(self, address: int, data: bytes | Sequence[int] | NDArray[np.uint32]) -> None:
        """Write words from a byte address on; the bytes of a word are little endian.

        Raises
        ------
        BusError
            If one is refused: those before it are written, and none behind the frame that follows its own.
        LinkLost
            If the board does not answer any more; how much is written is not known.
        """
        content = data if isinstance(data, bytes) else np.asarray(data, dtype="<u4").tobytes()
        _check(address, len(content))
        self._carry_out(_Part(Operation.WRITE, address, len(content) // 4, content))

    def read(self, address: int, words: int) -> NDArray[np.uint32]:
        """Words from a byte address on; raises as `write` does."""
        _check(address, 4 * words)
        done = self._carry_out(_Part(Operation.READ, address, words))
        content = b"".join(part.data for part in sorted(done, key=lambda part: part.address))
        return np.frombuffer(content, dtype="<u4").astype(np.uint32)

    def tokens(self) -> list[Token]:
        """Those that have come since they were asked for last; what is read and written brings them too."""
        tokens, self._tokens = self._tokens, []
        return tokens

    def listen(self, timeout_s: float) -> list[Token]:
        """Wait for tokens, but not longer; those of `tokens`."""
        deadline = self._clock() + timeout_s
        while not self._tokens and self._clock() < deadline:
            self._receive(deadline, or_tokens=True)
        return self.tokens()

    def close(self) -> None:
        """Give the port back."""
        self._connected = False
        self._port.close()

    def _carry_out(self, access: _Part) -> list[_Part]:
        """The frames that it took."""
        if not self._connected:
            raise LinkLost("There is no connection to the board, or not any more: connect first.")
        try:
            return self._exchange(deque([access] if access.words else []))
        except LinkLost:
            self._connected = False
            raise

    def _exchange(self, waiting: deque[_Part]) -> list[_Part]:
        """Send what waits, go back where an answer is missing, until all is answered; what the answers say."""
        done: list[_Part] = []
        flight: deque[_Part] = deque()
        failures: list[BusError] = []
        tries, deadline = 1, 0.0
        while waiting or flight:
            while waiting and len(flight) < WINDOW:
                part, *rest = waiting.popleft().split(self._most_words)
                waiting.extendleft(rest)
                flight.append(part)
                flight[-1].sequence, self._sequence = self._sequence, _behind(self._sequence)
                self._port.write(flight[-1].frame())
                deadline = self._clock() + self._timeout_s
            answers = self._receive(deadline)
            goes_back, goes_on = not answers, False
            for answer in answers:
                number = next((k for k, part in enumerate(flight) if part.answered_by(answer)), None)
                if number is None:
                    continue
                if answer.refused:
                    goes_back |= _goes_back(answer, flight)
                    continue
                goes_on = True
                # those before it were executed too, and their answers are lost
                for part in [flight.popleft() for _ in range(number)]:
                    if part.operation == Operation.READ:
                        waiting.appendleft(part)
                    elif answer.failed_before:
                        failures.append(_bus_error(part, None))
                part = flight.popleft()
                done.append(part)
                if part.operation == Operation.READ:
                    part.data = answer.words
                if answer.failed:
                    failures.append(_bus_error(part, answer.number))
            if failures:
                # a read that waits once more may fail further ahead
                first = min(failures, key=lambda failure: failure.address)
                waiting = deque(part for part in waiting if part.address < first.address)
            if goes_on:
                self._most_words = min(self._most_words + _MORE_WORDS, MOST_WORDS)
                tries, deadline = 1, self._clock() + self._timeout_s
            elif goes_back:
                if tries == self._tries:
                    raise LinkLost(f"The board has not answered {tries} times: check its cable, and connect anew.")
                tries += 1
                self._most_words = max(self._most_words // 2, _LEAST_WORDS)
                for part in flight:
                    self._port.write(part.frame())
                deadline = self._clock() + self._timeout_s
        if failures:
            raise first
        return done

    def _receive(self, deadline: float, or_tokens: bool = False) -> list[Answer]:
        """Answers as soon as there are any, or tokens; none when the time is over. Tokens are put aside."""
        while True:
            answers = self._sorted(self._answers.found())
            left = deadline - self._clock()
            if answers or (or_tokens and self._tokens):
                return answers
            if left <= 0:
                return self._sorted(self._answers.rest())
            self._answers.feed(self._port.read(_READ_BYTES, left))

    def _sorted(self, answers: Iterable[Answer]) -> list[Answer]:
        others = []
        for answer in answers:
            if answer.kind == Kind.TOKEN:
                first, cycles = (int.from_bytes(answer.words[at : at + 4], "little") for at in (0, 4))
                self._tokens.append(Token(first & 0xFFFF, first >> 16, cycles, answer.sequence))
            else:
                others.append(answer)
        return others


def _behind(sequence: int) -> int:
    return (sequence + 1) % SEQUENCES


def _check(address: int, size: int) -> None:
    """Refuse what are no whole words of the board."""
    if address % 4 or size % 4 or not 0 <= address <= address + size <= 1 << 32:
        raise TritforgeError(
            f"{size} bytes from {address:#x} on are no whole words of the board: both must be multiples of 4, "
            "below 4 GiB together."
        )


def _goes_back(refusal: Answer, flight: Sequence[_Part]) -> bool:
    """Whether the board still waits for the first frame; else it has them all, and an answer is to come."""
    if refusal.number == flight[0].sequence:
        return True
    if refusal.number in {_behind(part.sequence) for part in flight}:
        return False
    raise LinkLost("The board expects another frame: it was reset, or another program talks to it; connect anew.")


def _bus_error(part: _Part, not_tried: int | None) -> BusError:
    """Where the words behind the one that failed are known, or are not."""
    what = "written" if part.operation == Operation.WRITE else "read"
    if not_tried is None:
        end = part.address + 4 * part.words
        where = f"One of the board's words from {part.address:#x} to {end - 4:#x} cannot be {what}"
        return BusError(part.address, f"{where}: nothing is there, or it refuses.")
    address = part.address + 4 * (part.words - 1 - not_tried)
    return BusError(address, f"The board's word at {address:#x} cannot be {what}: nothing is there, or it refuses.")
