# SPDX-License-Identifier: Apache-2.0
"""The share of a DDR3 memory's peak that a long read gets, simulated; also a program, which prints a table."""

from dataclasses import replace

import numpy as np

from tritforge.golden import Failure
from tritforge.host.board.ddr3 import Ddr3
from tritforge.hw.memory.ddr3 import ECPIX5, ORANGECRAB, Ddr3Params
from tritforge.rtl_gen.ddr3.emit import cached_controller
from tritforge.sim.ddr3.ddr3_unit import Ddr3Unit, build_ddr3, share

BEATS = 1 << 17
"""Words of a run, 2 MB: 1,024 rows."""


def measure_ddr3(params: Ddr3Params, beats: int = BEATS) -> tuple[float, int]:
    """One run of the reader in front of a controller, whose memory is initialised as a host does it.

    Parameters
    ----------
    params
        Of the controller.
    beats
        Words of the run.

    Returns
    -------
    float, int
        Of the peak, and the cycles from the first word to the last.

    Raises
    ------
    Failure
        If a word is not what was written.
    """
    unit = Ddr3Unit(build_ddr3(params))
    try:
        Ddr3(unit, cached_controller(params).description, sleep=unit.sleep).start()
        data = np.random.default_rng(beats).integers(0, 256, (beats, 16), np.uint8)
        unit.fill(0, data)
        got, cycles = unit.run(0, beats)
    finally:
        unit.close()
    if not np.array_equal(got, data):
        raise Failure(f"{int((got != data).any(1).sum())} words of {beats} are not what was written.")
    return share(cycles), int(cycles[-1] - cycles[0])


def cases() -> list[Ddr3Params]:
    """Controllers that are told apart: reads outstanding, and tRFC as LiteDRAM has it."""
    ecpix5 = Ddr3Params()
    orangecrab = replace(ecpix5, chip=ORANGECRAB, clock_hz=48_000_000, reference_hz=48_000_000)
    found = [replace(ecpix5, outstanding=outstanding) for outstanding in (16, 8)]
    found += [replace(ecpix5, chip=replace(ECPIX5, t_rfc=None)), orangecrab]
    return [*found, replace(orangecrab, chip=replace(ORANGECRAB, t_rfc=None))]


def row(case: Ddr3Params) -> dict[str, str | float | int]:
    """What was measured of one; tRFC in ns."""
    of_peak, cycles = measure_ddr3(case)
    return {
        "chip": case.chip.name,
        "MHz": case.clock_hz / 1e6,
        "tRFC": "LiteDRAM's" if case.chip.t_rfc is None else f"{case.chip.t_rfc:g}",
        "outstanding": case.outstanding,
        "of peak": of_peak,
        "cycles": cycles,
    }
