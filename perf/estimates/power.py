# SPDX-License-Identifier: Apache-2.0
"""Energy of a packet by part, from resources and activity.

A unit's logic costs its technology's `logic_energy` a table and cycle while the unit works and the fraction `idle`
of it while it waits (the clock goes on); memories and multipliers cost by the byte and by the product, the memory
interface by the bit. What these constants are calibrated with is in perf/estimates/technologies.toml.
"""

from tritforge.hw.params import CoreParams
from tritforge.perf.estimates.area import units
from tritforge.perf.estimates.platform import Platform
from tritforge.perf.estimates.work import Work
from tritforge.perf.figure import Figure

PICO = 1e-12
ARRAY, VECTOR = ("ternary_array",), ("vector_path", "vector_store")
"""Units of the parts array and vector path; the others are control."""


def energies(params: CoreParams, platform: Platform, work: Work, cores: int, cycles: float) -> dict[str, Figure]:
    """J of a packet by part, all cores together.

    Parameters
    ----------
    work
        What the packet asks of each core.
    cycles
        Clock cycles that pass in it, waiting for memory included.

    Notes
    -----
    The array works in `work.array` cycles. Vector path and store work in `work.vector` cycles; a product of 18 x 18
    bits costs `dsp_energy` for each multiplier of these units in such a cycle, and one for each value that is
    quantised. Control works in the cycles in which the stream moves.
    """
    tech = platform.technology_data
    areas = units(params)
    logic = tech.logic_per_lut4.figure * tech.logic_energy.figure * PICO
    busy = {ARRAY: work.array, VECTOR: work.vector}

    def active(names: tuple[str, ...], cycles_busy: float) -> Figure:
        tables = sum(areas[name].logic for name in names)
        idle = max(0.0, cycles - cycles_busy)
        return cores * tables * logic * (tech.idle.figure * idle + cycles_busy)

    array, vector = (active(names, busy[names]) for names in (ARRAY, VECTOR))
    control = active(tuple(name for name in areas if name not in ARRAY + VECTOR), work.stream / params.lanes)
    products = sum(areas[name].dsp for name in VECTOR) * work.vector + work.quantised
    vector += cores * products * tech.dsp_energy.figure * PICO
    memory = cores * work.stored * tech.memory_energy.figure * PICO
    link = cores * (cores - 1) * work.sent * tech.link_energy.figure * PICO
    return {
        "array": array,
        "vector path": vector,
        "control": control + link,
        "on-chip memory": memory,
        "DRAM interface": 8 * cores * work.stream * platform.memory.energy.figure * PICO,
    }
