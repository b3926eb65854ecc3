# SPDX-License-Identifier: Apache-2.0
"""The arithmetic units side by side, so that one build serves them all."""

from typing import Any

from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from tritforge.golden.model.formats import CODE_MAX
from tritforge.hw.lib.multiplier import Multiplier
from tritforge.hw.lib.rescale import Rescale
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.chords import Quotient
from tritforge.hw.scales.root import ReciprocalRoot
from tritforge.hw.vector.activation import Activation
from tritforge.hw.vector.normaliser import Normaliser


class Arithmetic(wiring.Component):  # type: ignore[misc] # Amaranth has no types
    """The units of a core; ports are called UNIT_PORT. The multiplier is there also with one limb on a side.

    Attributes
    ----------
    latencies : of each unit by its name, in cycles.
    """

    def __init__(self, params: CoreParams) -> None:
        fmt = params.formats
        wide = signed(fmt.wide_bits)
        self._units: dict[str, Any] = {
            "rescale": Rescale(params),
            "activation": Activation(fmt),
            "normaliser": Normaliser(fmt),
            "root": ReciprocalRoot(fmt),
            "reciprocal": Quotient(fmt.mantissa, CODE_MAX << fmt.code_shift, rounded=True),
            "square": Multiplier(wide, wide),
            "mixed": Multiplier(signed(fmt.wide_bits + 1), unsigned(17)),
        }
        self.latencies = {name: unit.latency for name, unit in self._units.items()}
        super().__init__(
            {
                f"{name}_{port}": member
                for name, unit in self._units.items()
                for port, member in unit.signature.members.items()
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The units and wires to their ports."""
        m = Module()
        for name, unit in self._units.items():
            m.submodules[name] = unit
            for port, member in unit.signature.members.items():
                inner, outer = getattr(unit, port), getattr(self, f"{name}_{port}")
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        return m
