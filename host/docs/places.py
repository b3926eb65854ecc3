# SPDX-License-Identifier: Apache-2.0
"""Every place of the documents that is made from data, and every picture: what it shows and what it is made of."""

from functools import partial

from tritforge.host.cli.cosim import demo_text
from tritforge.host.docs.documents import Place
from tritforge.host.measure import size
from tritforge.host.measure.timeline import timeline_picture
from tritforge.hw import register_map
from tritforge.hw.params import PRESETS
from tritforge.perf.measured import plan
from tritforge.perf.pages import codes
from tritforge.perf.pages import tables_bench as bench
from tritforge.perf.pages import tables_boards as boards
from tritforge.perf.pages import tables_cycles as cycles
from tritforge.perf.pages import tables_estimates as tables
from tritforge.perf.pages import tables_gateware as gateware
from tritforge.perf.pages import tables_power as power
from tritforge.perf.pages import tables_scaling as scaling
from tritforge.perf.pages import tables_studies as studies
from tritforge.perf.pages import tables_verification as verification
from tritforge.perf.pages.markdown import table
from tritforge.perf.pages.picture import comparison

ESTIMATED = (
    *plan.AREAS,
    *plan.FAMILIES,
    *plan.EDGE_CLOCKS,
    *plan.WIDE_CLOCKS,
    plan.GATES,
    *plan.SMALL_GATES.values(),
)
"""What estimates are made of."""
TARGETS = (
    *plan.EDGE_CLOCKS,
    *plan.WIDE_CLOCKS,
    plan.PRESETS[0],
    plan.area("edge", plan.ARRAY),
    plan.area("wide", plan.ARRAY),
)
SCALED = tuple(plan.SCALING.values())
FOUR_BYTES = (plan.area("edge", plan.ARRAY), plan.area("edge element_bytes=4", plan.ARRAY))
CLOCKS = {"edge": plan.EDGE_CLOCKS, "wide": plan.WIDE_CLOCKS}


def presets() -> str:
    """The presets, as they are defined."""
    sized = {
        "tiny": "tests",
        "edge": "370M: hidden 1024, intermediate 2816, 24 layers, vocabulary 32000",
        "wide": "1.3B: hidden 2048, intermediate 5632, 24 layers",
    }
    rows = [
        (f"`{name}`", str(params.lanes), str(params.element_bytes), str(params.rows * params.columns), sized[name])
        for name, params in PRESETS.items()
    ]
    head = ("preset", "lanes (bytes a beat)", "bytes of a row", "trits a cycle", "sized for")
    return table(head, (True, False, False, False, True), rows)


def picture(link: str, needs: tuple[plan.Measurement, ...], quiet: bool = True) -> Place:
    """A picture, with what is old of it below; when it was measured stands behind the table of the same."""
    return Place(lambda: f"{link}\n", needs, quiet)


PLACES: dict[str, Place] = {
    "presets": Place(presets),
    "demo": Place(demo_text, (plan.DEMO,)),
    "estimates": Place(tables.estimates, ESTIMATED),
    "same platforms": Place(tables.same_platforms, ESTIMATED),
    "gate level": Place(tables.gate_level, (plan.GATES, plan.PRESETS[0], *plan.SMALL_GATES.values()), quiet=True),
    "areas against a core": Place(tables.area_check, (*plan.AREAS, plan.CHECK)),
    "validation": Place(tables.validation),
    "codes": Place(codes.markdown, (*plan.CODES, *plan.EDGE_CLOCKS)),
    "structures": Place(gateware.structures, plan.STRUCTURES),
    "wider codes": Place(gateware.wider_codes, plan.WIDER_CODES),
    "targets": Place(gateware.targets, TARGETS),
    "code list": Place(gateware.code_list, plan.DECODERS),
    "code remarks": Place(gateware.code_remarks, plan.STRUCTURES, quiet=True),
    "LUT4s saved by four bytes": Place(gateware.four_bytes_saved, FOUR_BYTES),
    "LUT6s a trit": Place(gateware.six_inputs, (plan.area("edge", plan.ARRAY, plan.ULTRASCALE),)),
    "wider code remarks": Place(gateware.wider_remarks, plan.WIDER_CODES, quiet=True),
    "dependency": Place(cycles.dependency),
    "scalars": Place(cycles.scalars),
    "256 lanes stream 370M": Place(partial(cycles.occupancy, "256 lanes", "370M")),
    **{f"wide streams {model}": Place(partial(cycles.occupancy, "wide", model)) for model in ("370M", "1.3B")},
    **{f"four bytes, {model}": Place(partial(cycles.four_bytes, model)) for model in ("370M", "1.3B")},
    **{f"one row, {model}": Place(partial(cycles.one_row, model)) for model in ("370M", "1.3B")},
    "late memory": Place(tables.late_memory, (plan.BENCH["prefill"], *plan.EDGE_CLOCKS, *plan.WIDE_CLOCKS)),
    "over idle": Place(tables.over_idle),
    "scalings": Place(tables.scalings),
    "what fits a board": Place(boards.fits),
    "fewer limits": Place(boards.fewer),
    "at the port": Place(boards.at_port),
    "shares of the peak": Place(boards.shares),
    "families": Place(gateware.families, plan.FAMILIES),
    **{f"area of {one}": Place(partial(gateware.area_table, one), (plan.area(one),)) for one in PRESETS},
    **{f"MHz of {one}": Place(partial(gateware.mhz, one), needs) for one, needs in CLOCKS.items()},
    **{f"seeds of {one}": Place(partial(gateware.seeds, one), needs) for one, needs in CLOCKS.items()},
    **{f"occupied by {one}": Place(partial(gateware.occupied, one), needs) for one, needs in CLOCKS.items()},
    **{f"path of {one}": Place(partial(gateware.path, one), needs) for one, needs in CLOCKS.items()},
    **{f"path table of {one}": Place(partial(gateware.path_table, one), needs) for one, needs in CLOCKS.items()},
    **{f"bench {name}": Place(partial(bench.section, one), (one,)) for name, one in plan.BENCH.items()},
    **{f"units of {one.name}": Place(partial(verification.units, one), (one,)) for one in plan.MUTANTS},
    **{f"checks of {one.name}": Place(partial(verification.checks, one), (one,), quiet=True) for one in plan.MUTANTS},
    "soak": Place(partial(verification.soaked, plan.SOAK), (plan.SOAK,)),
    "fuzz": Place(partial(verification.fuzzed, plan.FUZZ), (plan.FUZZ,)),
    "kills": Place(partial(verification.kills, plan.KILLS), (plan.KILLS,)),
    "coverage": Place(partial(verification.covered, plan.COVERAGE), (plan.COVERAGE,)),
    "lines left": Place(partial(verification.lines_left, plan.COVERAGE), (plan.COVERAGE,), quiet=True),
    "power by unit": Place(power.units_table, (plan.GATES,)),
    "power of a token": Place(power.tokens_table, (plan.GATES,)),
    "power remarks": Place(power.remarks, (plan.GATES,), quiet=True),
    "power in libraries": Place(power.libraries, tuple(plan.SMALL_GATES.values())),
    "errors": Place(studies.errors, (plan.ERRORS,)),
    "fidelity": Place(studies.fidelity, tuple(plan.FIDELITY.values())),
    "score": Place(partial(studies.score, "integer"), (plan.SCORES["integer"],)),
    "score in float": Place(partial(studies.score, "float"), (plan.SCORES["float"],)),
    "scores": Place(studies.scores, tuple(plan.SCORES.values())),
    "outlier shares": Place(studies.outlier_shares, tuple(plan.OUTLIERS.values())),
    "outlier remarks": Place(studies.outlier_remarks, tuple(plan.OUTLIERS.values()), quiet=True),
    "outliers": Place(studies.outliers, tuple(plan.OUTLIERS.values())),
    "scale left": Place(studies.shrinks, (plan.REPEATED["tales"],)),
    "repeated": Place(studies.repeated, tuple(plan.REPEATED.values())),
    "rows": Place(studies.embedding_rows, tuple(plan.ROWS.values())),
    "sizes": Place(size.markdown),
    "body bits": Place(size.body_bits),
    "picture of estimates": picture("![estimates beside published systems](estimates.svg)", ESTIMATED),
    "picture for the README": picture("![estimates beside published systems](docs/estimates.svg)", ESTIMATED, False),
    "picture of a token": picture("![timeline](timeline.svg)", (plan.TIMELINE,), quiet=False),
    "picture of outliers": picture(
        "![logit error by how the inputs of products are coded](outliers.svg)", tuple(plan.OUTLIERS.values())
    ),
    "picture of scales": picture(
        "![the scale that is left, and the error](repeated.svg)", (plan.REPEATED["tales"], plan.REPEATED["B"])
    ),
    "picture of rows": picture("![error of rows and logits](embedding.svg)", (plan.ROWS["tales"], plan.ROWS["B"])),
    "speed of a ring": Place(
        partial(scaling.speeds, plan.SCALING["tales on edge"]), (plan.SCALING["tales on edge"],)
    ),
    "uses of a device": Place(scaling.uses, plan.USES),
    "area of the exchange": Place(scaling.exchange_area, (plan.area(plan.LINKED), plan.PRESETS[0])),
    "picture of scaling": picture("![efficiency and exchange of many cores](scaling.svg)", SCALED),
    "memory": Place(studies.memory, tuple(plan.MEMORY.values())),
    "width of a link": Place(scaling.widths),
    "many cores": Place(scaling.efficiencies),
    "longer links": Place(scaling.latencies),
    "one memory": Place(partial(scaling.shared, plan.SHARED), (plan.SHARED,)),
    **{f"scaling {name}": Place(partial(scaling.measured, one), (one,)) for name, one in plan.SCALING.items()},
}
"""By the name that stands in its mark."""
FILES: dict[str, Place] = {
    "docs/registers.md": Place(register_map.markdown),
    "docs/estimates.svg": Place(comparison, ESTIMATED),
    "docs/timeline.svg": Place(timeline_picture, (plan.TIMELINE,)),
    "docs/outliers.svg": Place(studies.outliers_picture, tuple(plan.OUTLIERS.values())),
    "docs/repeated.svg": Place(studies.repeated_picture, tuple(plan.REPEATED.values())),
    "docs/scaling.svg": Place(scaling.picture, SCALED),
    "docs/embedding.svg": Place(studies.embedding_picture, tuple(plan.ROWS.values())),
}
"""What is made as a whole, by its path."""
