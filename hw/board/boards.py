# SPDX-License-Identifier: Apache-2.0
"""The boards that there is a design for."""

from tritforge.golden import TritforgeError
from tritforge.hw.board.ddr3_side import Ddr3Side
from tritforge.hw.board.machine import MachineParams
from tritforge.hw.board.sdram_side import SdramSide
from tritforge.hw.memory.chip import ULX3S
from tritforge.hw.memory.ddr3 import Ddr3Params
from tritforge.hw.params import preset

_ECPIX5 = Ddr3Params()
BOARDS = {
    "ulx3s-85f": MachineParams(preset("edge"), SdramSide(ULX3S, cas_latency=3), 137_500_000, 3_000_000),
    "ecpix5-85f": MachineParams(preset("edge"), Ddr3Side(_ECPIX5), _ECPIX5.clock_hz, 3_000_000),
}
"""Machines by the name on the command line."""

SEEDS = {"ulx3s-85f": (3, 6, 1), "ecpix5-85f": (1, 2, 3)}
"""Placements to try, one after the other, until one is fast enough."""


def board_params(name: str) -> MachineParams:
    """The machine of a board; TritforgeError with the known names otherwise."""
    if name not in BOARDS:
        raise TritforgeError(f"Unknown board '{name}'; choose from {', '.join(BOARDS)}.")
    return BOARDS[name]
