# SPDX-License-Identifier: Apache-2.0
"""The parameters of the simulated SDRAM chip, from the chip that the controller is made for."""

import ctypes

from tritforge.hw.memory.chip import POSTPONED, TURN, SdramChip

_NAMES = (
    *("dq_bits", "row_bits", "column_bits", "bank_bits", "cas_latency"),
    *("rcd", "rp", "ras", "rc", "rrd", "rfc", "wr", "mrd", "refi", "power_up"),
    *("postponed", "initial_refreshes", "turn"),
)


class ChipTiming(ctypes.Structure):
    """``SdramTiming`` of sdram_chip.h."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in _NAMES)


def chip_timing(chip: SdramChip, mhz: float) -> ChipTiming:
    """What the simulated chip wants at a clock.

    Raises
    ------
    TritforgeError
        If the chip does not run at that clock.
    """
    known = {**vars(chip), **vars(chip.clocks(mhz, chip.least_latency(mhz))), "postponed": POSTPONED, "turn": TURN}
    return ChipTiming(**{name: known[name] for name in _NAMES})
