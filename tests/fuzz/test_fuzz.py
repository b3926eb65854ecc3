# SPDX-License-Identifier: Apache-2.0
"""A few hundred runs of every reader, and faults that they find."""

import random
from pathlib import Path

import pytest

from tests.fuzz import targets
from tests.fuzz.draw import Draw
from tests.fuzz.targets import TARGETS, one_sentence
from tritforge.golden import TritforgeError

RUNS = 200


def runs(name: str, folder: Path, count: int = RUNS) -> None:
    run, chance = TARGETS[name](folder), random.Random(name)
    for _ in range(count):
        data = chance.randbytes(chance.randrange(120))
        try:
            run(Draw(data))
        except BaseException as error:
            raise AssertionError(f"{name} {data.hex()}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_readers_give_a_sentence_or_something_right(name: str, tmp_path: Path) -> None:
    runs(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "what", "planted"),
    [
        ("configuration", "ModelConfig.from_json", lambda path: 1 / 0),
        ("checkpoint", "Checkpoint", lambda folder: targets.CONFIGURATION.missing),
        ("tokens", "read_ids", lambda path: targets.np.zeros((2, 2))),
        ("options", "parse_shape", lambda text: int(text)),
        ("frames", "Answers.rest", lambda answers: iter(answers.found())),
    ],
)
def test_a_fault_is_found(
    name: str, what: str, planted: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback, a wrong result, a frame that is lost."""
    monkeypatch.setattr(f"tests.fuzz.targets.{what}", planted)
    with pytest.raises(AssertionError, match=name):
        runs(name, tmp_path)


@pytest.mark.parametrize("said", ["", "no end", " begins late.", "x" * 5000 + "."])
def test_what_is_no_sentence_is_found(said: str) -> None:
    with pytest.raises(AssertionError), one_sentence():
        raise TritforgeError(said)


def test_what_is_drawn_is_of_the_bytes_alone() -> None:
    data = random.Random(1).randbytes(400)
    tree = {"a": [1, 2, {"b": None}], "c": "text"}
    drawn = [Draw(data).json(tree, ["d"]) for _ in range(2)]
    assert drawn[0] == drawn[1] != Draw(data[1:]).json(tree, ["d"])
    assert Draw(b"").below(7) == Draw(b"").number() == 0 and not Draw(b"").more()
