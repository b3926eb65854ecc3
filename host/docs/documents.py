# SPDX-License-Identifier: Apache-2.0
"""Documents with places that are made from data: ``<!-- NAME -->...<!-- end -->``, and pictures that are all made.

A place within a line holds a figure, one over whole lines a table or a text. Behind a table stands what it was
measured on, made by the same code, so that a page says by itself what is of an earlier core.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tritforge.golden import TritforgeError
from tritforge.golden.files import write_text
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.measured.today import Today

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

    def figure(self, today: Today) -> str:
        """For a place within a line."""
        old = earlier(self.needs, today)
        return self.render() + (f" (of an earlier {_kind(old)})" if old else "")

    def block(self, today: Today) -> str:
        """For a place over whole lines: with a note behind it."""
        return self.render().rstrip("\n") + "\n" + self._note(today)

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
        lines.append(f"**Of an earlier {_kind(old)}**, measured {_when(old)}: {names}; today's by {_commands(old)}.")
    return " ".join(lines)


def _kind(needs: list[Measurement]) -> str:
    return "core" if any("verilog" in subject for one in needs for subject in one.entry.on) else "model"


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
            text = self._text(whole, lambda today: whole.render(), path, "", old, faults)
            return text, faults

        def made(match: re.Match[str]) -> str:
            name, newline, has = match.groups()
            place = self._places.get(name)
            if place is None:
                faults.append(
                    self._fault(path, name, "nothing is known of this place; host/docs/places.py lists them.")
                )
                return str(match[0])
            if not newline and not old[old.rfind("\n", 0, match.start()) + 1 : match.start()].strip():
                faults.append(self._fault(path, name, "a figure must not begin a line, which would be HTML then."))
            make = place.block if newline else place.figure
            return f"<!-- {name} -->{newline}{self._text(place, make, path, name, has, faults)}<!-- end -->"

        return PLACE.sub(made, old), faults

    def _text(
        self, place: Place, make: Callable[[Today], str], path: Path, name: str, old: str, faults: list[Fault]
    ) -> str:
        missing = [one for one in place.needs if not one.there]
        if missing:
            names = ", ".join(one.name for one in missing)
            faults.append(self._fault(path, name, f"was not measured ({names}): run {_runs(missing)}."))
            return old
        old_ones = [one for one in earlier(place.needs, self._today) if not one.long]
        if old_ones:
            on = ", ".join(dict.fromkeys(subject for one in old_ones for subject in self._today.earlier(one.entry)))
            faults.append(self._fault(path, name, f"measured on another core ({on}): run {_runs(old_ones)}."))
        return make(self._today)

    def _fault(self, path: Path, name: str, why: str) -> Fault:
        where = path.relative_to(self._root).as_posix()
        return Fault(f"{where}: {name}" if name else where, why)


def _runs(needs: list[Measurement]) -> str:
    found = list(dict.fromkeys(one.command for one in needs))
    more = f" and {len(found) - COMMANDS} more, see tritforge docs --commands" if len(found) > COMMANDS else ""
    return "; ".join(found[:COMMANDS]) + more


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
    write_text(path, text)
