# SPDX-License-Identifier: Apache-2.0
"""Feeds every reader with what nobody would write, guided by the lines that it reaches, so many times each.

What a reader stumbles over is printed and kept in the folder. ``make fuzz`` calls it; it needs atheris.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

RESIDENT_MB, SECONDS = 1500, 60
"""Of a process at most: what a file claims to hold takes no memory; and of one run."""
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")
_COVERED = re.compile(r"cov: (\d+)")


def one(name: str, options: Sequence[str]) -> None:
    """Fuzz a target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["tritforge", "gguf"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.draw import Draw

    with tempfile.TemporaryDirectory() as folder:
        run = TARGETS[name](Path(folder))
        atheris.Setup([sys.argv[0], *options], lambda data: run(Draw(data)))
        atheris.Fuzz()


def fuzz(name: str, runs: int, seed: int, folder: Path) -> dict[str, Any]:
    """Fuzz a target in a process of its own, and what came of it; ``fault`` is what it said, if it ended too soon."""
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [f"-rss_limit_mb={RESIDENT_MB}", f"-timeout={SECONDS}", "-max_len=400", "-print_final_stats=1"]
    asked = [str(corpus), f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={corpus}-", *limits]
    command = [sys.executable, "-m", "tests.fuzz", "--one", name, "--", *asked]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    ended = _DONE.search(done.stdout)
    covered = _COVERED.findall(done.stdout)
    return {
        "reader": name,
        "runs": int(ended[1]) if ended else 0,
        "seconds": int(ended[2]) if ended else 0,
        "branches": int(covered[-1]) if covered else 0,
        "fault": "" if ended and not done.returncode else done.stdout[-6000:],
    }


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="READER", help="all if none is named")
    parser.add_argument("--runs", type=int, default=1_000_000, help="of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("build", "fuzz"), help="for what was found to reach more")
    parser.add_argument("--record", action="store_true", help="keep what was run for the documents")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        one(chosen.one, chosen.names)
        return 0
    from tests.fuzz.targets import TARGETS

    names = chosen.names or list(TARGETS)
    if unknown := sorted(set(names) - set(TARGETS)):
        parser.error(f"there is no reader {unknown[0]}; choose from {', '.join(TARGETS)}")
    found = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for told in pool.map(partial(fuzz, runs=chosen.runs, seed=chosen.seed, folder=chosen.out.resolve()), names):
            found.append(told)
            print("{reader}: {runs:,} runs in {seconds:,} s, {branches:,} branches".format(**told), flush=True)
            if told["fault"]:
                print(told["fault"], file=sys.stderr, flush=True)
    if chosen.record and not any(told["fault"] for told in found):
        _record(found, chosen.seed)
    return int(any(told["fault"] for told in found))


def _record(found: list[dict[str, Any]], seed: int) -> None:
    from tritforge.perf.measured.entries import made, put
    from tritforge.perf.measured.plan import FUZZ
    from tritforge.perf.measured.subject import machine

    rows = [{key: value for key, value in told.items() if key != "fault"} for told in found]
    data, tools = {"seed": seed, "rows": rows}, ("atheris", "gguf", "safetensors", "tokenizers")
    put(FUZZ.file, {FUZZ.name: made(FUZZ.command, data, {}, tools, machine())})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
