# SPDX-License-Identifier: Apache-2.0
"""What documents say of estimates."""

from collections.abc import Iterable
from dataclasses import replace

from tritforge.hw.params import preset
from tritforge.hw.schedule import Shape
from tritforge.perf.estimates import area, survey
from tritforge.perf.estimates.estimate import estimate
from tritforge.perf.estimates.gate_level import again
from tritforge.perf.estimates.gate_level import gates as gate_level_of
from tritforge.perf.estimates.platform import platform
from tritforge.perf.estimates.technology import SOURCES, technology
from tritforge.perf.estimates.validation import checks
from tritforge.perf.figure import Figure, number
from tritforge.perf.measured import plan
from tritforge.perf.pages.markdown import table
from tritforge.perf.pages.tables_bench import prefill


def validation() -> str:
    """Published figures reckoned again."""
    rows = (
        (
            f"{check.what}, {check.unit}",
            number(check.published),
            figure(check.here),
            f"{check.error:+.1%}",
            check.why,
        )
        for check in checks()
    )
    return table(("", "published", "here", "error", "made of"), (True, False, False, False, True), rows)


def estimates() -> str:
    """One core on every platform."""
    return _choices(survey.choices())


def same_platforms() -> str:
    """Many cores where others have run."""
    return _choices(survey.same_platforms())


LEFT = ("model", "platform", "cores", "limit")
"""Columns of words."""


def figure(value: Figure) -> str:
    """Nominal, and the bounds where they differ."""
    low, nominal, high = (number(bound) for bound in (value.low, value.nominal, value.high))
    return nominal if low == high else f"{nominal} ({low} to {high})"


def gate_level() -> str:
    """The constants of an ASIC, from power at the gates, and how well they give back what they are made of."""
    found, tech, back = gate_level_of(), technology("asic-130nm"), again()
    control = found.control
    rows = [
        ("NANDs a LUT4", figure(tech.logic_per_lut4.figure), "units without multipliers; low, high: unit by unit"),
        ("NANDs a multiplier", figure(tech.dsp_as_logic.figure), "the other units, less their logic; unit by unit"),
        ("pJ of a NAND in a working cycle, 180 nm", number(found.per_cycle), "units without multipliers"),
        ("of that in a cycle that waits", figure(tech.idle.figure), "low: array; high: the others"),
        ("pJ of a product, 180 nm", number(found.per_product), "vector path and store, less their logic"),
        (
            "from 180 to 130 nm",
            number(found.process),
            f"`tiny`'s control in SkyWater's library, {number(control[1])} pJ a NAND and cycle, over that in the "
            f"180 nm one, {number(control[0])}",
        ),
        ("pJ of a NAND in a working cycle, 130 nm", figure(tech.logic_energy.figure), "with wires and clock tree"),
        ("pJ of a product, 130 nm", figure(tech.dsp_energy.figure), "with wires and clock tree"),
    ]
    return table(("", "figure", "of"), (True, False, True), rows) + (
        f"\nBefore that scaling the constants give the token of their own calibration {back.watts[0]:.0f} mW, where "
        f"{back.watts[1]:.0f} were measured, in {back.nands[0]:,.0f} NANDs instead of {back.nands[1]:,.0f}.\n"
    )


def late_memory() -> str:
    """How far the time with a slow memory is from the measured prefill, at worst."""
    worst, model = 0.0, Shape(*plan.BENCH["tales"].entry.data["shape"])
    for contexts, every, cycles in prefill():
        params = replace(preset("edge"), batch=contexts)
        there = platform("ecp5-85f").running(params)
        hertz = there.clock.value * 1e6
        peak = there.memory.peak.model_copy(
            update={"value": params.lanes * hertz / every / 1e9, "low": None, "high": None}
        )
        whole = there.memory.achieved.model_copy(update={"value": 1.0, "low": None, "high": None})
        memory = there.memory.model_copy(update={"peak": peak, "achieved": whole})
        found = estimate(model, params, there.model_copy(update={"memory": memory}), contexts)
        worst = max(worst, abs(found.seconds.nominal * hertz / contexts / cycles - 1))
    return f"{worst:.1%}"


def over_idle() -> str:
    """What a board that is no calibration point draws over idle, here and as its authors measured it."""
    check = next(check for check in checks() if check.what.endswith("over idle"))
    return f"{number(check.here.nominal)} W over idle here, {number(check.published)} W measured by its authors"


def scalings() -> str:
    """Energies at other feature sizes, against 16 nm."""
    found = [SOURCES[name].scaled for name in ("stratix-14nm", "artix-28nm", "ecp5-40nm")]
    return ", ".join(f"{scaled.times.value:g}" for scaled in found if scaled is not None)


def area_check() -> str:
    """The scaling of areas against a core that it was not made from."""
    measured = area.check()
    parts = area.units(measured.params).values()
    blocks = sum(memory.block_rams for memory in area.memories(measured.params).values())
    rows = []
    for what, here, there in (
        ("LUT4s", sum(part.logic for part in parts), measured.cells["logic"]),
        ("multipliers", sum(part.dsp for part in parts), measured.cells["dsp"]),
        ("block RAMs", blocks, measured.cells["block_ram"]),
    ):
        rows.append((what, f"{here:,.0f}", f"{there:,}", f"{here / there - 1:+.1%}"))
    return table(("", "from the points", "synthesised", "error"), (True, False, False, False), rows)


def _choices(choices: Iterable[survey.Choice]) -> str:
    rows = (
        (
            choice.model,
            one.platform.name,
            f"{one.cores} x {choice.core}",
            figure(one.rate),
            one.limit,
            figure(one.watts),
            figure(one.joules),
            number(one.picojoules_a_trit.nominal),
            f"{max(one.occupied.values()):.0%}",
        )
        for choice in choices
        for one in [choice.estimate]
    )
    head = ("model", "platform", "cores", "tokens/s", "limit", "W", "J/token", "pJ/trit", "room")
    return table(head, [name in LEFT for name in head], rows)
