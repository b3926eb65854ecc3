# SPDX-License-Identifier: Apache-2.0
"""Documents with places that are made from data: ``<!-- NAME -->...<!-- end -->``, and pictures that are all made.

A place within a line holds a figure, one over whole lines a table or a text. Behind a table stands what it was
measured on, made by the same code, so that a page says by itself what is of an earlier core.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from golden import TritforgeError
from perf.measured import Entry, MissingError
from perf.plan import Measurement
from perf.today import Today

PLACE = re.compile(r"<!-- (?!end -->)(.+?) -->(\n?)(.*?)<!-- end -->", re.S)
SHOWN = 8
"""Lines of a difference that are shown."""
COMMANDS = 2
"""Commands that a note names; of more it says where they stand."""


@dataclass(frozen=True)
class Place:
    """What stands in a place.

    Attributes
    ----------
    render
        Makes it.
    needs
        What it is made of.
    quiet
        Whether it says nothing of when that was measured, as long as it is of today's core.
    """

    render: Callable[[], str]
    needs: tuple[Measurement, ...] = ()
    quiet: bool = False

    def text(self, today: Today, inline: bool) -> str:
        """With a note behind it; MissingError if something was not measured."""
        for one in self.needs:
            _ = one.entry
        body = self.render()
        if inline:
            return body + (" (of an earlier core)" if earlier(self.needs, today) else "")
        return body.rstrip("\n") + "\n" + self._note(today)

    def _note(self, today: Today) -> str:
        found = note(self.needs, today, self.quiet) if self.needs else ""
        return f"\n{found}\n" if found else ""


@dataclass(frozen=True)
class Fault:
    """A place that is not what the data say, and why."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


def earlier(needs: Iterable[Measurement], today: Today) -> list[Measurement]:
    """Those that were measured on something else than today's."""
    return [one for one in dict.fromkeys(needs) if today.earlier(one.entry)]


def note(needs: Iterable[Measurement], today: Today, quiet: bool = False) -> str:
    """When something was measured, with what, by which command, and what of it is of an earlier core."""
    needs = list(dict.fromkeys(needs))
    old = earlier(needs, today)
    new = [one for one in needs if one not in old]
    lines = []
    if new and not quiet:
        lines.append(f"*Measured* {_when(new)}{_tools(new)}: {_commands(new)}.")
    if old:
        names = ", ".join(one.name for one in old) if new else "all of it"
        lines.append(f"**Of an earlier core**, measured {_when(old)}: {names}; today's by {_commands(old)}.")
    return " ".join(lines)


def _when(needs: list[Measurement]) -> str:
    dates = sorted({one.entry.date for one in needs})
    return dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


def _tools(needs: list[Measurement]) -> str:
    found = dict.fromkeys((name, version) for one in needs for name, version in one.entry.tools.items())
    machines = dict.fromkeys(one.entry.machine for one in needs if one.entry.machine)
    parts = [*machines, *(f"{name} {version}" for name, version in found)]
    return f" ({', '.join(parts)})" if parts else ""


def _commands(needs: list[Measurement]) -> str:
    found = list(dict.fromkeys(one.command for one in needs))
    if len(found) > COMMANDS:
        return f"{len(found)} commands, which `tritforge docs --commands` lists"
    return " and ".join(f"`{command}`" for command in found)


class Documents:
    """Pages and pictures of a checkout.

    Parameters
    ----------
    root
        Its folder.
    places
        By name.
    files
        What is made as a whole, by path.
    """

    def __init__(self, root: Path, places: Mapping[str, Place], files: Mapping[str, Place], today: Today) -> None:
        self._root, self._places, self._files, self._today = root, places, files, today
        self.pages = [root / "README.md", *sorted((root / "docs").glob("*.md")), *sorted(root.glob("models/*/*.md"))]
        if not self.pages[0].is_file() or len(self.pages) < 2:
            raise TritforgeError("There are no documents beside this installation; run it in a checkout.")

    def check(self) -> Iterator[Fault]:
        """Everything that is not what the data say."""
        used: set[str] = set()
        for path in self._all():
            has = path.read_text() if path.exists() else ""
            wants, faults = self._made(path)
            yield from faults
            used |= {match[1] for match in PLACE.finditer(has)}
            if has == wants:
                continue
            if not self._whole(path):
                for (name, old), (_, new) in zip(_places(has), _places(wants), strict=True):
                    if old != new:
                        yield self._fault(path, name, f"is not what the data say{_difference(old, new)}")
            else:
                yield self._fault(path, "", f"is not what the data say{_difference(has, wants)}")
        for name in self._places.keys() - used:
            yield Fault(name, "no document has this place.")

    def write(self) -> Iterator[Fault]:
        """Write everything that can be made; what cannot is a fault."""
        for path in self._all():
            text, faults = self._made(path)
            yield from faults
            _write(path, text)

    def _all(self) -> list[Path]:
        return [*self.pages, *(self._root / name for name in self._files if self._root / name not in self.pages)]

    def _whole(self, path: Path) -> Place | None:
        return self._files.get(path.relative_to(self._root).as_posix())

    def _made(self, path: Path) -> tuple[str, list[Fault]]:
        """The text of a document, and what could not be made."""
        faults: list[Fault] = []
        whole = self._whole(path)
        old = path.read_text() if path.exists() else ""
        if whole:
            text = self._text(whole, True, path, "", old, faults)
            return text, faults

        def made(match: re.Match) -> str:
            name, newline, has = match.groups()
            if name not in self._places:
                faults.append(self._fault(path, name, "nothing is known of this place; host/places.py lists them."))
                return match[0]
            return f"<!-- {name} -->{newline}{self._text(self._places[name], not newline, path, name, has, faults)}<!-- end -->"

        for match in PLACE.finditer(old):
            if not match[2] and (match.start() == 0 or old[match.start() - 1] == "\n"):
                faults.append(self._fault(path, match[1], "a figure must not begin a line, which would be HTML then."))
        return PLACE.sub(made, old), faults

    def _text(self, place: Place, inline: bool, path: Path, name: str, old: str, faults: list[Fault]) -> str:
        try:
            faults += [
                self._fault(path, name, f"{_what(one.entry, self._today)} has changed; run {one.command}")
                for one in earlier(place.needs, self._today)
                if not one.long
            ]
            return place.text(self._today, inline)
        except MissingError:
            faults += [
                self._fault(path, name, f"{one.file} has no '{one.name}'; run {one.command}")
                for one in place.needs
                if not _there(one)
            ]
            return old

    def _fault(self, path: Path, name: str, why: str) -> Fault:
        where = path.relative_to(self._root).as_posix()
        return Fault(f"{where}: {name}" if name else where, why)


def _what(entry: Entry, today: Today) -> str:
    return "measured on something else than today's: " + ", ".join(today.earlier(entry))


def _there(one: Measurement) -> bool:
    try:
        _ = one.entry
    except MissingError:
        return False
    return True


def _places(text: str) -> list[tuple[str, str]]:
    return [(match[1], match[3]) for match in PLACE.finditer(text)]


def _difference(old: str, new: str) -> str:
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), "", "", lineterm="", n=0))[2:]
    shown = [line if len(line) <= 160 else line[:157] + "..." for line in lines if not line.startswith("@@")]
    more = [f"  ... {len(shown) - SHOWN} lines more"] if len(shown) > SHOWN else []
    return ":\n" + "\n".join([*(f"  {line}" for line in shown[:SHOWN]), *more])


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
