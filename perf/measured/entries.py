# SPDX-License-Identifier: Apache-2.0
"""What was measured: files of entries in perf/measured, written by the commands that measure and read by documents.

An entry says by which command it was made, when, with which tools, and on what: digests of the emitted Verilog of a
core (``verilog edge`` or ``verilog edge: ternary_array``), of a model (``model models/tales``), of a text, of what
the integer model computes (``specification``). `perf.measured.today` says whether these are today's.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from tritforge.golden import TritforgeError
from tritforge.golden.files import make_folder, write_text
from tritforge.perf.measured.subject import model_digest, verilog_digest
from tritforge.rtl_gen.cache.folder import cache_folder

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SPECIFICATION = "specification"


class Entry(BaseModel):
    """One measurement.

    Attributes
    ----------
    command
        What was typed.
    date
        When, as YYYY-MM-DD.
    tools
        Versions of what decides the figures, by package.
    machine
        On which it ran; empty where no figure depends on it.
    on
        Digests of what was measured, by subject; empty for one that is known to be an earlier one.
    data
        The figures, as the command prints them with --json.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    command: str
    date: str
    tools: dict[str, str]
    machine: str = ""
    on: dict[str, str]
    data: Any


class MissingError(TritforgeError):
    """A figure that was not measured."""


def entries(file: str) -> dict[str, Entry]:
    """All entries of a file by name; none where it does not exist."""
    path = FOLDER / f"{file}.json"
    try:
        found = json.loads(path.read_text()) if path.exists() else {}
        return {name: Entry.model_validate(entry) for name, entry in found.items()}
    except (OSError, json.JSONDecodeError, ValidationError, AttributeError) as error:
        raise TritforgeError(f"{path} cannot be read ({str(error).splitlines()[0]}); measure again.") from error


def entry(file: str, name: str) -> Entry:
    """One entry; MissingError where there is none."""
    found = entries(file)
    if name not in found:
        raise MissingError(
            f"perf/measured/{file}.json has no '{name}'; tritforge docs --commands says how to measure."
        )
    return found[name]


def put(file: str, found: Mapping[str, Entry], family: str | None = None) -> Path:
    """Add entries to a file, at once and whatever other processes add.

    Parameters
    ----------
    file
        Its name in `FOLDER`, without suffix.
    found
        By name; they replace those of the same name.
    family
        Entries whose name begins with it are dropped if what they share with the new ones has another digest: the
        seeds of an earlier core beside one of today's.
    """
    make_folder(FOLDER)
    path = FOLDER / f"{file}.json"
    with FileLock(cache_folder() / f"measured-{file}.lock"):
        kept = entries(file)
        if family is not None:
            on = next(iter(found.values())).on
            kept = {
                name: old
                for name, old in kept.items()
                if not name.startswith(family)
                or all(old.on.get(subject, on[subject]) == on[subject] for subject in on)
            }
        merged = kept | dict(found)
        whole = {name: merged[name].model_dump(exclude_defaults=True) for name in sorted(merged, key=_natural)}
        write_text(path, _json(whole))
    return path


def made(
    command: str, data: Any, on: Mapping[str, str], tools: Iterable[str] = (), machine: str = "", **versions: str
) -> Entry:
    """An entry of today with the versions of these packages, and of other tools by name."""
    found = {package: metadata.version(package) for package in tools} | versions
    return Entry(
        command=command, date=date.today().isoformat(), tools=found, machine=machine, on=dict(on), data=_plain(data)
    )


def on_verilog(name: str, files: Iterable[Path], top: str, unit: str = "") -> dict[str, str]:
    """The subject and digest of a core's Verilog, or of one of its units."""
    subject, module = (f"{name}: {unit}", f"{top}_{unit}") if unit else (name, top)
    return {f"verilog {subject}": verilog_digest(list(files), module)}


def on_model(folder: Path, name: str | None = None) -> dict[str, str]:
    """The subject and digest of a checkpoint; its name is its path in the repository, where it lies there."""
    whole = folder.resolve()
    inside = whole.relative_to(ROOT).as_posix() if whole.is_relative_to(ROOT) else whole.name
    return {f"model {name or inside}": model_digest(whole)}


def _plain(data: Any) -> Any:
    return json.loads(json.dumps(data))


def _natural(name: str) -> list[str]:
    """Seed 10 behind seed 9."""
    return [part.zfill(6) if part.isdigit() else part for part in name.split()]


def _json(whole: Mapping[str, Any]) -> str:
    """A line for each figure that is a list or table of plain values: short to read, short to compare."""

    def show(value: Any, indent: str) -> str:
        inner = indent + "  "
        flat = json.dumps(value, ensure_ascii=False)
        if not isinstance(value, (dict, list)) or not value or (len(indent) + len(flat) <= 110 and _shallow(value)):
            return flat
        if isinstance(value, dict):
            lines = [f"{inner}{json.dumps(key)}: {show(item, inner)}" for key, item in value.items()]
            return "{\n" + ",\n".join(lines) + "\n" + indent + "}"
        return "[\n" + ",\n".join(inner + show(item, inner) for item in value) + "\n" + indent + "]"

    return show(whole, "") + "\n"


def _shallow(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return not any(isinstance(item, (dict, list)) for item in items)
