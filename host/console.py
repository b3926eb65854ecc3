# SPDX-License-Identifier: Apache-2.0
"""What the commands share: consoles, progress, options and errors in one sentence."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typer.core import TyperGroup

from golden import TritforgeError
from host.models import DEFAULT_PRESET, Model
from hw.params import PRESETS, CoreParams, preset

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

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


class Commands(TyperGroup):
    """Commands whose bad input ends in one sentence and exit status 2, and whose failures in one and 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; no traceback for what a user can mend."""
        try:
            return super().invoke(ctx)
        except TritforgeError as error:
            _say_error(error)
            raise typer.Exit(error.status) from error
        except OSError as error:
            _say_error(error)
            raise typer.Exit(2) from error


def _say_error(error: Exception) -> None:
    err.print("[red]Error:[/red] ", end="")
    err.print(str(error), markup=False, highlight=False)


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
        err.print("[yellow]Warning:[/yellow] ", end="")
        err.print(warning, markup=False, highlight=False)
    return told


def say(line: str) -> None:
    """Tell what takes long, on stderr."""
    err.print(f"{line} ...", style="dim", markup=False, highlight=False)


@contextmanager
def progress(label: str) -> Iterator[Advance]:
    """A progress bar on stderr while the context lasts, where stderr is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(value: Any) -> None:
    """Print a JSON object on stdout."""
    typer.echo(json.dumps(value, indent=2))


def by_kind(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """What there is about tensors, by their names without the layer."""
    kinds = defaultdict(list)
    for row in rows:
        kinds[row.tensor.removeprefix("model.layers.").lstrip("0123456789.") or row.tensor].append(row)
    return kinds
