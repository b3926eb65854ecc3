# SPDX-License-Identifier: Apache-2.0
"""What logic and a product cost in gates, from power at the gates (`tritforge power`) and areas.

Of ``edge`` in a 180 nm library while it runs a token of the shipped model, and of ``tiny`` in that library and in
SkyWater's 130 nm one. Wires, the clock tree and memories are in neither.
"""

from dataclasses import dataclass
from functools import cache

from tritforge.hw.schedule import Shape
from tritforge.perf.data import Value
from tritforge.perf.estimates.work import work
from tritforge.perf.figure import Tag
from tritforge.perf.measured import plan
from tritforge.perf.measured.entries import Entry
from tritforge.perf.measured.subject import core_of

UNITS = {
    "array": "ternary_array",
    "registers": "registers",
    "header": "header_reader",
    "front": "stream_front",
    "sequencer": "sequencer",
    "": "(top)",
    "side": "side_words",
    "result": "result_unit",
}
"""Units without multipliers: as instances are called in a netlist, and as modules."""
MULTIPLYING = {"vector": "vector_path", "store": "vector_store", "scales": "scale_unit"}
VECTOR = ("vector", "store")
"""Those whose products are counted (`perf.estimates.power`)."""
ARRAY = "array"
PICO = 1e12


@dataclass(frozen=True)
class Gates:
    """Of ``edge`` in the 180 nm library.

    Attributes
    ----------
    per_lut4 : NANDs that do what a LUT4 does, over the units without multipliers, with the least and most of a unit.
    per_dsp : NANDs of a multiplier of 18 x 18 bits: the other units less their logic, with least and most.
    per_cycle : pJ of a NAND in a working cycle. idle : share of that in a cycle that waits, of the array
        alone, of all and of the others. per_product : pJ of a product of 18 x 18 bits.
    control : pJ of a NAND and cycle of ``tiny``, in this library and in SkyWater's, but for the array.
    """

    per_lut4: tuple[float, float, float]
    per_dsp: tuple[float, float, float]
    per_cycle: float
    idle: tuple[float, float, float]
    per_product: float
    control: tuple[float, float]

    @property
    def process(self) -> float:
        """Energy in SkyWater's 130 nm library against that in the 180 nm one."""
        return self.control[1] / self.control[0]


@dataclass(frozen=True)
class Drawn:
    """Watts of a unit while the token runs and while the core waits, and its NANDs."""

    running: float
    waiting: float
    nands: float


def drawn(entry: Entry, key: str = "model") -> dict[str, Drawn]:
    """Every unit of a token at the gates."""
    token = entry.data["data"][key]
    return {
        unit: Drawn(watts["internal"] + watts["switching"], token["idle_watts"][unit], watts["gates"])
        for unit, watts in token["watts"]["units"].items()
    }


@cache
def gates() -> Gates:
    """From what was measured."""
    entry = plan.GATES.entry
    units, token, hertz = drawn(entry), entry.data["data"]["model"], 1e6 * entry.data["clock_mhz"]
    cells = plan.area(entry.data["core"]).entry.data["units"]
    busy = float(token["beats"] / token["cycles"])

    def working(unit: str) -> float:
        """Watts in a cycle that works."""
        return (units[unit].running - (1 - busy) * units[unit].waiting) / busy

    lut4s = {unit: cells[UNITS[unit]]["logic"] for unit in UNITS}
    plain = [units[unit].nands / lut4s[unit] for unit in UNITS if lut4s[unit] > 100]
    per_lut4 = sum(units[unit].nands for unit in UNITS) / sum(lut4s.values())
    dsp = {
        unit: (units[unit].nands - per_lut4 * cells[name]["logic"], cells[name]["dsp"])
        for unit, name in MULTIPLYING.items()
    }
    per_dsp = sum(nands for nands, _ in dsp.values()) / sum(number for _, number in dsp.values())
    each = [nands / number for nands, number in dsp.values()]
    per_cycle = PICO / hertz * sum(map(working, UNITS)) / sum(units[unit].nands for unit in UNITS)

    def idle(names: list[str]) -> float:
        return sum(units[unit].waiting for unit in names) / sum(map(working, names))

    waits = (idle([ARRAY]), idle(list(UNITS)), idle([unit for unit in UNITS if unit != ARRAY]))
    asked = work(core_of(entry.data["core"]), Shape(*entry.data["shape"]), 1)
    names = [MULTIPLYING[unit] for unit in VECTOR]
    logic = per_cycle * per_lut4 * sum(cells[name]["logic"] for name in names)
    logic *= asked.vector + waits[1] * (token["cycles"] - asked.vector)
    whole = PICO / hertz * token["cycles"] * sum(units[unit].running for unit in VECTOR)
    products = sum(cells[name]["dsp"] for name in names) * asked.vector + asked.quantised
    return Gates(
        (min(plain), per_lut4, max(plain)),
        (min(each), per_dsp, max(each)),
        per_cycle,
        waits,
        (whole - logic) / products,
        (_control(plan.SMALL_GATES[plan.LIBERTY].entry), _control(plan.SMALL_GATES["sky130hd_tt"].entry)),
    )


def _control(entry: Entry) -> float:
    """pJ of a NAND and cycle, over the units without multipliers but the array."""
    units = [one for unit, one in drawn(entry).items() if unit in UNITS and unit != ARRAY]
    hertz = 1e6 * float(entry.data["clock_mhz"])
    return PICO / hertz * sum(unit.running for unit in units) / sum(unit.nands for unit in units)


@dataclass(frozen=True)
class Again:
    """Milliwatts and NANDs of the token of the calibration, from its own constants and as measured."""

    watts: tuple[float, float]
    nands: tuple[float, float]


def again() -> Again:
    """How well the constants give what they are made of."""
    entry, found = plan.GATES.entry, gates()
    units, token, hertz = drawn(entry), entry.data["data"]["model"], 1e6 * entry.data["clock_mhz"]
    cells = plan.area(entry.data["core"]).entry.data["units"]
    asked = work(core_of(entry.data["core"]), Shape(*entry.data["shape"]), 1)
    lut4, dsp, idle = found.per_lut4[1], found.per_dsp[1], found.idle[1]
    working = dict.fromkeys(cells, token["beats"]) | {MULTIPLYING[unit]: asked.vector for unit in VECTOR}
    energy = sum(
        found.per_cycle * lut4 * cells[name]["logic"] * (busy + idle * (token["cycles"] - busy))
        for name, busy in working.items()
    )
    products = sum(cells[MULTIPLYING[unit]]["dsp"] for unit in VECTOR) * asked.vector + asked.quantised
    energy += found.per_product * products
    nands = sum(lut4 * unit["logic"] + dsp * unit["dsp"] for unit in cells.values())
    watts = sum(unit.running for unit in units.values())
    return Again(
        (1e3 * energy / PICO / token["cycles"] * hertz, 1e3 * watts), (nands, sum(u.nands for u in units.values()))
    )


def technology(wires: Value, by_size: Value) -> dict[str, Value]:
    """The constants of an ASIC (`perf.estimates.technology.Technology`) at 130 nm.

    Parameters
    ----------
    wires
        What wires and the clock tree add, as a factor.
    by_size
        Energy at 130 nm against 180 nm as feature size and voltage say: the upper bounds.
    """
    found = gates()
    there = found.process * wires.value
    large = by_size.value * wires.value

    def value(low: float, nominal: float, high: float, tag: Tag, source: str) -> Value:
        return Value(value=nominal, low=min(low, nominal), high=max(high, nominal), tag=tag, source=source)

    return {
        "logic_per_lut4": value(*found.per_lut4, Tag.DERIVED, "NANDs of edge's units without multipliers over LUT4s"),
        "dsp_as_logic": value(
            *found.per_dsp, Tag.DERIVED, "NANDs of edge's units with multipliers, less their logic"
        ),
        "logic_energy": value(
            found.control[1],
            found.per_cycle * there,
            found.per_cycle * large,
            Tag.PROJECTED,
            "power at the gates, to 130 nm, with wires; low: control in SkyWater's library, bare; high: by size",
        ),
        "idle": value(*found.idle, Tag.DERIVED, "power at the gates, the clock alone; low: array, high: control"),
        "dsp_energy": value(
            found.per_product * found.process,
            found.per_product * there,
            found.per_product * large,
            Tag.PROJECTED,
            "power at the gates of vector path and store, less their logic, over their products; bounds as above",
        ),
    }
