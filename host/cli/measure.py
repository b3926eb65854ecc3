# SPDX-License-Identifier: Apache-2.0
"""Measure what formats, codes and rounding cost, and what a model takes; --record keeps it for the documents.

Example: tritforge measure rows models/tales
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import PUBLISHED
from tritforge.host.cli.console import doing, out, print_json, print_rows, progress, say
from tritforge.host.cli.options import SHAPES, Json, PresetName, Record, chosen_core, parse_shape
from tritforge.host.run.fit import DEFAULT_PRESET
from tritforge.host.run.models import TALES

CHARACTERS, TOKENS = 8000, 256
"""Of the text and of the yardstick, if nothing else is said."""

Model = Annotated[Path, typer.Argument(help="A checkpoint folder.", metavar="CHECKPOINT")]
Text = Annotated[Path | None, typer.Option(help="Also score this text, UTF-8 or .xz of it.", metavar="FILE")]
Characters = Annotated[int, typer.Option(help="How many of its first characters.", min=1)]
Tokens = Annotated[int, typer.Option(help="How many random tokens the logit error is of.", min=1)]
Known = Annotated[
    str | None,
    typer.Option("--as", help="What documents call the model; as its folder if not given.", metavar="NAME"),
]
Measured = Callable[[Any, str | None, int], list[dict[str, Any]]]


def errors(record: Record = False, as_json: Json = False) -> None:
    """The largest error of every step of the numeric contract.

    Example: tritforge measure errors
    """
    from tritforge.golden.studies.errors import measure

    with doing("Measuring"):
        found = measure()
    if record:
        _record("errors", found, {})
    if as_json:
        print_json(found)
        return
    rows = [
        {"step": step, "largest error": f"{error:.2e}", "as a power of two": f"2^{math.log2(error):.1f}"}
        for step, error in found.items()
    ]
    print_rows(rows, False)


def fidelity(folder: Model, known: Known = None, record: Record = False, as_json: Json = False) -> None:
    """How far the integer model is from what the public implementation computed with the same weights.

    The checkpoint's folder also holds vectors.npz, the inputs and outputs of the public code's every step.

    Example: tritforge measure fidelity CHECKPOINT
    """
    from tritforge.golden.studies.fidelity import measure
    from tritforge.perf.measured.entries import on_model

    name = _shown("fidelity", folder, known, record)
    with doing(f"Measuring {folder}"):
        found = measure(folder)
    if record:
        _record(name, found, on_model(folder))
    if as_json:
        print_json(found)
    else:
        print_rows([{"": what, folder.name: f"{value:.6g}"} for what, value in found.items()], False)


def outliers(
    folder: Model,
    text: Text = None,
    characters: Characters = CHARACTERS,
    tokens: Tokens = TOKENS,
    known: Known = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """What outliers among the inputs of products cost, and what wider codes mend.

    Example: tritforge measure outliers models/tales
    """
    from tritforge.golden.studies.outliers import measure

    _compare("outliers", measure, folder, text, characters, tokens, known, record, as_json)


def repeated(
    folder: Model,
    text: Text = None,
    characters: Characters = CHARACTERS,
    tokens: Tokens = TOKENS,
    times: Annotated[
        list[int] | None, typer.Option(help="How often to store and load; repeatable. Default 1 2 3.", min=1)
    ] = None,
    known: Known = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """What storing ternary weights again and again does to them.

    Example: tritforge measure repeated models/tales --times 1 --times 10
    """
    from tritforge.golden.studies.repeated import TIMES, measure

    def chosen(checkpoint: Any, scored: str | None, count: int) -> list[dict[str, Any]]:
        return measure(checkpoint, scored, count, times or TIMES)

    _compare("repeated", chosen, folder, text, characters, tokens, known, record, as_json)


def rows(
    folder: Model,
    text: Text = None,
    characters: Characters = CHARACTERS,
    tokens: Tokens = TOKENS,
    known: Known = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """What embedding rows of fewer bits or larger groups cost.

    Example: tritforge measure rows models/tales
    """
    from tritforge.golden.studies.rows import measure

    _compare("rows", measure, folder, text, characters, tokens, known, record, as_json)


def size(
    shape: Annotated[str, typer.Argument(help=f"{SHAPES}.", metavar="SHAPE")],
    name: PresetName = DEFAULT_PRESET,
    as_json: Json = False,
) -> None:
    """Bytes of an image before there is a checkpoint to pack, for each way to store the embedding.

    Example: tritforge measure size 2.7B
    """
    from tritforge.host.measure.size import ways

    print_rows(ways(parse_shape(shape), chosen_core(name, None)), as_json)


def memory(
    shape: Annotated[str, typer.Argument(help=f"{', '.join(PUBLISHED)}.", metavar="SHAPE")],
    tokens: Annotated[int, typer.Option(help="How many to generate.", min=1)] = 4,
    bits: Annotated[int, typer.Option(help="Of an embedding value, 8 or 16.")] = 16,
    name: PresetName = "wide",
    simulate: Annotated[
        bool, typer.Option("--simulate", help="With the simulated core, a minute a token at 2.7B.")
    ] = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Memory that generating takes beside the image, of which no page is kept.

    A stand-in for the core reads every byte of every packet and answers at once; the limits of the core are the
    model's.

    Example: tritforge measure memory 2.7B
    """
    from tritforge.host.measure.memory import keep, measure

    if shape not in PUBLISHED:
        raise TritforgeError(f"There is no shape '{shape}'; choose from {', '.join(PUBLISHED)}.")
    config = PUBLISHED[shape]
    limits = [f"max_{key}={getattr(config, key)}" for key in ("hidden", "intermediate", "layers", "vocab")]
    params = chosen_core(name, limits)
    found = measure(config, params, bits, tokens, simulate, say)
    if record:
        keep(found, params, simulate)
    if as_json:
        print_json(found)
        return
    out.print(
        f"{shape}: {tokens} tokens from an image of {found['image'] / 1e6:.1f} MB, MB beside it", highlight=False
    )
    for when, values in found["MB"].items():
        out.print(f"{when}: " + ", ".join(f"{key} {value:.1f}" for key, value in values.items()), highlight=False)


def timeline(record: Record = False, as_json: Json = False) -> None:
    """When the units of a core work in a token's first layer, of the shipped model on the preset edge.

    Example: tritforge measure timeline --json
    """
    from tritforge.host.measure.timeline import keep, measure

    events = measure(say)
    if record:
        keep(events)
    if as_json:
        print_json([event._asdict() for event in events])
    else:
        end = max(event.start + event.cycles for event in events)
        out.print(f"{TALES.name}: {len(events)} events in {end:,} cycles; --json has them", highlight=False)


def ddr3(as_json: Json = False) -> None:
    """Share of a DDR3 memory's peak that the AXI4 reader gets through LiteDRAM, simulated; minutes.

    Needs the extra: pip install 'tritforge[ddr3]'.

    Example: tritforge measure ddr3 --json
    """
    from tritforge.host.measure.ddr3 import cases, row

    wanted, rows = cases(), []
    with progress("Reading 2 MB") as advance:
        for case in wanted:
            rows.append(row(case))
            advance(len(rows), len(wanted))
    print_rows(rows, as_json)


def _compare(
    kind: str,
    measure: Measured,
    folder: Path,
    text: Path | None,
    characters: int,
    tokens: int,
    known: str | None,
    record: bool,
    as_json: bool,
) -> None:
    """Measure variants of a model, print a line for each and keep them."""
    from tritforge.golden.checkpoints.reader import Checkpoint
    from tritforge.golden.train.corpus import read_text
    from tritforge.perf.measured.entries import on_model
    from tritforge.perf.measured.subject import text_digest

    name, checkpoint = _shown(kind, folder, known, record), Checkpoint(folder)
    scored = read_text(text)[:characters] if text else None
    with doing(f"Measuring {folder}"):
        found = measure(checkpoint, scored, tokens)
    if record:
        on = on_model(folder)
        if text and scored:
            on[f"text {text.name}"] = text_digest(scored)
        _record(name, {"characters": len(scored or ""), "tokens": tokens, "rows": found}, on)
    print_rows(found, as_json)


def _shown(kind: str, folder: Path, known: str | None, record: bool) -> str:
    """The name of a model's entry; TritforgeError, before any work, where it is to be kept and nothing shows it."""
    from tritforge.perf.measured import plan

    name = f"{kind} {known or folder.resolve().name}"
    if record:
        plan.wanted("studies", name)
    return name


def _record(name: str, data: Any, on: dict[str, str]) -> None:
    from tritforge.perf.measured import plan
    from tritforge.perf.measured.entries import SPECIFICATION, made, put
    from tritforge.perf.measured.subject import specification_digest

    one = plan.wanted("studies", name)
    on = {SPECIFICATION: specification_digest()} | on
    put(one.file, {one.name: made(one.command, data, on, ("torch", "numpy"))})
