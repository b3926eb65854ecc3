# SPDX-License-Identifier: Apache-2.0
"""Registers that move into multipliers and block RAM, and those that must not."""

from collections.abc import Mapping

import pytest

from tests.pack_samples import SAMPLES, samples
from tritforge.rtl_gen.synthesis.synth import Unit, synthesise

NAMES = [name for name in SAMPLES if name not in ("rom", "ram_by_nines", "ram_1", "ram_2", "ram_4", "ram_9")]
"""The others have no register that could move."""
# operands have 18 bits and a product 36
MOVED = dict.fromkeys(NAMES, 36) | {
    "both": 72,
    "enabled": 72,
    "cleared": 72,
    "inverted": 72,
    "squared": 18 + 36,
    "narrow": 5 + 7 + 12,
    "extended": 9 + 18 + 27,
    "shared": 72,
    "ram": 18,
    "held_ram": 18,
    "ram_load": 0,
    "ram_reset": 0,
    "ram_plain": 0,
}
STAY = dict.fromkeys(NAMES, 36) | {
    "narrow": 13,
    "extended": 27,
    "shared": 54,
    "one_operand": 54,
    "other_load": 72,
    "other_enable": 72,
    "begins_as_one": 72,
    "set": 72,
    "asynchronous": 72,
    "ram": 18,
    "held_ram": 18,
    "ram_load": 36,
    "ram_reset": 36,
    "ram_plain": 19,
}
"""Flip-flops that stay outside, y among them, of which a constant end is one or none."""


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Unit]:
    found = synthesise(samples(tmp_path_factory.mktemp("samples")), "samples", "ecp5-85k").units
    return {unit.name: unit for unit in found}


@pytest.mark.parametrize("name", NAMES)
def test_registers_move_into_blocks_where_they_may(name: str, units: Mapping[str, Unit]) -> None:
    area = units[name].area
    assert (area.inner_ff, area.ff) == (MOVED[name], STAY[name])
