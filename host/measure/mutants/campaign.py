# SPDX-License-Identifier: Apache-2.0
"""A campaign of mutants: drawn, judged by the core's checks, and what they let through looked at more closely."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tritforge.golden import Failure
from tritforge.host.measure.mutants.oracle import Kill, Oracle
from tritforge.host.measure.mutants.results import Fate, Journal, Result, known, table
from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.tools.build import Status, say
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.sim.build_harness import build_harness
from tritforge.sim.mutate.benches import BENCHES, Verdict, benches_of, in_bench
from tritforge.sim.mutate.design import MOST, Design, allotment, design, drawn, mutated, parts, planted
from tritforge.sim.mutate.limited import limited_all
from tritforge.sim.mutate.mutants import Mutant
from tritforge.sim.mutate.prove import METHODS, SECONDS, proved
from tritforge.sim.mutate.units import unit_of, weights
from tritforge.sim.mutate.unused import is_unused, used

CONTROL = "m_axis_result_tdata"
"""An output of the core of which one bit, inverted, must be seen."""
PATIENCE = 300.0
"""Seconds for the checks of one mutant; the unmutated core takes a fiftieth."""

BENCHES_HERE = find_spec("tritforge.sim.benches") is not None
"""A wheel has none."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Campaign:
    """What is to be done.

    Attributes
    ----------
    params : of the core. count : mutants. seed : of their choice. unit : only of this unit or module; None for all.
    """

    params: CoreParams
    count: int
    seed: int = 1
    unit: str | None = None

    def settings(self) -> dict[str, Any]:
        """What decides its mutants."""
        return {"core": asdict(self.params), "count": self.count, "seed": self.seed, "unit": self.unit}

    def design(self, status: Status | None = None) -> Design:
        """The core at word level."""
        return design(cached_verilog(self.params, status), TOP, status)

    def mutants(self, of: Design, status: Status | None = None) -> list[Mutant]:
        """All of them."""
        return drawn(of, allotment(of, self.count, weights(of.own, self.unit)), self.seed, status)


def judge_all(
    campaign: Campaign,
    of: Design,
    mutants: Sequence[Mutant],
    journal: Journal,
    jobs: int,
    status: Status | None = None,
    progress: Progress | None = None,
    most: int = MOST,
) -> None:
    """Run the checks of the core on every mutant that has no result yet, with the controls in every model.

    Raises
    ------
    Failure
        If the unmutated core fails a check, or the planted mutant passes all.
    """
    with tempfile.TemporaryDirectory(prefix="tritforge-mutate-") as name:
        oracle = Oracle(campaign.params, Path(name))
        done = len([m for m in mutants if m.key in journal.known("core")])
        for part in parts(mutants, most):
            known = journal.known("core")
            left = {number: mutant for number, mutant in enumerate(part, 1) if mutant.key not in known}
            if not left:
                continue
            library = model(campaign, of, part, status)
            say(status, "Comparing the unmutated core with the golden model, and again with itself")
            oracle.learn(library)
            control = oracle.judge(library, len(part) + 1)
            if control is None:
                raise Failure(
                    "The mutant that is planted for control passes every check; the checks are worth nothing."
                )
            for number, kill, seconds in _judged(oracle, library, list(left), jobs):
                mutant = left[number]
                journal.add(_core_result(mutant, kill, seconds))
                done += 1
                if progress:
                    progress(done, len(mutants))


def model(campaign: Campaign, of: Design, part: Sequence[Mutant], status: Status | None = None) -> Path:
    """The compiled core with these mutants, and behind them the control."""
    verilog = mutated(of, [*part, planted(of, CONTROL)], status)
    params = campaign.params
    return build_harness([verilog], TOP, params.lanes, status=status, mutants=True, link_bytes=params.link_bytes)


def _core_result(mutant: Mutant, kill: Kill | str | None, seconds: float) -> Result:
    unit = unit_of(mutant.module).name
    if kill is None:
        return Result(mutant.key, unit, "core", Fate.OPEN, seconds=seconds)
    if isinstance(kill, str):
        return Result(mutant.key, unit, "core", Fate.TIMED_OUT, kill, seconds=seconds)
    return Result(mutant.key, unit, "core", Fate.KILLED, kill.check, kill.how, kill.what[:200], seconds)


def _judged(
    oracle: Oracle, library: Path, numbers: list[int], jobs: int
) -> Iterator[tuple[int, Kill | str | None, float]]:
    """Each in a process of its own, a few at a time: a mutant may end or hang the process that simulates it."""
    works = ((number, partial(oracle.judge, library, number)) for number in numbers)
    for number, outcome in limited_all(works, PATIENCE, jobs):
        kill: Kill | str | None = outcome.value
        if outcome.over:
            kill = f"no answer after {PATIENCE:.0f} seconds"
        elif outcome.error:
            kill = Kill("the simulation", "fails", outcome.error)
        yield number, kill, outcome.seconds


def look_closer(
    campaign: Campaign,
    of: Design,
    mutants: Sequence[Mutant],
    journal: Journal,
    benches: bool,
    jobs: int,
    status: Status | None,
) -> None:
    """Look for quick proofs of what the core's checks let through, run the rest in the benches of its unit, and look
    longer for proofs of what is left."""
    prove_unused(of, mutants, journal, status)
    prove(of, mutants, journal, "wires", jobs, status)
    if benches and not BENCHES_HERE:
        say(status, "The benches of units are in a checkout only, so survivors are not run in them")
    for bench in BENCHES if benches and BENCHES_HERE else ():
        stage = f"bench {bench.name}"
        wanted = [m for m in left_open(mutants, journal, stage) if bench in benches_of(m.module)]
        for verdict in in_bench(bench, campaign.params, wanted, jobs, status) if wanted else ():
            journal.add(bench_result(verdict, unit_of(verdict.mutant.module).name, stage))
    prove(of, mutants, journal, "outputs", jobs, status)


def bench_result(verdict: Verdict, unit: str, stage: str) -> Result:
    """A bench's verdict as a line of the results."""
    fate = Fate.BENCH if verdict.failed else Fate.TIMED_OUT if verdict.over else Fate.OPEN
    by = verdict.bench if fate is not Fate.OPEN else ""
    return Result(verdict.mutant.key, unit, stage, fate, by, "", verdict.failed, verdict.seconds)


def left_open(mutants: Sequence[Mutant], journal: Journal, stage: str) -> list[Mutant]:
    """Those that nothing has said anything of, and a stage not yet that it cannot."""
    looked = journal.known(stage)
    return [m for m in mutants if journal.last(m.key).fate is Fate.OPEN and m.key not in looked]


def prove_unused(of: Design, mutants: Sequence[Mutant], journal: Journal, status: Status | None) -> None:
    """Find those of what nothing looks at."""
    in_use = used(of, status)
    for mutant in left_open(mutants, journal, "unused"):
        where = "nothing looks at it" if is_unused(of, mutant, in_use) else ""
        fate, unit = Fate.PROVED if where else Fate.OPEN, journal.last(mutant.key).unit
        journal.add(Result(mutant.key, unit, "unused", fate, where))


def prove(
    of: Design, mutants: Sequence[Mutant], journal: Journal, name: str, jobs: int, status: Status | None
) -> None:
    """Look for proofs by one of `METHODS`."""
    left = left_open(mutants, journal, f"proof {name}")
    say(status, f"Looking for proofs of {len(left)} mutants by their {name}")
    works = ((mutant, partial(proved, of, mutant, METHODS[name], SECONDS)) for mutant in left)
    for mutant, proof in limited_all(works, PATIENCE, jobs):
        fate, unit = Fate.PROVED if proof.value else Fate.OPEN, journal.last(mutant.key).unit
        journal.add(Result(mutant.key, unit, f"proof {name}", fate, proof.value or "", seconds=proof.seconds))


@dataclass(frozen=True)
class Report:
    """What a campaign found.

    Attributes
    ----------
    settings : what it was of. units : see `table`. killers : mutants by the check or bench that killed them.
    left : what was killed by nothing, and why. compared : values that the checks compare of the unmutated core.
    wrong : what the list of the known says of mutants that were killed.
    """

    settings: dict[str, Any]
    units: list[dict[str, Any]]
    killers: dict[str, int]
    left: list[Result]
    wrong: list[str]

    def told(self) -> dict[str, Any]:
        """As a JSON object; of what is left only what documents name."""
        told = asdict(self)
        told["left"] = [
            {"key": r.key, "unit": r.unit, "fate": r.fate.value, "by": r.by, "seconds": r.seconds} for r in self.left
        ]
        return told


def run(
    campaign: Campaign,
    folder: Path,
    resume: bool = False,
    benches: bool = True,
    jobs: int = 1,
    status: Status | None = None,
    progress: Progress | None = None,
) -> Report:
    """A whole campaign; its results are kept in a folder as they come.

    Raises
    ------
    TritforgeError
        For a folder of another campaign, or a unit that the core has not.
    Failure
        If a control fails.
    """
    journal = Journal(folder, campaign.settings(), resume)
    of = campaign.design(status)
    mutants = campaign.mutants(of, status)
    judge_all(campaign, of, mutants, journal, jobs, status, progress)
    look_closer(campaign, of, mutants, journal, benches, jobs, status)
    return report(campaign.settings(), mutants, journal, asdict(campaign.params))


def report(settings: dict[str, Any], mutants: Sequence[Mutant], journal: Journal, where: dict[str, Any]) -> Report:
    """What the journal says of mutants, and what is known of them with these parameters."""
    results, wrong = [], []
    for mutant in mutants:
        result, argued = journal.last(mutant.key), known(mutant, where)
        if argued and result.fate is Fate.OPEN:
            result = replace(result, fate=argued[0], by=argued[1])
        elif argued and result.fate in (Fate.KILLED, Fate.BENCH):
            wrong.append(f"{mutant.key} is {argued[0]} ({argued[1]}), but {result.by} kills it")
        results.append(result)
    killers = Counter(r.by for r in results if r.fate in (Fate.KILLED, Fate.BENCH))
    left = [result for result in results if result.fate not in (Fate.KILLED, Fate.BENCH)]
    return Report(settings, table(results), dict(killers.most_common()), left, wrong)
