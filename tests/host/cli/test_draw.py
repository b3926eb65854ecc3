# SPDX-License-Identifier: Apache-2.0
"""Pictures of what other commands wrote, and files that are refused."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.command_line import ask, refuse


def test_rows_of_any_table_are_drawn(tmp_path: Path) -> None:
    """A dot for each value but zeros, ten times as much as far again to the right; a colour for each file."""
    for name, errors in (("a", (0.0, 0.01, 0.1)), ("b", (1.0, 0.01, 0.1))):
        rows = [{"way": "kept & stored", "times": times, "error": error} for times, error in enumerate(errors)]
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))
    files = ("first=a.json", "second=b.json", "-o", "rows.svg")
    assert (
        ask("draw", "rows", *files, "--label", "way", "--label", "times", "--value", "error")["picture"] == "rows.svg"
    )
    root, space = ET.parse(tmp_path / "rows.svg").getroot(), "{http://www.w3.org/2000/svg}"
    drawn = [(float(dot.get("cy")), float(dot.get("cx")), dot.get("fill")) for dot in root.iter(f"{space}circle")]
    (_, one, blue), *others = sorted(drawn, key=lambda dot: (-dot[2].count("1f5fa8"), dot[0]))
    second, *brown = others
    tenth = second[1] - one
    assert tenth > 10 and second[2] == blue and {dot[2] for dot in brown} != {blue}
    assert [dot[1] for dot in brown] == pytest.approx([one + 2 * tenth, one, one + tenth])
    texts = [text.text for text in root.iter(f"{space}text")]
    assert {"kept & stored, times 0", "first", "second", "error"} <= set(texts)


ROWS = [{"way": "a", "error": 1.0}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no JSON", "a.json is no list of rows; print one with --json (Expecting value"),
        ("{}", "x is no list of objects with way; print one with --json."),
        (json.dumps([{"error": 1.0}]), "x is no list of objects with way"),
        (json.dumps([{"way": "a"}]), "There is no 'error' to draw; name a key of the rows with --value."),
    ],
)
def test_rows_that_cannot_be_drawn_are_refused(content: str, message: str) -> None:
    Path("a.json").write_text(content)
    refuse(message, "draw", "rows", "x=a.json", "--label", "way", "--value", "error", "-o", "a.svg")
    assert not Path("a.svg").exists()


def test_more_files_than_colours_are_refused() -> None:
    Path("a.json").write_text(json.dumps(ROWS))
    files = [f"{name}=a.json" for name in "abcde"]
    refuse(
        "There are colours for 4 files", "draw", "rows", *files, "--label", "way", "--value", "error", "-o", "a.svg"
    )


EVENT = {"name": "L0 MIX f #0", "ph": "X", "tid": 0, "ts": 0, "dur": 5}


@pytest.mark.parametrize(
    ("content", "layers", "message"),
    [
        (json.dumps({"traceEvents": [EVENT]}), 3, "The timeline has 1 layers; draw at most so many"),
        ("{}", 1, "The file is no timeline; write one with --trace"),
        ("[1]", 1, "The file is no timeline"),
        ("no JSON", 1, "t.json is no timeline; write one with --trace (Expecting value"),
        (None, 1, "t.json is no timeline; write one with --trace ([Errno 2]"),
    ],
)
def test_a_picture_of_something_else_is_refused(content: str | None, layers: int, message: str) -> None:
    if content is not None:
        Path("t.json").write_text(content)
    refuse(message, "draw", "trace", "t.json", "-o", "t.svg", "--layers", layers)
    assert not Path("t.svg").exists()
