# SPDX-License-Identifier: Apache-2.0
"""What cores in a ring must do, from the cheapest check to the dearest; see `host.measure.mutants.checks`."""

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.host.image.stream import TokenStream
from tritforge.host.measure.malformed import Packet, bad_headers, spoilt, with_header
from tritforge.host.measure.mutants import cases as gc
from tritforge.host.measure.mutants.access import read, write
from tritforge.host.measure.mutants.cases import Case, Cases
from tritforge.host.measure.mutants.text import compare_text
from tritforge.host.measure.mutants.witness import Witness
from tritforge.host.run.ring import RingDriver
from tritforge.hw.link.message import message_bytes
from tritforge.hw.packet import Context, parse_result
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import register, registers_of
from tritforge.hw.schedule import MAX_CORES, Status
from tritforge.sim.mutate.ring import MutantRings
from tritforge.sim.ring.feed import WIRES, Links
from tritforge.sim.ring.simulator import SimRing

COURSES = {
    "a register": (Links(1), (0.3,)),
    "stalling": (Links(7, 0.3), (0.4,)),
    "serial, unequal": (Links(100, 0.1), (0.0, 0.6, 0.2)),
}
"""Links, and stalls of each core's streams."""
SLOW = 0.03
"""Messages a cycle over a link that is so slow that they wait wherever they can."""
SPOILT = 60


class RingChecks:
    """The checks of cores with links.

    Parameters
    ----------
    params : of the cores. folder : for models, which are made once.
    """

    def __init__(self, params: CoreParams, folder: Path) -> None:
        self._params, self._cases = params, Cases(params, folder)

    def all(self) -> Iterator[tuple[str, Callable[[MutantRings, Witness], None]]]:
        """All of them, in order."""
        yield "registers after reset", self._registers
        yield "first tokens", self._first
        yield "bad packets", self._spoilt
        yield "aborts", self._aborts
        yield "resets", self._resets
        yield "courses", self._courses
        yield "ties", self._ties
        yield "loudness", self._loudness
        if self._params.batch > 1:
            yield "contexts", self._contexts
        if self._params.extra_bits:
            yield "outliers", self._outliers
        yield "sizes of rings", self._sizes
        yield "limits", self._limits

    # --- what checks are made of -------------------------------------------------------------------------------

    def _case(
        self,
        cores: int,
        config: ModelConfig = gc.ODD,
        name: str = "odd",
        tokens: int = 3,
        change: Callable[[gc.Tensors], gc.Tensors] | None = None,
        threshold: float | None = None,
    ) -> Case:
        """Of a model of which each core has rows."""
        least = cores * self._params.vector_rows
        rows = {part: max(getattr(config, part), least) for part in ("hidden", "intermediate", "vocab")}
        of = f"{name.partition(':')[0]} on {cores}:{name.partition(':')[2]}"
        return self._cases.case(of, replace(config, **rows), tokens, change, threshold, cores)

    def _run(self, ring: SimRing, see: Witness, case: Case, label: str) -> None:
        """Every token of a case from a zero state: logits, scales, tokens, cycles, counters, the state."""
        driver = RingDriver(ring, case.image, case.threshold)
        compare_text(driver, ring, see, case, label)
        for core, c in enumerate(driver.core_counters()):
            parts = c.beats + c.repeats + c.starved + c.drain + c.dependency + c.result + c.exchange
            see.golden(f"{label}: sum of the counters of core {core}", parts, c.cycles)
            see.same(f"{label}: counters of core {core}", list(asdict(c).values()))
            for name in ("ERRORS", "STATUS", "LINK"):
                see.same(f"{label}: {name} of core {core}", read(ring.cores[core], register(name).offset))

    def _packets(self, case: Case, at: int = 0, sequence: int = 7) -> list[Packet]:
        """A packet for each core, of the token of this number of a case."""
        made = TokenStream(case.image).packets([Context(int(case.ids[at]), 0, not at, logits=True)], sequence)
        return [np.concatenate([np.asarray(part).reshape(-1) for part in packet]) for packet in made]

    def _good(self, ring: SimRing, see: Witness, case: Case) -> None:
        """Good packets are answered as the golden model does."""
        results = [parse_result(words) for words in ring.exchange_all([[one] for one in self._packets(case)])]
        see.golden("statuses of good packets", [one.status for one in results], [Status.OK] * len(results))
        logits = np.concatenate([one.logits for one in results])
        see.golden("logits after them", logits, case.said.raw[0])
        see.golden("token after them", {one.tokens for one in results}, {(int(case.said.tokens[0]),)})

    def _answers(self, ring: SimRing, see: Witness, name: str, packets: list[Packet]) -> None:
        """All answer, and as the unmutated cores do; their errors are cleared."""
        answers = ring.exchange_all([[np.ascontiguousarray(one)] for one in packets])
        for number, (core, words) in enumerate(zip(ring.cores, answers, strict=True)):
            see.same(f"{name}: answer of core {number}", words)
            see.same(f"{name}: ERRORS of core {number}", core.read_register(register("ERRORS").offset))
            core.write_register(register("ERRORS").offset, 0xFFFFFFFF)

    # --- the checks --------------------------------------------------------------------------------------------

    def _registers(self, rings: MutantRings, see: Witness) -> None:
        ring = rings.ring(2)
        for entry in registers_of(self._params):
            for number, core in enumerate(ring.cores):
                see.same(f"{entry.name} of core {number}", read(core, entry.offset))
        self._hello(ring, see)

    def _hello(self, ring: SimRing, see: Witness) -> None:
        """Each greets the next, which knows it and from where; not where the link is cut."""
        control, link = register("CONTROL"), register("LINK").offset
        for core in ring.cores:
            see.same("write of HELLO", write(core, control.offset, control.field("HELLO").mask))
        ring.ring.idle(50 * len(ring.cores))
        see.same("LINK after the hello", [read(core, link) for core in ring.cores])

    def _first(self, rings: MutantRings, see: Witness) -> None:
        self._run(rings.ring(2), see, self._case(2), "two")
        self._run(rings.ring(3), see, self._case(3), "three")
        cut = rings.ring(3)
        cut.ring.cut(2)
        self._hello(cut, see)

    def _spoilt(self, rings: MutantRings, see: Witness) -> None:
        """Headers that are refused, of one and of all; too short and too long; of one another."""
        case, chance = self._case(3, gc.SHORT, "short"), random.Random(5)
        good, other = self._packets(case), self._packets(case, 1)
        for links in (WIRES, Links(7, 0.2)):
            ring = rings.ring(3, links)
            self._good(ring, see, case)
            for name, (word, value, _) in bad_headers(self._params, case.image.shape.vocab).items():
                core = chance.randrange(3)
                bad = [with_header(one, word, value) if at == core else one for at, one in enumerate(good)]
                self._answers(ring, see, f"{name} at core {core}", bad)
            self._good(ring, see, case)
            self._answers(ring, see, "junk", [np.full(self._params.lanes, at, np.uint8) for at in range(3)])
            self._answers(ring, see, "packets of one another", [*good[1:], good[0]])
            self._answers(ring, see, "another token", [good[0], other[1], good[2]])
            self._good(ring, see, case)
            for count in range(SPOILT):
                core, data = chance.randrange(3), list(good)
                data[core] = spoilt(data[core], self._params.lanes, chance)
                self._answers(ring, see, f"spoilt packet {count} to core {core}", data)
                if count % 10 == 0:
                    self._good(ring, see, case)

    def _aborts(self, rings: MutantRings, see: Witness) -> None:
        """The token runs for some cycles, one core is told to end it, and the packets end as they would have."""
        case, control = self._case(3, gc.SHORT, "short"), register("CONTROL")
        for links in (WIRES, Links(7, 0.2)):
            ring = rings.ring(3, links)
            for core in range(3):
                for after in (1, 20, 150, 300, 500, 700):
                    ring.ring.begin(ring.feeds([[one] for one in self._packets(case)]), capacity=1 << 12)
                    see.same("cores not done before an abort", ring.ring.run(max_cycles=after))
                    write(ring.cores[core], control.offset, control.field("ABORT").mask)
                    see.golden("cores not done after it", ring.ring.run(), [])
                    for number, done in enumerate(ring.ring.end()):
                        see.same(f"answer of core {number} when {core} is aborted after {after}", done.words)
                    self._good(ring, see, case)

    def _resets(self, rings: MutantRings, see: Witness) -> None:
        """In the middle of tokens: afterwards all is as after the first one."""
        case, ring, chance = self._case(3, gc.SHORT, "short"), rings.ring(3, Links(3)), random.Random(2)
        for _ in range(12):
            ring.ring.begin(ring.feeds([[one] for one in self._packets(case)]), capacity=1 << 12)
            ring.ring.run(max_cycles=chance.randrange(1, 900))
            ring.ring.reset()
            see.same("LINK after a reset", [read(core, register("LINK").offset) for core in ring.cores])
            self._good(ring, see, case)
        self._run(ring, see, self._case(3), "after a reset")

    def _courses(self, rings: MutantRings, see: Witness) -> None:
        beats = -(-message_bytes(self._params) // self._params.link_bytes)
        slow = Links(7, 1 - min(0.5, SLOW * beats))
        for name, (links, stalls) in (COURSES | {"slow": (slow, (0.0,))}).items():
            for cores in (2, 3):
                self._run(rings.ring(cores, links, stalls), see, self._case(cores), f"{name}, {cores}")

    def _ties(self, rings: MutantRings, see: Witness) -> None:
        """All logits are equal, the lowest of all cores is the token; or they hardly differ, or all are negative."""
        heads = {"tied": gc.tied, "nearly tied": gc.nearly_tied, "the other way": gc.opposite}
        for name, change in heads.items():
            for cores in (2, 3):
                case = self._case(cores, gc.WHOLE, name, 2, change)
                self._run(rings.ring(cores), see, case, f"{name}, {cores}")
        for seed in range(6):
            self._run(rings.ring(3), see, self._case(3, gc.LEAST, f"least {seed}", 2), f"least {seed}")

    def _loudness(self, rings: MutantRings, see: Witness) -> None:
        """Sums of squares and maxima that are large and small of their kind."""
        for part, factor in (("proj.norm", 60.0), ("proj.norm", 1e-3), ("embeddings", 1e-3), ("embeddings", 1e5)):
            name = f"{part} times {factor:g}"
            case = self._case(3, gc.WHOLE, name, change=gc.louder(part, factor))
            self._run(rings.ring(3), see, case, name)

    def _contexts(self, rings: MutantRings, see: Witness) -> None:
        """As many tokens of one sequence at once as the core takes."""
        self._run(rings.ring(3), see, self._case(3, tokens=3 * self._params.batch), "contexts")

    def _outliers(self, rings: MutantRings, see: Witness) -> None:
        for threshold in (0.0, 1.0, 2.5):
            name = f"odd:outliers from {threshold}"
            self._run(rings.ring(3), see, self._case(3, name=name, tokens=2, threshold=threshold), name)

    def _sizes(self, rings: MutantRings, see: Witness) -> None:
        """One, four, and the most there can be, as far as each has rows of the core's largest model."""
        limits = self._params.limits
        most = min(limits[part] for part in ("hidden", "intermediate", "vocab")) // self._params.vector_rows
        for cores in sorted({1, min(4, most), min(MAX_CORES, most)}):
            links = Links(2, 0.1) if cores == 4 else WIRES
            self._run(rings.ring(cores, links), see, self._case(cores, tokens=2), f"{cores} cores")

    def _limits(self, rings: MutantRings, see: Witness) -> None:
        for name, config in gc.at_limits(self._params).items():
            self._run(rings.ring(2), see, self._case(2, config, name, 2), name)
