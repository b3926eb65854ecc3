# SPDX-License-Identifier: Apache-2.0
"""Every link of the pages and every file that pages and sources name exists."""

from pathlib import Path

import pytest

from tritforge.host.docs.links import broken, turned
from tritforge.perf.measured.entries import ROOT


def test_no_link_and_no_name_leads_nowhere() -> None:
    assert [str(fault) for fault in broken(ROOT)] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](other.md)", "docs/page.md: the link to other.md leads nowhere."),
        ("![a](../docs/other.svg)", "docs/page.md: the link to ../docs/other.svg leads nowhere."),
        ("[a](#the-sum-1)", "docs/page.md: no heading of docs/page.md is that of the link to #the-sum-1."),
        ("`hw/two.py` adds", "docs/page.md: there is no hw/two.py."),
        ("`pytest hw/two.py -q`", "docs/page.md: there is no hw/two.py."),
        (
            "[a](page.md#the-sum-x_1) [b](../hw/one.py) `hw/` `hw/one.py` `build/x.py` `hw/x*.py` <!-- hw/two.py -->",
            "",
        ),
        ("```\n[a](other.md) `hw/two.py`\n```", ""),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, fault: str) -> None:
    for folder in ("docs", "hw"):
        (tmp_path / folder).mkdir()
    (tmp_path / "hw/one.py").write_text("# see hw/one.py\n")
    (tmp_path / "docs/page.md").write_text(f"# The sum, x_1\n\n{text}\n")
    assert [str(one) for one in broken(tmp_path)] == ([fault] if fault else [])


def test_a_source_that_names_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "hw").mkdir()
    (tmp_path / "hw/one.py").write_text('"""See hw/two.py."""\n')
    assert [str(one) for one in broken(tmp_path)] == ["hw/one.py: there is no hw/two.py."]


def test_links_and_names_are_turned_and_the_rest_is_kept() -> None:
    text = "[`a.py`](a.py) `hw/b.py` `c` [d](https://d)\n\n```\n[e](e.md) `hw/b.py`\n```\n"
    found = turned(text, lambda target: f"x/{target}", lambda code: "y" if code == "hw/b.py" else None)
    assert found == text.replace("(a.py)", "(x/a.py)").replace("`hw/b.py` `c`", "[`hw/b.py`](y) `c`")
