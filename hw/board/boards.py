# SPDX-License-Identifier: Apache-2.0
"""The boards that there is a design for."""

from tritforge.golden import TritforgeError
from tritforge.hw.board.machine import MachineParams
from tritforge.hw.memory.chip import ULX3S
from tritforge.hw.params import preset

BOARDS = {
    "ulx3s-85f": MachineParams(preset("edge"), ULX3S, clock_hz=137_500_000, cas_latency=3, baud=3_000_000),
}
"""Machines by the name on the command line."""

SEEDS = {"ulx3s-85f": (3, 6, 1)}
"""Placements to try, one after the other, until one is fast enough."""


def board_params(name: str) -> MachineParams:
    """The machine of a board; TritforgeError with the known names otherwise."""
    if name not in BOARDS:
        raise TritforgeError(f"Unknown board '{name}'; choose from {', '.join(BOARDS)}.")
    return BOARDS[name]
