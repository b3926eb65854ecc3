# SPDX-License-Identifier: Apache-2.0
"""Records of the netlist: areas, of which none grows by more than 5 % unsaid, and registers without reset."""

import json

import pytest

from tritforge.perf.measured.growth import KINDS, growth, recorded
from tritforge.rtl_gen.synthesis.synth import unit_areas
from tritforge.rtl_gen.synthesis.unknown import DEVICE, beyond, recorded_design, unknown_after_reset
from tritforge.rtl_gen.synthesis.unknown import RECORD as UNKNOWN
from tritforge.rtl_gen.verilog.cached import TOP


def test_no_unit_has_grown() -> None:
    found = unit_areas(recorded_design(), TOP, DEVICE)
    lines = growth(
        recorded(), {unit.name: {kind: unit.number * getattr(unit.area, kind) for kind in KINDS} for unit in found}
    )
    assert not lines, "\n".join([*lines, "If it is worth it: tritforge synth --preset tiny --record"])


def test_growth_is_found() -> None:
    cells = {"logic": 100, "ff": 200, "block_ram": 0, "lut_ram": 0, "dsp": 4}
    assert growth({"unit": cells}, {"unit": cells | {"logic": 105, "ff": 10}}) == []
    assert growth({"unit": cells}, {"unit": cells | {"logic": 106, "dsp": 5, "block_ram": 1}}) == [
        "unit: logic grew from 100 to 106",
        "unit: block_ram grew from 0 to 1",
        "unit: dsp grew from 4 to 5",
    ]
    assert growth({"unit": cells}, {"other": cells}) == ["other is not in the record"]


def test_the_reset_reaches_every_register_that_is_not_payload() -> None:
    """Unknown registers, unknown inputs, some cycles of reset: of control nothing is unknown any more."""
    assert not beyond(json.loads(UNKNOWN.read_text()), unknown_after_reset(recorded_design(), TOP))


@pytest.mark.parametrize(
    ("unit", "register"),
    [
        ("registers", "csr__bvalid"),
        ("sequencer", "scale_words__valid"),
        ("stream_front", "packet__fault"),
        ("result_unit", "queue.inner_level"),
    ],
)
def test_a_register_that_the_reset_misses_is_found(unit: str, register: str) -> None:
    design = recorded_design()
    recorded = unknown_after_reset(design, TOP)
    module = design["modules"][f"{TOP}_{unit}"]
    bits = module["netnames"][register]["bits"]
    (cut,) = [
        cell
        for cell in module["cells"].values()
        if cell["type"] == "TRELLIS_FF" and cell["connections"]["Q"] == bits[:1]
    ]
    cut["connections"]["LSR"] = ["0"]
    assert beyond(recorded, unknown_after_reset(design, TOP)) == [f"{unit}: reset does not reach {register}"]
