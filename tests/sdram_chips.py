# SPDX-License-Identifier: Apache-2.0
"""Chips and controllers for the tests of the SDRAM controller and of the simulated chip."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from tritforge.hw.memory.chip import ULX3S, SdramChip
from tritforge.hw.memory.sdram import SdramController
from tritforge.sim.board.chip_timing import ChipTiming, chip_timing
from tritforge.sim.board.sdram_unit import SdramUnit, build_unit

FAST = 1000 / 7
WIDE = SdramChip(
    name="A chip of 32 bits",
    dq_bits=32,
    row_bits=11,
    column_bits=8,
    bank_bits=2,
    t_rcd=18,
    t_rp=18,
    t_ras=50,
    t_rc=72,
    t_rrd=14,
    t_rfc=70,
    t_wr=15,
    t_refi=64e6 / 4096,
    t_power_up=100,
    initial_refreshes=2,
    latencies=((2, 100), (3, FAST)),
)
LARGE = replace(ULX3S, name="A chip of 11 column bits", column_bits=11, row_bits=12, bank_bits=1)
"""Its columns leave out the address bit that has all banks closed."""
SLOW = replace(ULX3S, name="A chip that opens slowly", t_ras=95, t_rc=140, t_wr=35, t_rp=30, t_rcd=27)
APART = replace(ULX3S, name="A chip that opens its banks one by one", t_rrd=60)
"""At other chips the rules of these are kept whenever others are."""

CONFIGURATIONS = {
    "16-8-cl3": (ULX3S, FAST, 128, 3),
    "16-8-cl2": (ULX3S, 100.0, 128, 2),
    "16-8-at-25": (ULX3S, 25.0, 128, 2),
    "16-8-long": (SLOW, FAST, 128, 3),
    "16-8-apart": (APART, FAST, 128, 3),
    "16-4-large": (LARGE, 133.0, 64, 3),
    "16-1": (ULX3S, FAST, 16, 3),
    "32-4": (WIDE, FAST, 128, 3),
    "32-2": (WIDE, 66.0, 64, 2),
}
"""Chip, clock, word and CAS latency, by the data pins and the transfers of a word."""


@cache
def library(name: str) -> Path:
    """A controller and the chip, built."""
    return build_unit(SdramController(*CONFIGURATIONS[name]))


def unit(name: str, timing: ChipTiming | None = None, delay: int = 0) -> SdramUnit:
    """A controller at its chip, or at another."""
    chip, mhz, word_bits, _ = CONFIGURATIONS[name]
    return SdramUnit(library(name), timing or chip_timing(chip, mhz), word_bits // 8, delay)
