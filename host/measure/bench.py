# SPDX-License-Identifier: Apache-2.0
"""Measurements of the whole: occupancy, simulation speed, prefill, packing, each figure with its kind."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from tritforge.golden import Failure
from tritforge.golden.arrays import BFLOAT16
from tritforge.golden.checkpoints.config import CONFIG, PUBLISHED
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.files import make_folder
from tritforge.golden.model.activations import activations
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image, Progress
from tritforge.host.image.stream import TokenStream
from tritforge.host.measure.figures import Figure, Section, at_least, at_most
from tritforge.host.measure.packing import packing
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.generate import difference
from tritforge.host.run.golden_backends import IntegerBackend
from tritforge.host.run.models import TALES, Model
from tritforge.host.run.registers import Counters
from tritforge.hw.packet import Context
from tritforge.hw.params import PRESETS, CoreParams
from tritforge.perf.figure import Tag
from tritforge.perf.measured.entries import on_model
from tritforge.rtl_gen.cache.folder import cache_folder
from tritforge.sim.memory_models import AttachedMemory
from tritforge.sim.simulator import SimTransport

Say = Callable[[str], None]
Bar = Callable[[str], AbstractContextManager[Progress | None]]
CLOCK_MHZ = 160
"""For projections: what the 64-lane core shall reach on a small FPGA."""
SATURATIONS = "saturations"
"""The figure of results that were too large for their integers."""
PROMPT = 16
"""Tokens of the prefill measurements."""


@dataclass(frozen=True)
class Case:
    """A model on a core, behind a memory that is never late or one that is modelled, and the least that is asked:
    weight-stream occupancy, and the share of the memory's peak (0: none)."""

    model: str
    params: CoreParams
    occupancy: float = 0.0
    memory: AttachedMemory | None = None
    of_peak: float = 0.0

    @property
    def title(self) -> str:
        """For a heading."""
        behind = f", {self.memory.name} at {self.memory.mhz:g} MHz" if self.memory else ""
        return f"{Path(self.model).name}, {self.params.lanes} lanes{behind}"


WIDE = PRESETS["wide"]
FULL_SIZE = (
    Case("370M", WIDE, 0.98),
    Case("370M", replace(WIDE, lanes=256, vector_rows=8), 0.97),
    Case("1.3B", WIDE, 0.99),
    Case("370M", replace(WIDE, lanes=128, vector_rows=4), 0.0, AttachedMemory("ddr4-2400x64", 150), 0.89),
)
SHIPPED = Case(str(TALES), PRESETS["edge"])
BATCHES, INTERVALS = (1, 2, 4, 8), (1, 4, 8)


def prefill_core(batch: int) -> CoreParams:
    """The core of 16 lanes, for so many contexts."""
    return replace(PRESETS["edge"], batch=batch)


class Bench:
    """Runs the measurements, and keeps random checkpoints and images (`rtl_gen.cache.folder`) for the next time.

    Parameters
    ----------
    say
        Told what begins.
    bar
        Opens a progress bar for what is counted.
    """

    def __init__(self, say: Say, bar: Bar) -> None:
        self._say, self._bar = say, bar

    def sections(self, full_size: bool = True, only: str = "") -> Iterator[Section]:
        """One section after the other; without ``full_size`` only those of the shipped model.

        Parameters
        ----------
        full_size
            With the published sizes.
        only
            Sections whose title begins with this.
        """
        for case in (SHIPPED, *(FULL_SIZE if full_size else ())):
            if case.title.startswith(only):
                figures, image = self.core(case), self._image(case)
                yield Section(case.title, figures, (case.params,), self._on(case.model), tuple(astuple(image.shape)))
        title = f"prefill of {PROMPT} tokens, {Path(SHIPPED.model).name}, 16 lanes"
        if title.startswith(only):
            cores = tuple(prefill_core(batch) for batch in BATCHES)
            yield Section(title, self.prefill(), cores, self._on(SHIPPED.model))
        title = "packing, 2.7B"
        if full_size and title.startswith(only):
            folder = self._checkpoint("2.7B")
            self._say("Packing 2.7B")
            yield Section(title, packing(folder, _folder() / "2.7B-packed.tfi"), on=self._on("2.7B"))

    def _on(self, model: str) -> tuple[tuple[str, str], ...]:
        """Digest of a model."""
        name = f"{model}, random, seed 0" if model in PUBLISHED else None
        return tuple(on_model(self._checkpoint(model), name).items())

    def core(self, case: Case) -> list[Figure]:
        """A token of a model on a core: cycles by cause, occupancy, exactness, and how fast that is simulated."""
        image, ids = self._image(case), np.array([1, 2])
        golden = IntegerBackend(DecodedImage(image), activations=activations(case.params.act_bits))
        self._say(f"{case.title}: integer model")
        golden.run(ids[:1])  # reads and keeps the weights
        golden.reset()
        started = time.perf_counter()
        expected = [golden.run(ids[at : at + 1]) for at in range(len(ids))]
        golden_seconds = (time.perf_counter() - started) / len(ids)
        simulated = SimTransport(case.params, self._say, memory=case.memory)
        with simulated as transport, self._bar(f"{case.title}: simulating") as bar:
            beats = image.body.size // case.params.lanes
            transport.progress = bar and (lambda _, done: bar(done, beats))
            backend = CoreBackend(transport, image)
            first = backend.run(ids[:1], logits=False)
            counters, seconds, rate = backend.counters(), transport.seconds, transport.cycles / transport.seconds
            behind = _behind(case, transport, counters)
            second = backend.run(ids[1:])
            wrong = difference(second, expected[1], 0)
            if not wrong and first.tokens[0] != expected[0].tokens[0]:
                wrong = "the first argmax"
            if not wrong and not np.array_equal(backend.state(), golden.state()):
                wrong = "the state"
            if wrong:
                raise Failure(f"{case.title} differs from the integer model: {wrong}.")
            saturations = backend.saturations()
            bare = transport.bare_rate(TokenStream(image).packet([Context(2)], 0), counters.cycles)
        share, projected = rate / bare, CLOCK_MHZ * 1e6 / counters.cycles
        targets, timed = case.occupancy > 0, case.model == "370M" and case.memory is None
        return [
            *_cycles(counters, case),
            Figure("simulated", seconds, "s a token", Tag.MEASURED, *at_most(seconds, 10, timed)),
            Figure("simulated cycles", rate, "a second", Tag.MEASURED),
            Figure("of a bare C++ loop's cycles", share, "", Tag.MEASURED, *at_least(share, 0.8, targets)),
            Figure("integer model", golden_seconds, "s a token", Tag.MEASURED, *at_most(golden_seconds, 2, timed)),
            Figure("tokens with logits and states bit-exact", len(ids), f"of {len(ids)}", Tag.MEASURED),
            Figure(SATURATIONS, saturations, f"in {len(ids)} tokens", Tag.MEASURED),
            *(behind or [Figure(f"at {CLOCK_MHZ} MHz, memory never late", projected, "tokens/s", Tag.PROJECTED)]),
        ]

    def prefill(self) -> list[Figure]:
        """Cycles a prompt token with one to eight contexts, where the memory delivers a beat every N cycles."""
        figures = []
        ids = np.arange(1, PROMPT + 1)
        for batch in BATCHES:
            params = prefill_core(batch)
            image = self._image(Case(SHIPPED.model, params))
            expected = IntegerBackend(DecodedImage(image)).run(ids)
            for interval in INTERVALS:
                self._say(f"Prefill with {batch} contexts, a beat every {interval} cycles")
                with SimTransport(params, self._say, interval=interval) as transport:
                    backend = CoreBackend(transport, image)
                    output = backend.run(ids, logits=False)
                    if not np.array_equal(output.tokens, expected.tokens):
                        raise Failure(f"Prefill with {batch} contexts differs from the integer model.")
                    cycles = backend.counters().cycles / PROMPT
                what = f"{batch} contexts, a beat every {interval} cycles" if interval > 1 else f"{batch} contexts"
                figures.append(Figure(what, cycles, "cycles a token", Tag.MEASURED))
        return figures

    def _checkpoint(self, name: str) -> Path:
        """The shipped model's folder, or that of a random checkpoint of a published shape."""
        if name not in PUBLISHED:
            return Path(name)
        folder = _folder() / name
        if not (folder / CONFIG).exists():
            with self._bar(f"Writing a random checkpoint, {name}") as bar:
                write_random_checkpoint(folder, PUBLISHED[name], 0, BFLOAT16, bar)
        return folder

    def _image(self, case: Case) -> Image:
        return Model(self._checkpoint(case.model), case.params, bar=self._bar).image()


def _folder() -> Path:
    folder = cache_folder() / "bench"
    make_folder(folder)
    return folder


def _cycles(counters: Counters, case: Case) -> list[Figure]:
    """The cycles of one token by cause, and the occupancy."""
    causes = ("beats", "starved", "drain", "dependency", "result")
    parts = [Figure(cause, getattr(counters, cause), "cycles", Tag.MEASURED) for cause in causes]
    targets = at_least(counters.occupancy, case.occupancy, case.occupancy > 0)
    return [
        Figure("cycles", counters.cycles, "a token", Tag.MEASURED),
        *parts,
        Figure("weight-stream occupancy", counters.occupancy, "beats a cycle", Tag.DERIVED, *targets),
    ]


def _behind(case: Case, transport: SimTransport, counters: Counters) -> list[Figure]:
    """What of a token's time is the modelled memory's, where there is one; everything counts, from the first request
    of a packet to its last result word."""
    if not case.memory:
        return []
    use, seconds = transport.memory_use(), transport.cycles / (case.memory.mhz * 1e6)
    asked = at_least(use.share_of_peak, case.of_peak, case.of_peak > 0)
    return [
        Figure("the core waits for the memory", counters.starved / transport.cycles, "of the time", Tag.DERIVED),
        Figure("the memory waits for the core", use.waited, "of the time", Tag.MEASURED),
        Figure("read", use.gigabytes_per_second, "GB/s", Tag.DERIVED),
        Figure("of the memory's peak", use.share_of_peak, "", Tag.DERIVED, *asked),
        Figure(f"at {case.memory.mhz:g} MHz", 1 / seconds, "tokens/s", Tag.PROJECTED),
    ]
