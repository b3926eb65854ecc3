# SPDX-License-Identifier: Apache-2.0
"""Frames from the board among whatever else there is."""

from hypothesis import given
from hypothesis import strategies as st

from tritforge.host.board.answers import Answer, Answers
from tritforge.hw.bridge.frames import FAILED, FAILED_BEFORE, REFUSED, Kind, from_board

BYTE = st.integers(0, 255)
SHORT = st.builds(
    lambda kind, bits, sequence, number: from_board(kind | bits, sequence, number),
    st.sampled_from([Kind.WRITTEN, Kind.CONNECTED]),
    st.sampled_from([0, FAILED, REFUSED | FAILED_BEFORE]),
    BYTE,
    BYTE,
)
TOKEN = st.builds(
    lambda status, words: from_board(Kind.TOKEN, status, 1, words), BYTE, st.binary(min_size=8, max_size=8)
)
DATA = st.builds(
    lambda sequence, count, left: from_board(
        Kind.DATA, sequence, count, bytes(4 * count + 4), bytes([Kind.DATA | FAILED, left])
    ),
    BYTE,
    st.sampled_from([0, 1, 30, 255]),
    BYTE,
)
# much that begins like a frame, and is none
GARBAGE = st.lists(st.sampled_from([b"\x5a", b"\x5a\x02\x00\xff", b"\x5a\x00\x00\x01", b"\x01", b"\xff"]), max_size=8)


@given(st.lists(st.one_of(SHORT, TOKEN, DATA, GARBAGE), max_size=12), st.integers(1, 200))
def test_each_frame_is_found_once_and_in_order(parts: list[bytes | list[bytes]], piece: int) -> None:
    line = b"".join(part if isinstance(part, bytes) else b"".join(part) for part in parts)
    answers, found = Answers(), []
    for at in range(0, len(line), piece):
        answers.feed(line[at : at + piece])
        found += answers.found()
    found += answers.rest()
    assert found == [_alone(part) for part in parts if isinstance(part, bytes)]
    assert not list(answers.rest())


def _alone(frame: bytes) -> Answer:
    answers = Answers()
    answers.feed(frame)
    (answer,) = answers.found()
    return answer


def test_what_a_frame_says() -> None:
    assert _alone(from_board(Kind.WRITTEN | FAILED, 7, 3)) == Answer(Kind.WRITTEN, False, True, False, 7, 3, b"")
    assert _alone(from_board(Kind.DATA | REFUSED, 7, 3)) == Answer(Kind.DATA, True, False, False, 7, 3, b"")
    failed = from_board(Kind.DATA, 9, 1, b"12345678", bytes([Kind.DATA | FAILED | FAILED_BEFORE, 1]))
    assert _alone(failed) == Answer(Kind.DATA, False, True, True, 9, 1, b"12345678")
    assert _alone(from_board(Kind.TOKEN, 5, 1, b"12345678")) == Answer(
        Kind.TOKEN, False, False, False, 5, 1, b"12345678"
    )
