# SPDX-License-Identifier: Apache-2.0
"""Draws cores and models together, their limits included, for as long as one likes; every bit is compared.

A core of any geometry, code, widths and limits, alone or in a ring, runs models of any shape that it takes: random
texts, then packets of several contexts where it has batch. Logits, scales, tokens and states equal the golden integer
model's. What fails is made as simple as it can be and printed. ``results.jsonl`` in the folder has a line for each
core. ``make soak`` calls it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.soak.compare import is_exact
from tests.soak.draw import Trial, trials
from tritforge.hw.params import CoreParams, preset
from tritforge.perf.measured.entries import made, on_verilog, put
from tritforge.perf.measured.plan import SOAK
from tritforge.perf.measured.subject import machine
from tritforge.rtl_gen.cache.folder import VARIABLE
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

ROUND = 100
"""Trials that a seed draws; hypothesis repeats itself, and a core that was there already is passed over."""


@dataclass
class Found:
    """Of one seed: a line for each trial, and what failed, as simple as it was made."""

    seed: int
    lines: list[dict[str, Any]]
    failure: str = ""


def drawn(number: int, until: float, trials_drawn: int = ROUND) -> Found:
    """As many trials as one seed draws, or fewer when the time is over."""
    found = Found(number, [])
    seen: set[CoreParams] = set()

    @seed(number)
    @settings(
        max_examples=trials_drawn,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(trials())
    def every_bit_is_equal(trial: Trial) -> None:
        if not found.failure and (time.monotonic() > until or trial.params in seen):
            return
        seen.add(trial.params)
        try:
            tokens, cycles = is_exact(trial)
        except BaseException:
            found.failure = repr(trial)
            raise
        found.lines.append({"seed": number, **told(trial), "tokens": tokens, "cycles": cycles})

    try:
        every_bit_is_equal()
    except Exception:
        found.failure = f"{traceback.format_exc()}\n{found.failure}"
    return found


def told(trial: Trial) -> dict[str, Any]:
    """A trial in a line."""
    return {
        "core": asdict(trial.params),
        "cores": trial.cores,
        "models": [asdict(text.config) for text in trial.texts],
    }


def summary(lines: Sequence[dict[str, Any]]) -> dict[str, int]:
    """What was compared."""
    return {
        "cores": len({json.dumps(line["core"]) for line in lines}),
        "rings": len({json.dumps([line["core"], line["cores"]]) for line in lines if line["cores"] > 1}),
        "models": sum(len(line["models"]) for line in lines),
        "tokens": sum(line["tokens"] for line in lines),
        "cycles": sum(line["cycles"] for line in lines),
    }


def soak(first: int, minutes: float, jobs: int, cache: Path) -> Iterator[Found]:
    """Seeds from the first on, until the time is over."""
    until, number = time.monotonic() + 60 * minutes, first
    # builds of so many cores go where they are deleted
    with ProcessPoolExecutor(jobs, initializer=os.environ.update, initargs=({VARIABLE: str(cache)},)) as pool:
        running = set()
        while running or time.monotonic() < until:
            while len(running) < jobs and time.monotonic() < until:
                running.add(pool.submit(drawn, number, until))
                number += 1
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1, help="the first of those that are used")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("build", "soak"))
    parser.add_argument("--record", action="store_true", help="keep what was compared for the documents")
    chosen = parser.parse_args(arguments)
    lines: list[dict[str, Any]] = []
    seeds = 0
    chosen.out.mkdir(parents=True, exist_ok=True)
    print(f"Drawing cores for {chosen.minutes:g} minutes; a line for each seed, of {ROUND // 4} or so.", flush=True)
    with (
        tempfile.TemporaryDirectory(dir=chosen.out) as cache,
        (chosen.out / "results.jsonl").open("w") as results,
    ):
        for found in soak(chosen.seed, chosen.minutes, chosen.jobs, Path(cache).resolve()):
            if found.failure:
                print(f"seed {found.seed}:\n{found.failure}", file=sys.stderr)
                return 1
            lines += found.lines
            seeds += 1
            results.writelines(json.dumps(line) + "\n" for line in found.lines)
            results.flush()
            print(", ".join(f"{number:,} {what}" for what, number in summary(lines).items()), flush=True)
    if chosen.record:
        facts = summary(lines) | {"first_seed": chosen.seed, "seeds": seeds, "minutes": chosen.minutes}
        on = on_verilog("tiny", cached_verilog(preset("tiny")), TOP)
        put(SOAK.file, {SOAK.name: made(SOAK.command, facts, on, ("hypothesis", "verilator"), machine())})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
