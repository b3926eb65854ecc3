# SPDX-License-Identifier: Apache-2.0
"""Links of the pages, and the files that pages and sources name: all must exist.

A page is read on a forge, where a link is a path from its folder, and on the site, for which host/docs/site.py turns
links.
"""

import re
from collections.abc import Callable, Iterator
from os.path import normpath
from pathlib import Path, PurePosixPath

from tritforge.host.docs.documents import Fault

FOLDERS = ("docs", "findings", "golden", "host", "hw", "models", "perf", "rtl_gen", "sim", "tests")
_PIECE = re.compile(
    r"^(?P<fence>```|~~~).*?^(?P=fence)"
    r"|(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s]+)\)"
    r"|`(?P<code>[^`\n]+)`",
    re.S | re.M,
)
_NAMED = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w/?(?![\w*{{<])")
_HEADING = re.compile(r"^#+ (.*)$", re.M)


def pages(root: Path) -> list[Path]:
    """Every page of a checkout."""
    return sorted(
        path for where in ("*.md", "docs/*.md", "models/*/*.md", "findings/*.md") for path in root.glob(where)
    )


def named(text: str) -> list[str]:
    """The files and folders that a text names by their path in the checkout."""
    return _NAMED.findall(text)


def resolved(page: str, target: str) -> tuple[str, str]:
    """Path in the checkout, which is the page itself where there is none, and fragment of a link."""
    path, _, fragment = target.partition("#")
    return normpath(PurePosixPath(page).parent / path) if path else page, fragment


def turned(text: str, link: Callable[[str], str], name: Callable[[str], str | None]) -> str:
    """A page with other links: ``link`` of each target, and ``name`` of what stands as code, unless that is None."""

    def turn(match: re.Match[str]) -> str:
        if match["target"] and "://" not in match["target"]:
            return f"{match['text']}({link(match['target'])})"
        target = name(match["code"]) if match["code"] else None
        return f"[{match[0]}]({target})" if target else match[0]

    return _PIECE.sub(turn, text)


def broken(root: Path) -> Iterator[Fault]:
    """Links and names that lead nowhere."""
    for folder in FOLDERS:
        for source in sorted((root / folder).rglob("*.py")) if folder != "tests" else ():
            missing = (name for name in named(source.read_text()) if not (root / name).exists())
            yield from (Fault(source.relative_to(root).as_posix(), f"there is no {name}.") for name in missing)
    for page in pages(root):
        where = page.relative_to(root).as_posix()
        text = page.read_text()
        for match in _PIECE.finditer(text):
            if match["target"] and "://" not in match["target"]:
                path, fragment = resolved(where, match["target"])
                if not (root / path).exists():
                    yield Fault(where, f"the link to {match['target']} leads nowhere.")
                elif fragment and fragment not in _anchors((root / path).read_text()):
                    yield Fault(where, f"no heading of {path} is that of the link to {match['target']}.")
            for name in named(match["code"] or ""):
                if not (root / name).exists():
                    yield Fault(where, f"there is no {name}.")


def _anchors(text: str) -> set[str]:
    """What a forge makes of the headings."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}
