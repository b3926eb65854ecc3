# SPDX-License-Identifier: Apache-2.0
"""Commands that run a model: text, logits, scores."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.golden.files import check_writable, replacing
from tritforge.host.cli.console import Advance, err, heed, out, print_json, progress
from tritforge.host.cli.options import (
    CoreMhz,
    Cores,
    Json,
    LinkLatency,
    MemoryName,
    ModelPath,
    PresetName,
    Record,
    Settings,
    chosen_memory,
    opened_model,
    read_ids,
)
from tritforge.host.run.backends import Arith, Backend, Ids, Output, check_ids, saturation_warnings
from tritforge.host.run.generate import CHUNK, Checked, Sampler, after, generate
from tritforge.host.run.models import CoreSession, Kind, Session
from tritforge.host.run.registers import Counters
from tritforge.host.run.story import Story
from tritforge.sim.memory_models import AttachedMemory

BackendKind = Annotated[
    Kind,
    typer.Option("--backend", help="The float32 reference, the integer model, the simulated core or a board."),
]
ArithKind = Annotated[
    Arith, typer.Option("--arith", help="Products of the integer model: addsub adds and subtracts, nothing else.")
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--outlier-threshold",
        help="Multiple of a vector's root mean square from which on codes extend beyond 8 bits, for cores with "
        "act_bits above 8; 0: never. Default 6.",
        metavar="T",
    ),
]
Stall = Annotated[float, typer.Option(help="Probability of random stalls on the core's streams.")]
Trace = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        help="Write the core's timeline of the last token, for Perfetto or chrome://tracing.",
        metavar="FILE.json",
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Compare every logit of the core with the integer model.")]
Port = Annotated[
    str | None,
    typer.Option("--port", help="Of the board: such as /dev/ttyUSB0, or sim:ulx3s-85f for a simulated one."),
]


def generate_text(
    path: ModelPath,
    prompt: Annotated[str, typer.Option(help="Text to go on from.", metavar="TEXT")],
    count: Annotated[int, typer.Option("--max-new-tokens", help="Most tokens to add.", min=1)] = 64,
    backend: BackendKind = Kind.INTEGER,
    arith: ArithKind = Arith.MATMUL,
    threshold: Threshold = None,
    check: Check = False,
    temperature: Annotated[float, typer.Option(help="0: always the most likely token.")] = 0.0,
    top_k: Annotated[int, typer.Option(help="Choose among so many; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the choices, the same with every backend.")] = 0,
    name: PresetName = None,
    settings: Settings = None,
    cores: Cores = None,
    link_latency: LinkLatency = None,
    stall: Stall = 0.0,
    memory: MemoryName = None,
    mhz: CoreMhz = None,
    trace: Trace = None,
    port: Port = None,
    as_json: Json = False,
) -> None:
    """Go on from a prompt, greedily unless a temperature is given.

    Example: tritforge generate models/tales --prompt "Once upon a time" --backend rtl --check
    """
    sampler = Sampler(temperature, top_k, seed)
    model, warnings = opened_model(path, name, settings, cores)
    ids = model.prompt(prompt)
    story = Story(model.codec, prompt, ids, None if as_json else out)
    attached = chosen_memory(memory, mhz, model)
    behind: dict[str, Any] = {}
    opened = model.session(backend, check, stall, trace, arith, threshold, attached, port, link_latency)
    with opened as session:
        with story:
            if isinstance(session, CoreSession):
                session.transport.progress = story.cycles
            for token in generate(session.backend, ids, count, sampler, story.read):
                story.add(token)
        counters, saturations = session.backend.counters(), session.backend.saturations()
        each = counters_of(session)
        compared = session.backend.compared if isinstance(session.backend, Checked) else None
        if attached and isinstance(session, CoreSession):
            behind = memory_json(attached, session, counters)
    warnings += heed(saturation_warnings(saturations))
    if as_json:
        print_json(
            {
                "backend": backend,
                "prompt": prompt,
                "prompt_tokens": ids,
                "text": story.text,
                "tokens": story.tokens,
                "checked": compared,
                "saturations": saturations,
                "warnings": warnings,
                **counters_json(counters, each),
                **({"memory": behind} if behind else {}),
            }
        )
    elif counters:
        exact = f", bit-exact {compared}/{compared}" if check else ""
        shared = f" on {counters.cores} cores" if counters.cores > 1 else ""
        waited = f", {counters.exchange / counters.cycles:.1%} of them for other cores" if shared else ""
        err.print(
            f"{counters.tokens} tokens{shared}{exact}, {int(counters.cycles_per_token):,} cycles per token{waited}, "
            f"weight-stream occupancy {counters.occupancy:.1%}",
            style="dim",
        )
        if behind:
            err.print(
                f"behind {behind['name']} at {behind['mhz']:g} MHz: {behind['tokens_per_second']:.4g} tokens/s, "
                f"{behind['gigabytes_per_second']:.4g} GB/s, {behind['share_of_peak']:.1%} of the memory's peak; "
                f"the core waited for it {behind['starved']:.1%} of the time, it for the core {behind['waited']:.1%}",
                style="dim",
            )


def logits(
    path: ModelPath,
    ids_path: Annotated[Path, typer.Option("--ids", help="Token ids, integers [T], as .npy.", metavar="FILE")],
    output: Annotated[Path, typer.Option("--out", help="The .npz to write.", metavar="FILE")],
    backend: BackendKind = Kind.INTEGER,
    arith: ArithKind = Arith.MATMUL,
    threshold: Threshold = None,
    name: PresetName = None,
    settings: Settings = None,
    cores: Cores = None,
    link_latency: LinkLatency = None,
    stall: Stall = 0.0,
    trace: Trace = None,
    as_json: Json = False,
) -> None:
    """Write the logits after each of a sequence of tokens, from a zero state.

    The file holds `logits` float32 [T, V] and the final `state` [L, d]; of integer and rtl also `raw` int32
    [T, V], `mantissa` and `shift` int64 [T], and `scale` float64 [T], with scale = mantissa * 2**-shift and
    logits = raw * scale.

    Example: tritforge logits models/tales --ids ids.npy --out logits.npz
    """
    model, warnings = opened_model(path, name, settings, cores)
    ids = read_ids(ids_path)
    check_ids(ids, model.config.vocab)
    check_writable(output)
    opened = model.session(
        backend, stall=stall, trace=trace, arith=arith, outlier_threshold=threshold, link_latency=link_latency
    )
    with opened as session:
        with progress(f"Running {len(ids)} tokens") as advance:
            outputs = run_all(session.backend, ids, advance)
        arrays = arrays_of(outputs) | {"state": session.backend.state()}
        counters, saturations = session.backend.counters(), session.backend.saturations()
        each = counters_of(session)
    warnings += heed(saturation_warnings(saturations))
    save_npz(output, arrays)
    if as_json:
        shapes = {key: {"dtype": str(a.dtype), "shape": a.shape} for key, a in arrays.items()}
        facts = {"backend": backend, "out": str(output), "arrays": shapes, "saturations": saturations}
        print_json(facts | {"warnings": warnings} | counters_json(counters, each))
    else:
        out.print(f"{output}: {', '.join(f'{key} {list(a.shape)}' for key, a in arrays.items())}")


def evaluate(
    path: ModelPath,
    text_path: Annotated[Path, typer.Option("--text", help="UTF-8, or .xz of it.", metavar="FILE")],
    backend: BackendKind = Kind.INTEGER,
    arith: ArithKind = Arith.MATMUL,
    threshold: Threshold = None,
    name: PresetName = None,
    settings: Settings = None,
    record: Record = False,
    as_json: Json = False,
) -> None:
    """Score a text: bits per character and perplexity, the whole of it as one stream.

    Example: tritforge eval models/tales --text my.txt --backend integer
    """
    from tritforge.golden.checkpoints.text import bits_per_character
    from tritforge.golden.train.corpus import read_text
    from tritforge.host.run.golden_backends import Scored

    if backend is Kind.RTL:
        raise TritforgeError("A whole text takes too long on a simulated core; choose --backend float or integer.")
    model, warnings = opened_model(path, name, settings)
    text, codec = read_text(text_path), model.codec
    opened = model.session(backend, arith=arith, outlier_threshold=threshold)
    with opened as session, progress(f"Scoring {text_path}") as advance:
        score = bits_per_character(Scored(session.backend), codec, text, CHUNK, advance)
        saturations = session.backend.saturations()
    warnings += heed(saturation_warnings(saturations))
    facts = {"backend": backend, **score._asdict()}
    if record:
        from tritforge.perf.measured.entries import SPECIFICATION, made, on_model, put
        from tritforge.perf.measured.plan import score as wanted
        from tritforge.perf.measured.subject import specification_digest, text_digest

        on = on_model(path) | {f"text {text_path.name}": text_digest(text), SPECIFICATION: specification_digest()}
        one = wanted(path.name, backend)
        put(one.file, {one.name: made(one.command, facts, on, ("torch",))})
    if as_json:
        print_json(facts | {"saturations": saturations, "warnings": warnings})
    else:
        out.print(
            f"{score.bits_per_character:.4f} bits per character, perplexity {score.perplexity:.3f} "
            f"({score.tokens:,} tokens, {score.characters:,} characters, {backend})",
            highlight=False,
        )


def counters_of(session: Session) -> list[Counters]:
    """Those of each simulated core."""
    return session.core.driver.core_counters() if isinstance(session, CoreSession) else []


def counters_json(counters: Counters | None, each: Sequence[Counters] = ()) -> dict[str, Any]:
    """The core's counters as part of a JSON object, or the sums of many and those of each; nothing where there is no
    core."""

    def told(one: Counters) -> dict[str, Any]:
        return asdict(one) | {"occupancy": one.occupancy}

    if not counters:
        return {}
    return {"counters": told(counters)} | ({"cores": [told(one) for one in each]} if len(each) > 1 else {})


def memory_json(memory: AttachedMemory, session: CoreSession, counters: Counters | None) -> dict[str, Any]:
    """What of the tokens' time is the memory's, as part of a JSON object."""
    cycles = session.transport.cycles
    seconds = cycles / (memory.mhz * 1e6)
    told = {}
    if counters:
        starved = counters.starved / counters.cores / cycles
        told = {"tokens_per_second": counters.tokens / seconds, "starved": starved}
    return {"name": memory.name, "mhz": memory.mhz, **asdict(session.transport.memory_use()), **told}


def run_all(backend: Backend, ids: Ids, advance: Advance) -> list[Output]:
    """Run a sequence from a zero state in chunks."""
    backend.reset()
    outputs = []
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        outputs.append(backend.run(part, True, after(advance, start, len(ids))))
        advance(start + len(part), len(ids))
    return outputs


def arrays_of(outputs: list[Output]) -> dict[str, NDArray[Any]]:
    """The arrays of the file that `logits` writes, but for the state."""
    arrays = {"logits": np.concatenate([o.logits for o in outputs])}
    exact = [o.exact for o in outputs if o.exact]
    if exact:
        arrays["raw"] = np.concatenate([e.raw for e in exact]).astype(np.int32)
        arrays["mantissa"] = np.concatenate([e.mantissa for e in exact])
        arrays["shift"] = np.concatenate([e.shift for e in exact])
        arrays["scale"] = np.concatenate([e.scale() for e in exact])
    return arrays


def save_npz(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays; raise as `golden.files.replacing` does."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
