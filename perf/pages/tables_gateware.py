# SPDX-License-Identifier: Apache-2.0
"""What documents say of synthesis, place and route: areas, clocks, codes, made of perf/measured."""

from collections.abc import Iterable, Mapping
from typing import Any

from tritforge.hw.params import PRESETS
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import entries
from tritforge.perf.measured.subject import core_of
from tritforge.perf.pages.markdown import table

Cells = Mapping[str, int]
COLUMNS = ("logic", "lut", "carry", "ff", "block_ram", "lut_ram", "dsp", "inner_ff")
CODE_NAMES = {"nested": "nested", "two_bit": "two bit", "positional": "positional"}


def cells(core: str, unit: str = "", device: str = plan.ECP5) -> Cells:
    """All cells of a core or unit."""
    total: Cells = plan.area(core, unit, device).entry.data["total"]
    return total


def units(core: str) -> dict[str, Cells]:
    """Cells of each unit of a core, of all copies."""
    found = plan.area(core).entry.data["units"]
    return {
        name: {kind: unit["number"] * unit[kind] for kind in COLUMNS} | {"number": unit["number"]}
        for name, unit in found.items()
    }


def routes(core: str, unit: str = "") -> list[Mapping[str, Any]]:
    """Every placement of a core that was measured, the fastest first."""
    begin = f"{plan.subject(core, unit)} seed "
    found = [one.data for name, one in entries("clocks").items() if name.startswith(begin)]
    return sorted(found, key=lambda route: -route["fmax"])


def mhz(core: str, unit: str = "") -> str:
    """The fastest."""
    return f"{routes(core, unit)[0]['fmax']:.1f}"


def seeds(core: str) -> str:
    """Every placement in words."""
    found = routes(core)
    return ", ".join(f"{route['fmax']:.1f} MHz (seed {route['seed']})" for route in found)


def occupied(core: str) -> str:
    """Tables of the fastest placement."""
    return f"{routes(core)[0]['logic']:,}"


def area_table(core: str) -> str:
    """A preset unit by unit."""
    head = ("unit", "LUT4s", "LUT", "carry", "FF", "BRAM", "LUTRAM", "DSP", "inner FF")
    rows = [(name, *_counts(unit)) for name, unit in units(core).items()]
    rows.append(("**sum**", *_counts(cells(core))))
    return table(head, [True] + [False] * len(COLUMNS), rows)


def families() -> str:
    """The preset tiny on other families."""
    rows = []
    for name, device in (("UltraScale+", plan.ULTRASCALE), ("Cyclone V", plan.CYCLONE)):
        rows.append((name, *_counts(cells("tiny", device=device))[:-1]))
    head = ("family", "LUT6s", "LUT", "carry", "FF", "BRAM", "LUTRAM", "DSP")
    return table(head, [True] + [False] * 7, rows)


def path_table(core: str) -> str:
    """The critical path of the fastest placement."""
    rows = [
        (hop["signal"], hop["source"], f"{hop['logic']:.2f}", f"{hop['routing']:.2f}")
        for hop in routes(core)[0]["path"]
    ]
    return table(("signal", "made in", "logic ns", "routing ns"), (True, True, False, False), rows)


def path(core: str) -> str:
    """How long the critical path of the fastest placement is, and what ends it."""
    route = routes(core)[0]
    return f"{1000 / route['fmax']:.2f} ns, to `{route['endpoint']}`"


def targets() -> str:
    """What was aimed at, and what came out."""
    edge, wide = routes("edge")[0]["fmax"], routes("wide")[0]["fmax"]
    tried = {core: len(routes(core)) for core in ("edge", "wide")}
    rows = [
        ("edge, LUT4s", f"{cells('edge')['logic']:,}", *_most(cells("edge")["logic"], 12000)),
        (f"edge, MHz (best of {tried['edge']} seeds)", f"{edge:.1f}", *_least(edge, 180)),
        (f"wide, MHz (best of {tried['wide']} seeds)", f"{wide:.1f}", *_least(wide, 160)),
    ]
    for core in ("edge", "wide"):
        trit = _per_trit(core)
        rows.append((f"array of {core}, LUT4s a trit a cycle", f"{trit:.2f}", *_most(trit, 17.5)))
    return table(("", "figure", "kind", "target"), (True, False, True, True), rows)


def structures() -> str:
    """The array alone, with each code and number of bytes an element."""
    rows = []
    for core in (*plan.ARRAYS, "wide"):
        given = core_of(core)
        trits, logic = given.rows * given.columns, cells(core, plan.ARRAY)["logic"]
        six = f"{cells(core, plan.ARRAY, plan.ULTRASCALE)['logic'] / trits:.2f}" if core in plan.ARRAYS else ""
        clock = mhz(core, plan.ARRAY) if core in plan.ROUTED_ARRAYS else ""
        name = CODE_NAMES[given.code] + (f", `--preset {core}`" if core in PRESETS and core != "edge" else "")
        rows.append((name, str(given.element_bytes), str(trits), f"{logic:,}", f"{logic / trits:.2f}", six, clock))
    head = ("code", "bytes an element", "trits a cycle", "LUT4s", "LUT4s a trit", "LUT6s a trit", "MHz, seed 1")
    return table(head, [True] + [False] * 6, rows)


def code_list() -> str:
    """The codes themselves."""
    rows = []
    for core in plan.ROUTED_ARRAYS:
        code = core_of(core).trit_code
        more = {
            "nested": " (default)",
            "positional": ", lowest power of three first",
            "two_bit": ", 0 zero, 1 plus, 2 minus",
        }
        zero = code.encode([0] * code.trits)
        decoder = cells(core, plan.DECODER)["logic"]
        row = (f"`{code.name}`{more[code.name]}", str(code.number), str(code.trits), f"{8 / code.trits:g}")
        rows.append((*row, f"`{zero:02X}`", str(decoder)))
    head = ("code", "number", "trits a byte", "bits a trit", "a byte of zeros", "decoder, LUT4s")
    return table(head, (True, False, False, False, True, False), rows)


def code_remarks() -> str:
    """What the tables of codes say."""
    per_trit = {core: _per_trit(core) for core in plan.ARRAYS}
    nested, two_bit, positional, one, four = (per_trit[core] for core in plan.ARRAYS)
    return (
        f"* A fifth fewer bytes cost {nested - two_bit:.1f} LUT4s a trit: nested against two bit. Where the memory "
        "is the limit, that is a quarter more tokens a second.\n"
        f"* Two bytes an element rather than one halve the accumulators and their drain: {one - nested:.1f} LUT4s a "
        f"trit less, and four bytes another {nested - four:.1f}.\n"
        f"* The positional code takes {positional - nested:.1f} LUT4s a trit more, all of it decoder, and its "
        "subtractions one after another set the clock: it is here to run streams that are packed that way, not to be "
        "fast.\n"
    )


def four_bytes_saved() -> str:
    """LUT4s a trit that four bytes an element save against two."""
    return f"{_per_trit('edge') - _per_trit('edge element_bytes=4'):.1f}"


def six_inputs() -> str:
    """LUT6s a trit of the array with two bytes an element."""
    params = core_of("edge")
    return f"{cells('edge', plan.ARRAY, plan.ULTRASCALE)['logic'] / (params.rows * params.columns):.1f}"


def wider_remarks() -> str:
    """Where the logic for wider codes is."""
    edge, ten = units("edge"), units("edge act_bits=10")
    arrays = [cells(core, plan.ARRAY)["logic"] for core in plan.ACT_BITS]
    params = core_of("edge")
    bit = (arrays[2] - arrays[0]) / (core_of(plan.ACT_BITS[2]).act_bits - params.act_bits)
    more = {unit: ten[unit]["logic"] - edge[unit]["logic"] for unit in ("scale_unit", "vector_path")}
    ends = " and ".join(
        f"`{plan.clocks(name, seeds=1)[0].entry.data['endpoint']}` with {core_of(name).act_bits} bits"
        for name in plan.ACT_BITS[1:]
    )
    multipliers = sum(unit["dsp"] for unit in ten.values()) - sum(unit["dsp"] for unit in edge.values())
    return (
        f"In the array a bit takes {bit:.0f} LUT4s, {bit / (params.rows * params.columns):.2f} a trit of a beat. "
        f"What is constant is the choice of s: {more['scale_unit']} LUT4s in the scale unit and "
        f"{more['vector_path']} in the vector path, with {multipliers} multipliers, at 10 bits. "
        f"The critical path of the core ends at {ends} (`hw/scales/widening.py` compares logarithms, with fewer "
        "registers than the rest has).\n"
    )


def wider_codes() -> str:
    """What activation codes of more bits take, of the preset edge."""
    rows = []
    base = {unit: cells("edge", unit)["logic"] for unit in (plan.ARRAY, "")}
    for core in plan.ACT_BITS:
        array, whole = cells(core, plan.ARRAY), cells(core)
        clock, (first,) = mhz(core, plan.ARRAY), [route for route in routes(core) if route["seed"] == 1]

        def grown(logic: int, unit: str) -> str:
            more = logic / base[unit] - 1
            return f"{logic:,}" + (f" ({more:+.0%})" if more else "")

        rows.append(
            (
                str(core_of(core).act_bits),
                grown(array["logic"], plan.ARRAY),
                f"{array['ff']:,}",
                clock,
                grown(whole["logic"], ""),
                str(whole["dsp"]),
                str(whole["block_ram"]),
                f"{first['fmax']:.1f}",
            )
        )
    head = ["act_bits", "LUT4s of the array", "flip-flops", "MHz, seed 1", "LUT4s of the core", "multipliers"]
    head += ["block RAMs", "MHz of the core, seed 1"]
    return table(head, [False] * len(head), rows)


def _per_trit(core: str) -> float:
    given = core_of(core)
    return cells(core, plan.ARRAY)["logic"] / (given.rows * given.columns)


def _counts(unit: Cells) -> list[str]:
    return [f"{unit[kind]:,}" for kind in COLUMNS]


def _most(value: float, most: float) -> Iterable[str]:
    return "measured", f"at most {most:,g}: {'met' if value <= most else 'missed'}"


def _least(value: float, least: float) -> Iterable[str]:
    return "measured", f"at least {least:,g}: {'met' if value >= least else 'missed'}"
