# SPDX-License-Identifier: Apache-2.0
"""What documents say of power at the gates, made of perf/measured."""

from collections.abc import Mapping
from typing import Any

from tritforge.perf.measured import plan
from tritforge.perf.measured.plan import Measurement
from tritforge.perf.pages.markdown import table

DATA = ("model", "random", "sparse")


def units_table() -> str:
    """What each unit draws."""
    data = plan.GATES.entry.data["data"]
    first = data["model"]["watts"]["units"]
    rows = [
        (
            unit or "(top)",
            *(f"{1e3 * _dynamic(data[key]['watts']['units'][unit]):.2f}" for key in DATA),
            f"{1e3 * data['model']['idle_watts'][unit]:.2f}",
            f"{1e3 * first[unit]['leakage']:.5f}",
            f"{first[unit]['gates']:,.0f}",
        )
        for unit in sorted(first, key=lambda unit: -_dynamic(first[unit]))
    ]
    whole = data["model"]["watts"]
    rows.append(
        (
            "**sum**",
            *(f"{1e3 * _dynamic(data[key]['watts']):.2f}" for key in DATA),
            f"{1e3 * sum(data['model']['idle_watts'].values()):.2f}",
            f"{1e3 * whole['leakage']:.5f}",
            f"{whole['gates']:,.0f}",
        )
    )
    return table(("unit", *DATA, "idle", "leakage", "NANDs"), [True] + [False] * 6, rows)


def tokens_table() -> str:
    """The three tokens."""
    data = plan.GATES.entry.data["data"]
    lines = {
        "zeros among the trits": [f"{data[key]['zeros']:.1%}" for key in DATA],
        "cycles of the token": [f"{data[key]['cycles']:,}" for key in DATA],
        "uJ a token, leakage included": [f"{1e6 * data[key]['joules_per_token']:.1f}" for key in DATA],
        "pJ a trit, the array alone": [f"{data[key]['array_pj_per_trit']:.2f}" for key in DATA],
    }
    return table(("", *DATA), [True] + [False] * 3, [(what, *cells) for what, cells in lines.items()])


def remarks() -> str:
    """What the figures say."""
    data = plan.GATES.entry.data["data"]
    array = {key: _dynamic(data[key]["watts"]["units"]["array"]) for key in DATA}
    whole, zeros = {key: _dynamic(data[key]["watts"]) for key in DATA}, {key: data[key]["zeros"] for key in DATA}
    slope = {
        name: (draws["random"] - draws["sparse"]) / (zeros["sparse"] - zeros["random"])
        for name, draws in (("array", array), ("whole", whole))
    }
    none = {
        "array": array["random"] + slope["array"] * zeros["random"],
        "whole": whole["random"] + slope["whole"] * zeros["random"],
    }
    saved = {name: slope[name] * zeros["model"] / none[name] for name in slope}
    idle = sum(data["model"]["idle_watts"].values()) / whole["model"]
    leakage = data["model"]["watts"]["leakage"]
    other = array["model"] / array["random"] - 1
    points = 100 * (zeros["model"] - zeros["random"])
    return (
        "* Zeros save little, since a chain of adders passes a sum on whether or not anything is added to it, and "
        f"its registers are clocked: from a third to nine tenths zeros the array draws "
        f"{1 - array['sparse'] / array['random']:.0%} less and the core {1 - whole['sparse'] / whole['random']:.0%}. "
        f"On a straight line through these two, the {zeros['model']:.0%} zeros of the shipped model save "
        f"{saved['array']:.0%} of what the array would draw without any, and {saved['whole']:.0%} of the core "
        "(derived).\n"
        f"* Real trits cost what random ones do: the array {abs(other):.1%} {'less' if other < 0 else 'more'}, with "
        f"{points:.0f} points more zeros.\n"
        f"* {idle:.0%} is the clock at the registers, which are not gated: a core that waits draws that.\n"
        f"* Leakage is {1e6 * leakage:.1f} uW.\n"
    )


def libraries() -> str:
    """A token of a small model on tiny, in each library."""
    names = {plan.LIBERTY: "osu018, 180 nm, 1.8 V", "sky130hd_tt": "SkyWater's sky130 hd, 130 nm, 1.8 V"}
    names["sg13g2_stdcell_typ_1p20V_25C"] = "IHP's sg13g2, 130 nm, 1.2 V"
    rows = []
    for library, measured in plan.SMALL_GATES.items():
        token = measured.entry.data["data"]["model"]
        watts = token["watts"]
        rows.append(
            (
                names[library],
                f"{1e3 * _dynamic(watts):.1f}",
                f"{1e6 * watts['leakage']:.1f}",
                f"{watts['gates']:,.0f}",
                f"{1e6 * token['joules_per_token']:.1f}",
            )
        )
    return table(("library", "mW", "leakage, uW", "NANDs", "uJ a token"), [True] + [False] * 4, rows)


def clock_of(measured: Measurement) -> float:
    """MHz."""
    return float(measured.entry.data["clock_mhz"])


def _dynamic(watts: Mapping[str, Any]) -> float:
    return float(watts["internal"] + watts["switching"])
