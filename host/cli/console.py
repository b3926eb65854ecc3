# SPDX-License-Identifier: Apache-2.0
"""What the commands share: consoles, progress, options and errors in one sentence."""

import json
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from typer.core import TyperGroup
from typer.exceptions import TyperException

from tritforge.golden import TritforgeError
from tritforge.golden.files import REMEDIES, told
from tritforge.host.run.models import DEFAULT_PRESET, Model
from tritforge.hw.params import PRESETS, CoreParams, preset

# what stands in brackets or between colons is a part of names and texts
out = Console(soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, markup=False, emoji=False)

LARGEST_SEED = 2**63 - 1
"""That every generator takes."""

Advance = Callable[[int, int], None]

_NAMES = ", ".join(PRESETS)
ModelPath = Annotated[Path, typer.Argument(help="A checkpoint folder or an image.", metavar="MODEL")]
PresetName = Annotated[str | None, typer.Option("--preset", help=f"The core: {_NAMES}.", metavar="NAME")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Change one parameter of the core, such as lanes=32; repeatable.", metavar="NAME=VALUE"
    ),
]
Record = Annotated[
    bool, typer.Option("--record", help="Keep the figures in perf/measured, which documents and estimates read.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


class Named(Protocol):
    """Something about a tensor of that name."""

    tensor: str


Row = TypeVar("Row", bound=Named)


DEBUG = "debug"
"""In a context's ``meta``: whether errors show where they come from."""


class Commands(TyperGroup):
    """Commands whose errors end in one sentence: bad input with exit status 2, failures and bugs with 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; no traceback but with --debug."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
            raise
        except Exception as error:
            raise typer.Exit(report(error, ctx.meta.get(DEBUG))) from error


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


def chosen_core(name: str | None, settings: list[str] | None) -> CoreParams | None:
    """The core that the options name; None where they name none."""
    if name is None and not settings:
        return None
    return preset(name or DEFAULT_PRESET).override(_changes(settings))


def opened_model(path: Path, name: str | None, settings: list[str] | None) -> tuple[Model, list[str]]:
    """A model to run on the core that the options name; its warnings are printed, and returned for a JSON object."""
    model = Model(path, preset(name) if name else None, say, progress, _changes(settings))
    return model, heed(model.warnings)


def _changes(settings: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in settings or []]
    for key, equals, _ in pairs:
        if not equals:
            raise TritforgeError(f"--set takes NAME=VALUE, such as lanes=32, not '{key}'.")
    return {key: value for key, _, value in pairs}


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


def print_json(value: Any) -> None:
    """Print a JSON object on stdout."""
    typer.echo(json.dumps(value, indent=2))


def by_kind(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """What there is about tensors, by their names without the layer."""
    kinds = defaultdict(list)
    for row in rows:
        kinds[row.tensor.removeprefix("model.layers.").lstrip("0123456789.") or row.tensor].append(row)
    return kinds
