# SPDX-License-Identifier: Apache-2.0
"""The machine's registers behave as their table says."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.unit_bench import bench
from tritforge.hw.board.machine_map import REGISTERS, SETTINGS, Identity, Setting, setting_offset
from tritforge.hw.board.machine_registers import MachineRegisters

CASES = {"ULX3S": (21, 16, 137_500_000, False), "largest": (28, 4, 200_000_000, True)}
"""Bits of a beat's address, bytes of a beat, the clock, whether the host initialises the memory."""


@pytest.mark.parametrize("name", CASES)
def test_registers_behave(name: str, tmp_path: Path) -> None:
    address_bits, beat_bytes, clock_hz, started_by_host = CASES[name]
    identity = Identity(beat_bytes, beat_bytes << address_bits, clock_hz, started_by_host)
    unit = MachineRegisters(identity, address_bits)
    parameters = {"address_bits": address_bits} | asdict(identity)
    assert bench(unit, "board.machine_registers", parameters, tmp_path) == [
        "identity",
        "shows",
        "commands",
        "capture",
        "settings",
        "ends_at_any_moment",
        "unknown",
    ]


def test_registers_fields_and_settings_do_not_overlap() -> None:
    offsets = [register.offset for register in REGISTERS]
    offsets += [setting_offset(setting) for setting in Setting]
    assert len(offsets) == len(set(offsets)) and all(offset % 4 == 0 for offset in offsets)
    assert len(Setting) <= SETTINGS
    for register in REGISTERS:
        bits = [bit for field in register.fields for bit in range(field.low, field.low + field.width)]
        assert len(bits) == len(set(bits)) and all(bit < 32 for bit in bits)
