# SPDX-License-Identifier: Apache-2.0
"""The benches of a core's units, run over mutants of the unit."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

from amaranth.lib import wiring

from tritforge.golden import Failure, TritforgeError
from tritforge.golden.files import write_text
from tritforge.hw.params import CoreParams
from tritforge.rtl_gen.tools.build import Status, say
from tritforge.rtl_gen.verilog.emit import emit_verilog
from tritforge.sim.cocotb_run import run_cocotb
from tritforge.sim.mutate.design import SELECT, SELECT_BITS, Design, design, mutated, parts, planted
from tritforge.sim.mutate.limited import Outcome, limited, limited_all
from tritforge.sim.mutate.mutants import Mutant

BENCHES_IN = "tritforge.sim.benches"
LONGEST = 900.0
"""Seconds for a bench of the unmutated unit, its build with it; one that takes longer is not of use here."""
TIMES = 10
"""As long as that may a mutant take, and a minute more."""
_TOOLS = ("-Wno-fatal", "-Wno-lint", "-Wno-style")
_ATTRIBUTES = ("latency", "maximum_latency", "power_latency", "settled", "until_empty", "until_buffered", "words")
"""Of a unit of the vector path, which its bench is told."""


@dataclass(frozen=True)
class Bench:
    """A bench of `sim.benches` and the unit that it is of.

    Attributes
    ----------
    name : of ``tb_NAME``, with the test behind a colon where it has several units'.
    unit : module and class of the unit. module : the unit's short name in a core.
    inside : short names of what it is there to test, as a regular expression.
    told : parameters of the bench, from the core's and the unit.
    """

    name: str
    unit: tuple[str, str]
    module: str
    inside: str
    told: Callable[[CoreParams, Any], dict[str, Any]] = field(default=lambda params, _: {"core": asdict(params)})

    def component(self, params: CoreParams) -> wiring.Component:
        """The unit of a core."""
        made: wiring.Component = getattr(import_module(f"tritforge.{self.unit[0]}"), self.unit[1])(params)
        return made


def _vector(params: CoreParams, unit: Any) -> dict[str, Any]:
    """What the benches of the vector path are told: latencies too."""
    told: dict[str, Any] = {"core": asdict(params)}
    for name in _ATTRIBUTES:
        value = getattr(unit, name, None)
        told[name] = {op.name: cycles for op, cycles in value.items()} if isinstance(value, dict) else value
    return told


def _side(params: CoreParams, unit: Any) -> dict[str, Any]:
    from tritforge.hw.stream import side

    sizes = {"depth": side.depth(params), "units": side.units(params), "limit": side.release_limit(params)}
    return {"core": asdict(params), "latency": unit.latency, **sizes}


def _units(params: CoreParams, unit: Any) -> dict[str, Any]:
    return {"core": asdict(params), "latency": unit.latencies}


_ARITHMETIC = r"(rescale|activation|normaliser|reciprocal_root|quotient|square_root|chords|multiplier)\w*"
BENCHES = (
    Bench("units", ("sim.benches.units", "Arithmetic"), "", _ARITHMETIC, _units),
    Bench(
        "array",
        ("hw.array.array", "TernaryArray"),
        "ternary_array",
        r"ternary_array|element\w*|accumulator\w*|cond.*",
    ),
    Bench("header", ("hw.stream.header_reader", "HeaderReader"), "header_reader", r"header_reader"),
    Bench("front", ("hw.stream.front", "StreamFront"), "stream_front", r"stream_front|beat_decision|walker|position"),
    Bench("side", ("hw.stream.side", "SideWords"), "side_words", r"side_words", _side),
    Bench("sequencer", ("hw.control.sequencer", "Sequencer"), "sequencer", r"sequencer|rows|position"),
    Bench("registers", ("hw.control.registers", "Registers"), "registers", r"registers|axi_lite_slave"),
    Bench("result", ("hw.control.result", "ResultUnit"), "result_unit", r"result_unit\w*"),
    Bench("quantiser", ("hw.codes.quantiser", "Quantiser"), "quantiser", r"quantiser|multiplier_multiplier\w*"),
    Bench(
        "store",
        ("hw.codes.store", "VectorStore"),
        "vector_store",
        r"vector_store|quantiser|ram\w*|\w*bank\w*|mult\w*",
    ),
    Bench("scales", ("hw.scales.scales", "ScaleUnit"), "scale_unit", r"scale_unit|" + _ARITHMETIC),
    Bench(
        "vector:statistics", ("hw.vector.statistics", "Statistics"), "statistics", r"statistics|squarer\w*", _vector
    ),
    Bench("vector:recurrence", ("hw.vector.recurrence", "Recurrence"), "recurrence", r"recurrence|mult\w*", _vector),
    Bench("gain", ("hw.vector.gain", "GainStage"), "gain_stage", r"gain\w*|normaliser|statistics|mult\w*", _vector),
    Bench(
        "path", ("hw.vector.path", "VectorPath"), "vector_path", r"vector\w*|local_copy\w*|gain\w*|ram\w*|.*", _vector
    ),
)
"""Those of smaller units first; a mutant goes from one to the next until it is killed."""


@dataclass(frozen=True)
class Verdict:
    """What a bench says of a mutant; ``failed`` is how, empty where it passes or did not end (``over``)."""

    mutant: Mutant
    bench: str
    failed: str
    over: bool
    seconds: float


def benches_of(module: str) -> list[Bench]:
    """The benches in which a module is, by its short name, without that of the whole path where there are others."""
    found = [bench for bench in BENCHES if re.fullmatch(bench.inside, module)]
    return found[:-1] if len(found) > 1 and found[-1].name == "path" else found


def in_bench(
    bench: Bench, params: CoreParams, mutants: Sequence[Mutant], jobs: int = 1, status: Status | None = None
) -> Iterator[Verdict]:
    """Run a bench over those mutants that its unit has.

    It is first run on the unmutated unit, which must pass, and on a planted mutant, which must not: else it says
    nothing.
    """
    name = bench.name.partition(":")[0]
    unit = bench.component(params)
    with tempfile.TemporaryDirectory(prefix="tritforge-unit-") as place:
        of = design(emit_verilog(unit, f"unit_{name}", place), f"unit_{name}")
        there = {mutant: found for mutant in mutants if (found := _there(of, bench, mutant))}
        control = inverted_output(of)
        if there and control:
            say(status, f"Running the bench of {bench.name} on {len(there)} mutants of its unit")
            testcase = bench.name.partition(":")[2] or None
            trial = Trial(of, bench.name, f"{BENCHES_IN}.tb_{name}", bench.told(params, unit), control, testcase)
            if problem := trial.problem():
                say(status, f"The bench of {bench.name} cannot judge at these parameters ({problem})")
                return
            for part in parts(list(there)):
                yield from trial.verdicts([(mutant, there[mutant]) for mutant in part], jobs, status)


@dataclass(frozen=True)
class Trial:
    """A bench and the unit that it judges mutants of.

    Attributes
    ----------
    of : the unit as cells. name : of the bench, for people. control : a mutant that it must find.
    module, told, testcase : see `sim.cocotb_run.run_cocotb`.
    """

    of: Design
    name: str
    module: str
    told: dict[str, Any]
    control: Mutant
    testcase: str | None = None

    def runner(self, mutants: Sequence[Mutant]) -> "Runner":
        """With the control behind them."""
        return Runner(self.of, [*mutants, self.control], self.module, self.told, self.testcase)

    def problem(self, mutants: Sequence[Mutant] = ()) -> str:
        """Why the bench can say nothing of a model with these mutants in it."""
        run = self.runner(mutants)
        plain = run(0, LONGEST)
        if plain.error or plain.over:
            return f"the unmutated unit: {_reason(plain) or 'no end'}"
        seen = run(len(mutants) + 1, LONGEST)
        return "" if seen.error else "it passes with an inverted output"

    def verdicts(self, pairs: Sequence[tuple[Mutant, Mutant]], jobs: int, status: Status | None) -> Iterator[Verdict]:
        """Of mutants, each with itself in this unit. Where they cannot all be in one model, in two."""
        mutants = [inside for _, inside in pairs]
        if problem := self.problem(mutants):
            # a bench that sets a register cannot where a mutant has divided it
            if len(pairs) == 1:
                say(status, f"The bench of {self.name} cannot judge {pairs[0][0].key[:100]} ({problem})")
            for half in (pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]) if len(pairs) > 1 else ():
                yield from self.verdicts(half, jobs, status)
            return
        run = self.runner(mutants)
        limit = TIMES * run(0, LONGEST).seconds + 60  # now without its build
        works = [(mutant, run.work(number)) for number, (mutant, _) in enumerate(pairs, 1)]
        for mutant, outcome in limited_all(works, limit, jobs):
            yield Verdict(mutant, self.name, _reason(outcome), outcome.over, outcome.seconds)


class Runner:
    """Runs a cocotb module on mutants of a design, all in one build; called with a mutant's number and a limit.

    Parameters
    ----------
    of, mutants : number 1 and on. module, told, testcase : see `sim.cocotb_run.run_cocotb`.
    """

    def __init__(
        self, of: Design, mutants: Sequence[Mutant], module: str, told: dict[str, Any], testcase: str | None = None
    ) -> None:
        verilog = mutated(of, mutants)
        chosen = verilog.with_name("chosen.v")
        write_text(chosen, _chosen_by_argument(of.top, verilog.read_text()))
        self._run = partial(run_cocotb, [chosen], of.top, module, told, testcase=testcase, build_args=_TOOLS)

    def __call__(self, number: int, seconds: float) -> Outcome[list[str]]:
        """The tests that passed, or how they failed; 0 is the unmutated design."""
        return limited(self.work(number), seconds)

    def work(self, number: int) -> Callable[[], list[str]]:
        """The same, to be called in a process of its own; the first test that fails ends it."""

        def bench() -> list[str]:
            os.environ["COCOTB_MAX_FAILURES"] = "1"
            return self._run(plusargs=[f"+{SELECT}={number}"])

        return bench


def _reason(outcome: Outcome[list[str]]) -> str:
    return "" if outcome.over else outcome.error.splitlines()[0][:200] if outcome.error else ""


def _there(of: Design, bench: Bench, mutant: Mutant) -> Mutant | None:
    """The mutant in the unit's own netlist, whose top has the name of the bench."""
    found: Mutant | None = of.found(mutant, "" if mutant.module == bench.module else mutant.module)
    return found


def inverted_output(of: Design) -> Mutant | None:
    """The first output of a design that is no constant, inverted; None where all are."""
    for name, port in of.modules[of.top]["ports"].items():
        if port["direction"] == "output":
            with suppress(TritforgeError):
                return planted(of, name)
    return None


def _chosen_by_argument(top: str, verilog: str) -> str:
    """The input of the top that chooses a mutant becomes a register that an argument of the simulation sets."""
    size = f"[{SELECT_BITS - 1}:0] {SELECT};\n"
    found = re.search(rf"^module {top}\(.*?^endmodule$", verilog, re.M | re.S)
    module = found[0] if found else ""
    declared = f"  input {size}  wire {size}"
    if f", {SELECT})" not in module or declared not in module:
        raise Failure(f"{top} has no input {SELECT} as Yosys writes it.")
    register = f'  reg {size}  initial if (!$value$plusargs("{SELECT}=%d", {SELECT})) {SELECT} = 0;\n'
    chosen = module.replace(f", {SELECT})", ")", 1).replace(declared, register)
    return verilog.replace(module, chosen)
