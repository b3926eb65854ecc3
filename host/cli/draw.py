# SPDX-License-Identifier: Apache-2.0
"""Draw pictures, as SVG, of what other commands wrote.

Example: tritforge draw trace token.json -o token.svg
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tritforge.golden import TritforgeError
from tritforge.golden.files import check_writable, write_text
from tritforge.host.cli.console import out, print_json
from tritforge.host.cli.options import Json

Picture = Annotated[Path, typer.Option("-o", "--output", help="The picture to write.", metavar="FILE.svg")]


def trace(
    path: Annotated[Path, typer.Argument(help="What generate --trace wrote.", metavar="FILE.json")],
    output: Picture,
    layers: Annotated[int, typer.Option(help="Draw so many of the first layers.", min=1)] = 1,
    as_json: Json = False,
) -> None:
    """Draw the first layers of a token's timeline.

    Example: tritforge draw trace token.json -o token.svg --layers 2
    """
    from tritforge.host.run.trace import TRACKS
    from tritforge.host.run.trace_picture import picture

    _write(output, picture(_read(path, "timeline; write one with --trace"), TRACKS, layers), as_json)


def rows(
    files: Annotated[
        list[str], typer.Argument(help="What commands print with --json, and its name.", metavar="[NAME=]FILE...")
    ],
    label: Annotated[list[str], typer.Option(help="A key that lines are named by; repeatable.", metavar="KEY")],
    value: Annotated[list[str], typer.Option(help="A key to draw, in a panel; repeatable.", metavar="KEY")],
    output: Picture,
    width: Annotated[int, typer.Option(help="Of the lines' names.", min=1)] = 200,
    as_json: Json = False,
) -> None:
    """Draw lists of figures as dots: a line for each row, a panel for each value, a colour for each file.

    Example: tritforge draw rows A=a.json B=b.json --label bits --label group --value "row error" -o rows.svg
    """
    from tritforge.perf.pages.dots import COLOURS, compared, draw

    if len(files) > len(COLOURS):
        raise TritforgeError(f"There are colours for {len(COLOURS)} files; draw them in several pictures.")
    named = [text.rpartition("=") for text in files]
    found = {name: _read(Path(file), "list of rows; print one with --json") for name, _, file in named}
    names = {name: colour for name, colour in zip(found, COLOURS, strict=False) if name}
    _write(output, draw(compared(found, label, value), value, "", width, names), as_json)


def _read(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise TritforgeError(f"{path} is no {what} ({error}).") from error


def _write(output: Path, svg: str, as_json: bool) -> None:
    check_writable(output)
    write_text(output, svg)
    if as_json:
        print_json({"picture": str(output), "bytes": output.stat().st_size})
    else:
        out.print(f"{output}: {output.stat().st_size:,} bytes", highlight=False)
