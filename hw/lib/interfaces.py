# SPDX-License-Identifier: Apache-2.0
"""Interfaces between units: those that come late, those at the edge of the design, and AXI4-Stream."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.lib.pipeline import delay


class AxiStream(wiring.Signature):
    """AXI4-Stream of whole words: one is taken in each cycle with ``tvalid`` and ``tready``; once valid, it stays
    until it is taken.

    Parameters
    ----------
    bits : of a word, whole bytes, the first byte lowest.

    Attributes
    ----------
    tdata, tlast : Out, a word and whether it ends its packet.
    tvalid : Out. tready : In.
    """

    def __init__(self, bits: int) -> None:
        super().__init__({"tdata": Out(bits), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})


class Edge:
    """An interface whose members are ports of the whole design, named PREFIX_MEMBER as AXI tools and test benches
    expect them; Amaranth would join such names with two underscores.

    Parameters
    ----------
    prefix : of the ports' names.
    signature : as seen from outside: `Out` members are outputs of the design.

    Attributes
    ----------
    prefix : as given. ports : members of the design's signature.
    """

    def __init__(self, prefix: str, signature: wiring.Signature) -> None:
        self.prefix, self._signature = prefix, signature
        self.ports = {f"{prefix}_{name}": member for name, member in signature.members.items()}

    def inside(self, design: wiring.Component) -> SimpleNamespace:
        """The interface as the units in the design see it, to be connected to one of them."""
        return SimpleNamespace(signature=self._signature.flip(), **self._named(design))

    def outside(self, design: wiring.Component) -> SimpleNamespace:
        """The interface as what surrounds the design sees it, to be connected to a unit beside it."""
        return SimpleNamespace(signature=self._signature, **self._named(design))

    def _named(self, design: wiring.Component) -> dict[str, Any]:
        return {name: getattr(design, f"{self.prefix}_{name}") for name in self._signature.members}


def delayed(
    m: Module,
    interface: wiring.PureInterface,
    name: str,
    cycles: int = 1,
    members: Collection[str] | None = None,
    reset_less: Collection[str] = (),
) -> wiring.PureInterface:
    """An interface like ``interface`` for the unit at its other end, which is far away: behind registers.

    Parameters
    ----------
    m : gets the registers.
    interface : of a unit; its members are ports, in either direction.
    name : of the registers, with the members' names behind it.
    cycles : by which a member comes late at the end that it is an input of.
    members : that come late, and the others at once; all unless given.
    reset_less : members whose registers have no reset: data that others qualify.
    """
    unknown = {*(members or ()), *reset_less} - {*interface.signature.members}
    assert not unknown, f"An interface has no members {unknown}."
    other = interface.signature.create(path=(name,))
    for member, port in interface.signature.members.items():
        source, target = (interface, other) if port.flow is Out else (other, interface)
        value = getattr(source, member)
        if members is None or member in members:
            value = delay(m, value, cycles, f"{name}_{member}", reset_less=member in reset_less)
        m.d.comb += getattr(target, member).eq(value)
    return other
