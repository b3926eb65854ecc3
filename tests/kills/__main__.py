# SPDX-License-Identifier: Apache-2.0
"""Kills commands that write something at random moments, hundreds of times, and looks at what is there."""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.kills.kill import VICTIMS, killed, prepared
from tritforge.perf.measured.entries import made, put
from tritforge.perf.measured.plan import KILLS
from tritforge.perf.measured.subject import machine

SHARES = (0.3, 0.3, 0.3, 0.05, 0.05)
"""Of the kills; the last two commands take seconds."""


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="keep what was done for the documents")
    chosen = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = prepared(Path(name))
        for victim, share in zip(VICTIMS, SHARES, strict=True):
            count = round(chosen.count * share)
            ended = killed(victim, folder, count, random.Random(chosen.seed))
            rows.append({"command": victim.name, "kills": count, "running": ended})
            print(f"{victim.name}: {count} kills, {ended} of them while it ran; nothing half is left.", flush=True)
    if chosen.record:
        put(KILLS.file, {KILLS.name: made(KILLS.command, {"seed": chosen.seed, "rows": rows}, {}, (), machine())})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
