# SPDX-License-Identifier: Apache-2.0
"""Every measurement that documents and estimates are made of, and the command that makes it."""

from dataclasses import dataclass
from pathlib import Path

from tritforge.golden import TritforgeError
from tritforge.perf.measured.entries import Entry, entries, entry
from tritforge.perf.measured.subject import options

ECP5, ULTRASCALE, CYCLONE = "ecp5-85k", "ultrascale+", "cyclonev"
ARRAY = "ternary_array"
QUICK = ("tiny", "edge")
"""Cores that are synthesised in minutes."""
SEEDS = {"edge": 7, "wide": 7}
"""Placements of the cores whose clock is told."""


@dataclass(frozen=True)
class Measurement:
    """An entry that is wanted.

    Attributes
    ----------
    file, name
        Where (`perf.measured.entries`).
    command
        How to make it.
    long
        Whether it takes so long that it may be of an earlier core, if the page says so.
    """

    file: str
    name: str
    command: str
    long: bool = False

    @property
    def there(self) -> bool:
        """Whether it was measured."""
        return self.name in entries(self.file)

    @property
    def entry(self) -> Entry:
        """What was measured; MissingError if it was not."""
        return entry(self.file, self.name)


def subject(core: str, unit: str = "") -> str:
    """A core or one of its units, in the names of entries."""
    return f"{core}: {unit}" if unit else core


def area_name(core: str, unit: str = "", device: str = ECP5) -> str:
    """Of an entry of areas.json."""
    return f"{subject(core, unit)} on {device}"


def clock_name(core: str, unit: str, seed: int) -> str:
    """Of an entry of clocks.json."""
    return f"{subject(core, unit)} seed {seed}"


def area(core: str, unit: str = "", device: str = ECP5) -> Measurement:
    """Cells of a core, unit by unit, or of one unit."""
    more = (f" --unit {unit}" if unit else "") + (f" --device {device}" if device != ECP5 else "")
    command = f"tritforge synth {options(core)}{more} --record"
    return Measurement("areas", area_name(core, unit, device), command, not unit and core not in QUICK)


def clocks(core: str, unit: str = "", seeds: int = 0) -> tuple[Measurement, ...]:
    """Place and route with so many seeds; 0: as many as `SEEDS` says."""
    seeds = seeds or SEEDS[core]
    more = f" --unit {unit}" if unit else ""
    command = f"tritforge synth {options(core)}{more} --pnr --seeds {seeds} --record"
    return tuple(Measurement("clocks", clock_name(core, unit, seed), command, True) for seed in range(1, seeds + 1))


PRESETS = tuple(area(core) for core in ("edge", "wide", "tiny"))
FAMILIES = tuple(area("tiny", device=device) for device in (ULTRASCALE, CYCLONE))
POINTS = (
    area("edge vector_rows=4", "vector_path"),
    area("edge vector_rows=4", "vector_store"),
    area("edge batch=4", "vector_path"),
    area("edge batch=4", "vector_store"),
    area("edge batch=4", ARRAY),
    area("edge element_bytes=1", ARRAY),
    area("edge element_bytes=4", ARRAY),
)
"""Single units that the scaling of areas is made of, beside all units of the presets."""
CHECK = area("edge lanes=32 vector_rows=2")
"""A core of which nothing is a point."""
AREAS = (*PRESETS, *POINTS)
EDGE_CLOCKS, WIDE_CLOCKS = clocks("edge"), clocks("wide")

ARRAYS = ("edge", "edge code=two_bit", "edge code=positional", "edge element_bytes=1", "edge element_bytes=4")
"""Cores whose arrays docs/codes.md compares."""
ROUTED_ARRAYS = ARRAYS[:3]
DECODER = "trit_decoder"
DECODERS = tuple(area(core, DECODER) for core in ROUTED_ARRAYS)
CODES = tuple(part for core in ROUTED_ARRAYS for part in (area(core, ARRAY), *clocks(core, ARRAY, 1)))
STRUCTURES = (
    *CODES,
    *(area(core, ARRAY) for core in ARRAYS[3:]),
    *(area(core, ARRAY, ULTRASCALE) for core in ARRAYS),
    area("wide", ARRAY),
)
ACT_BITS = ("edge", "edge act_bits=10", "edge act_bits=12")
WIDER_CODES = (
    *(part for core in ACT_BITS for part in (area(core), area(core, ARRAY), *clocks(core, ARRAY, 1))),
    EDGE_CLOCKS[0],
    *(part for core in ACT_BITS[1:] for part in clocks(core, seeds=1)),
)
BENCH = {
    "tales": Measurement("bench", "tales, 16 lanes", "tritforge bench --only tales --record"),
    "370M": Measurement("bench", "370M, 64 lanes", "tritforge bench --only '370M, 64' --record", True),
    "370M on 256 lanes": Measurement("bench", "370M, 256 lanes", "tritforge bench --only '370M, 256' --record", True),
    "370M behind DDR4": Measurement(
        "bench", "370M, 128 lanes, ddr4-2400x64 at 150 MHz", "tritforge bench --only '370M, 128' --record", True
    ),
    "1.3B": Measurement("bench", "1.3B, 64 lanes", "tritforge bench --only 1.3B --record", True),
    "prefill": Measurement(
        "bench", "prefill of 16 tokens, tales, 16 lanes", "tritforge bench --only prefill --record"
    ),
    "packing": Measurement("bench", "packing, 2.7B", "tritforge bench --only packing --record", True),
}
DEMO = Measurement("demo", "tales on edge", "tritforge demo --record")
TIMELINE = Measurement("timeline", "tales on edge", "tritforge measure timeline --record")


def mutants(core: str, count: int, seed: int, benches: bool = True, unit: str | None = None) -> Measurement:
    """A campaign of mutants of a core, or of one unit of it."""
    of, without = f"of {unit} " if unit else "", "" if benches else " without benches"
    more = (f" --unit {unit!r}" if unit else "") + ("" if benches else " --no-benches")
    command = f"tritforge mutate {options(core)} --count {count} --seed {seed}{more} --record"
    return Measurement("mutants", f"{core}, {count} mutants {of}of seed {seed}{without}", command, True)


def mutants_around(of: str, count: int, seed: int) -> Measurement:
    """A campaign of mutants of the units around a core."""
    command = f"python -m tests.mutants {of} --count {count} --seed {seed} --record"
    return Measurement("mutants", f"{of}, {count} mutants of seed {seed}", command, True)


def coverage(core: str) -> Measurement:
    """What the checks and benches of a core reach."""
    return Measurement("campaigns", f"coverage of {core}", f"tritforge coverage {options(core)} --record", True)


SOAK = Measurement("campaigns", "any cores and models", "make soak MINUTES=6 RECORD=--record", True)
FUZZ = Measurement("campaigns", "readers", "make fuzz RUNS=10000 RECORD=--record", True)
KILLS = Measurement("campaigns", "commands", "python -m tests.kills --record", True)
COVERAGE = coverage("tiny")
MUTANTS = (
    mutants("tiny", 1000, 1),
    mutants("tiny link_bytes=6", 500, 1, unit="link"),
    mutants_around("reader", 500, 1),
)

LIBERTY = "osu018_stdcells"
"""The library of which the constants of an ASIC are made; `OTHERS` are compared with it."""
OTHERS = {"sky130hd_tt": "SkyWater's sky130 hd", "sg13g2_stdcell_typ_1p20V_25C": "IHP's sg13g2"}
_SMALL = Path("build", "random64")


def power(model: Path, core: str, library: str) -> Measurement:
    """Power of a core at the gates while it runs a token of a model."""
    more = " --random-ids 8" if model == _SMALL else ""
    more += "" if library == LIBERTY else f" --liberty {library}.lib"
    command = f"tritforge power {model} {options(core)}{more} --record"
    return Measurement("power", f"{model.name} on {core} in {library}", command, True)


GATES = power(Path("models", "tales"), "edge", LIBERTY)
SMALL_GATES = {library: power(_SMALL, "tiny", library) for library in (LIBERTY, *OTHERS)}
"""Of a random model: tritforge random-checkpoint --shape 64,2,160,256 -o build/random64."""

MODELS = {"A": "FOLDER --as A", "B": "FOLDER --as B", "tales": "models/tales --text VAL"}
"""How ``tritforge measure`` is told of them."""


def study(kind: str, model: str, more: str = "", long: bool = True) -> Measurement:
    """A comparison of a model with its variants."""
    given = MODELS.get(model, f"FOLDER --as {model}")
    return Measurement("studies", f"{kind} {model}", f"tritforge measure {kind} {given}{more} --record", long)


def score(model: str, backend: str) -> Measurement:
    """A model's bits per character on a text."""
    command = f"tritforge eval models/{model} --text VAL --backend {backend} --record"
    return Measurement("studies", f"eval {model} {backend}", command, True)


OUTLIERS = {model: study("outliers", model) for model in MODELS} | {"370M": study("outliers", "370M", " --tokens 32")}
REPEATED = {model: study("repeated", model) for model in MODELS}
ROWS = {model: study("rows", model) for model in MODELS}
FIDELITY = {model: study("fidelity", model) for model in ("A", "B")}
ERRORS = Measurement("studies", "errors", "tritforge measure errors --record")
SCORES = {backend: score("tales", backend) for backend in ("float", "integer")}


TWO, LINKED, WIDER = "edge link_bytes=6 x 2", "edge link_bytes=6", "edge lanes=32 vector_rows=2"
"""Two cores in a ring on one device, one of them, and one core that takes as many trits."""
USES = (
    *(area(TWO), *clocks(TWO, seeds=1)),
    *(area(LINKED), *clocks(LINKED, seeds=1)),
    *(area(WIDER), *clocks(WIDER, seeds=1)),
    *(PRESETS[0], *EDGE_CLOCKS),
)


def scaled_name(model: str, core: str, cores: str, latency: str = "0", memory: float | None = None) -> str:
    """Of an entry of scaling.json."""
    links = f", links of {latency}" if latency != "0" else ""
    return f"{model} on {cores} {core}{links}" + (f", a memory of {memory:g}" if memory is not None else "")


def scaled(
    model: str, core: str, cores: str, latency: str = "0", memory: float | None = None, long: bool = True
) -> Measurement:
    """A token of a model on several numbers of cores."""
    more = f" --link-latency {latency}" if latency != "0" else ""
    more += f" --shared-memory {memory:g}" if memory is not None else ""
    command = f"tritforge scaling {model} {options(core)} --cores {cores}{more} --record"
    return Measurement("scaling", scaled_name(Path(model).name, core, cores, latency, memory), command, long)


SCALING = {
    "tales on edge": scaled("models/tales", "edge", "1,2,4,8", long=False),
    "370M on edge": scaled("370M", "edge", "1,2,4,8"),
    "370M on wide": scaled("370M", "wide", "1,2,4,8"),
    "370M on wide vector_rows=4": scaled("370M", "wide vector_rows=4", "1,2,4,8"),
    "1.3B on wide": scaled("1.3B", "wide", "1,2,4,8"),
    "longer links": scaled("370M", "edge", "2,4", "0,7,50,100,500"),
}
SHARED = scaled("370M", "edge", "2,4,8", memory=32)
"""One memory behind all cores."""
MEMORY = {
    kind: Measurement("memory", f"2.7B, {kind}", f"tritforge measure memory 2.7B{more} --record", True)
    for kind, more in (("stand-in", ""), ("simulated", " --simulate --tokens 1"))
}


def every() -> list[Measurement]:
    """All of them, each once, the quick ones first."""
    groups = (
        [DEMO, TIMELINE, BENCH["tales"], BENCH["prefill"], ERRORS],
        FIDELITY.values(),
        ROWS.values(),
        REPEATED.values(),
        OUTLIERS.values(),
        SCORES.values(),
        AREAS,
        FAMILIES,
        [CHECK],
        STRUCTURES,
        DECODERS,
        EDGE_CLOCKS,
        WIDE_CLOCKS,
        WIDER_CODES,
        [GATES, *SMALL_GATES.values()],
        BENCH.values(),
        SCALING.values(),
        [SHARED],
        USES,
        MEMORY.values(),
    )
    return list(dict.fromkeys(one for group in groups for one in group))


def wanted(file: str, name: str) -> Measurement:
    """The measurement of a name; TritforgeError where no document or estimate is made of it."""
    for one in every():
        if (one.file, one.name) == (file, name):
            return one
    raise TritforgeError(f"No document shows '{name}'; leave --record out.")
