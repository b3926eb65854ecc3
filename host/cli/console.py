# SPDX-License-Identifier: Apache-2.0
"""What the commands say and how: consoles, progress, tables, JSON, errors in one sentence."""

import json
import re
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tritforge.golden import TritforgeError
from tritforge.golden.files import REMEDIES, told

# what stands in brackets or between colons is a part of names and texts
out = Console(soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, markup=False, emoji=False)

Advance = Callable[[int, int], None]
"""Told what is done of how much."""


class Named(Protocol):
    """Something about a tensor of that name."""

    @property
    def tensor(self) -> str: ...


Row = TypeVar("Row", bound=Named)


def report(error: Exception, debug: bool = False) -> int:
    """Print the sentence for an error; return the exit status."""
    if debug:
        traceback.print_exception(error)
    sentence, status = judged(error)
    err.print(Text("Error: ", style="red"), Text(sentence), sep="")
    return status


def judged(error: Exception) -> tuple[str, int]:
    """The sentence for an error, and the exit status."""
    if isinstance(error, TritforgeError):
        return str(error), error.status
    if isinstance(error, OSError) and error.errno in REMEDIES:
        return f"{f'{error.filename}: ' if error.filename else ''}{told(error)}; {REMEDIES[error.errno]}.", 2
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error)):
        return "There is not enough memory for this; close other programs, or take a smaller model.", 2
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return "This needs PyTorch, which is not installed: pip install 'tritforge[torch]'.", 2
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{what}. This is a bug; please report it to the project, with what --debug adds to this.", 1


def heed(warnings: Iterable[str]) -> list[str]:
    """Print warnings on stderr; return them, for a JSON object."""
    told = list(warnings)
    for warning in told:
        err.print(Text("Warning: ", style="yellow"), Text(warning), sep="")
    return told


def say(line: str) -> None:
    """Tell what takes long, on stderr."""
    err.print(f"{line} ...", style="dim", highlight=False)


@contextmanager
def progress(label: str) -> Iterator[Advance]:
    """A progress bar on stderr while the context lasts, where stderr is a terminal."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def doing(line: str) -> Iterator[Callable[[str], None]]:
    """A spinner on stderr while the context lasts; gives a function that changes what stands beside it."""
    with err.status(Text(line)) as spinner:
        yield lambda text: spinner.update(Text(text))


def follow(update: Callable[[str], None]) -> Callable[[str], None]:
    """Shows on a spinner which step a tool is at."""

    def log(line: str) -> None:
        step = re.match(r"[\d.]+ Executing (.*?)\.?$|Info: ((?:Pack|Plac|Rout|Creat|Running|Promot).*)", line)
        if step:
            update((step[1] or step[2])[:90])

    return log


def print_json(value: Any) -> None:
    """Print a JSON object on stdout."""
    typer.echo(json.dumps(value, indent=2))


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print objects with the same keys, as JSON or as a table with a line each."""
    if as_json:
        print_json(rows)
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    out.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def by_kind(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """What there is about tensors, by their names without the layer."""
    kinds = defaultdict(list)
    for row in rows:
        kinds[row.tensor.removeprefix("model.layers.").lstrip("0123456789.") or row.tensor].append(row)
    return kinds
