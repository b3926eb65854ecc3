# SPDX-License-Identifier: Apache-2.0
"""A few kills of each command that takes less than a second; what is half is found."""

import random
from pathlib import Path

import pytest

from tests.kills import kill
from tests.kills.kill import VICTIMS, Victim, killed, prepared, seen

KILLS = 5


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "cache"))
    return prepared(tmp_path)


@pytest.mark.parametrize("victim", VICTIMS[:3], ids=lambda victim: victim.name)
def test_nothing_half_is_left_by_a_command_that_is_killed(victim: Victim, folder: Path) -> None:
    assert killed(victim, folder, KILLS, random.Random(1)) > 0


def test_a_half_file_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that gives its file the final name at once."""
    plain = Victim("plain", lambda f: [str(f / "file")], ("file",))

    def write(arguments: list[str]) -> None:
        with Path(arguments[0]).open("wb", buffering=0) as file:
            for _ in range(100):
                file.write(bytes(1000))
                kill.time.sleep(0.002)

    monkeypatch.setattr(kill, "_command", write)
    monkeypatch.setattr(kill.os, "killpg", kill.os.kill)
    with pytest.raises(AssertionError, match=r"plain, kill \d+: file"):
        killed(plain, folder, 20, random.Random(1))


def test_what_is_being_written_does_not_count(tmp_path: Path) -> None:
    for name in (".image.1.tmp", "lock.lock", "whole"):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text(name)
    assert seen(tmp_path, Victim("x", lambda f: [], ("out",))) == {"out/whole": b"whole"}
