# SPDX-License-Identifier: Apache-2.0
"""What a token costs host and serial line of a board (`hw.board.machine`), in closed form.

On its own, a machine pushes a frame a token, for which it does not wait. Where the host chooses the tokens, or the
records have no room in the memory, everything comes one after the other: the token's record, the machine's time, the
result. The accesses are those of `host.board.board.Board`.
"""

from dataclasses import dataclass
from functools import cache

from tritforge.hw.board.layout import sizes
from tritforge.hw.board.machine_map import SETTINGS
from tritforge.hw.bridge.frames import CRC_BYTES, HEAD_BYTES, MOST_WORDS, TOKEN_WORDS, WINDOW, Kind, answer_bytes
from tritforge.hw.packet import trailer_words
from tritforge.hw.params import WORD_BYTES, CoreParams
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates.platform import Line
from tritforge.perf.figure import Figure, Tag

BITS = 10
"""Of a byte on the line, with start and stop."""


@dataclass(frozen=True)
class Port:
    """A packet at the port.

    Attributes
    ----------
    pushed : bytes of a token that the machine says on its own.
    sent : bytes, both ways, of a packet that the host sends. waited : those of them that the host waits for, one
        after the other: while it writes the frames of a record, the answers come at the same time.
    turns : how often it waits for an answer before it goes on. most_turns : the same where an answer takes longer
        than a frame, so that the frames of a record wait too.
    """

    pushed: int
    sent: int
    waited: int
    turns: int
    most_turns: int

    def seconds(self, line: Line) -> Figure:
        """That line and host take for a packet that the host sends, beside the machine's own time."""
        turns = Figure(self.turns, self.turns, self.most_turns, Tag.DERIVED)
        return BITS * self.waited / line.baud.figure + turns * line.turn.figure * 1e-3


@cache
def port(params: CoreParams, shape: Shape, contexts: int = 1) -> Port:
    """Of a packet with so many contexts, without logits."""
    record = sizes(params, shape).record_beats(contexts) * params.lanes // WORD_BYTES
    # each result begins with a beat of its own, and its cycles come behind it
    result = -(-WORD_BYTES * (trailer_words(contexts) + 1) // params.lanes) * params.lanes // WORD_BYTES
    pushed = answer_bytes(Kind.TOKEN, TOKEN_WORDS - 1)
    frames = [min(MOST_WORDS, record - first) for first in range(0, record, MOST_WORDS)]
    # the record; STATUS; settings; COMMAND; RESULT, and what it says
    written = [*frames, SETTINGS, 1]
    read = [1, 1, result]
    out = sum(_frame(words) for words in written) + len(read) * _frame(0)
    answers = len(written) * answer_bytes(Kind.WRITTEN, 0) + sum(answer_bytes(Kind.DATA, n - 1) for n in read)
    hidden = (len(frames) - 1) * answer_bytes(Kind.WRITTEN, 0)
    whole = out + answers + pushed
    others = len(written) - len(frames) + len(read)
    return Port(pushed, whole, whole - hidden, others + 1, others + -(-len(frames) // WINDOW))


def _frame(words: int) -> int:
    """Bytes of a frame to the board with so many words."""
    return HEAD_BYTES + WORD_BYTES * words + CRC_BYTES
