# SPDX-License-Identifier: Apache-2.0
"""The units of a core by which mutants are counted: whose modules they are, and how closely they are looked at."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tritforge.golden import TritforgeError

CONTROL = 1.7
"""Times as many mutants: what decides goes wrong in more ways than what computes, and less is compared of it."""


@dataclass(frozen=True)
class Unit:
    """Some modules of a core.

    Attributes
    ----------
    name : of the unit. modules : their short names as a regular expression.
    control : whether they decide more than they compute.
    """

    name: str
    modules: str
    control: bool = False

    @property
    def weight(self) -> float:
        """See `sim.mutate.design.allotment`."""
        return CONTROL if self.control else 1.0


UNITS = (
    Unit("core wiring", ""),
    Unit("array", r"ternary_array|element\w*|conditional_adder\w*|accumulator\w*|operand_copy\w*|trit_decoder\w*"),
    Unit("front", r"stream_front|beat_decision\w*|walker\w*|position\w*", control=True),
    Unit("header", r"header_reader", control=True),
    Unit("side words", r"side_words\w*", control=True),
    Unit("sequencer", r"sequencer\w*|rows\w*", control=True),
    Unit("store", r"vector_store\w*|ram_codes\w*|ram_vector\w*|registered_bank_vector\w*"),
    Unit("quantiser", r"quantiser\w*|multiplier_multiplier\w*"),
    Unit("vector path", r"vector_path\w*|local_copy\w*|ram_(candidates|residuals|decays)\w*|\w*bank\w*|near\w*"),
    Unit("lanes", r"vector_lane\w*|rescale\w*|activation\w*|multiplier_(rescale|row|scale|slope)\w*"),
    Unit("gains", r"gain_stage\w*|gain_lane\w*|normaliser\w*|multiplier_gain\w*"),
    Unit("recurrence", r"recurrence\w*|multiplier_step\w*|ram_memory\w*"),
    Unit("statistics", r"statistics\w*|squarer\w*"),
    Unit("scales", r"scale_unit\w*"),
    Unit(
        "quotients and roots",
        r"quotient\w*|reciprocal_root\w*|square_root\w*|chords\w*|multiplier_(reciprocal|square_root|quotient)\w*",
    ),
    Unit("result", r"result_unit\w*", control=True),
    Unit("registers", r"registers\w*|axi_lite_slave\w*", control=True),
    Unit("link", r"exchange\w*|(in|out)box\w*|placer\w*|beat_ring\w*|ring_stop\w*|(from|to)_link\w*", control=True),
    Unit("others", r".*"),
)
"""In the order of the core; a module belongs to the first that takes its name."""


def unit_of(module: str) -> Unit:
    """Whose a module is, by its short name."""
    return next(unit for unit in UNITS if re.fullmatch(unit.modules, module))


def weights(modules: Iterable[str], name: str | None = None) -> dict[str, float]:
    """The weight of each module, or of those of one unit or module by that name.

    Raises
    ------
    TritforgeError
        If there is none.
    """
    every = {module: unit_of(module) for module in modules}
    found = {module: unit.weight for module, unit in every.items() if name in (None, unit.name, module)}
    if not found:
        names = ", ".join(unit.name for unit in UNITS if unit in every.values())
        raise TritforgeError(f"This core has no unit '{name}'; choose from {names}, or name a module.")
    return found
