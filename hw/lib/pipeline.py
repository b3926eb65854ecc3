# SPDX-License-Identifier: Apache-2.0
"""Registers of pipelines."""

from typing import ClassVar

from amaranth.hdl import Module, Signal, ValueCastable
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out


class LocalCopy(wiring.Component):
    """Registers for the control signals of one of several units that get the same, in a module of its own: the units
    are far apart, and synthesis would merge the registers.

    Attributes
    ----------
    i : In, bits by their names. o : Out, a cycle later.
    """

    rtl_attributes: ClassVar = {"keep_hierarchy": 1}

    def __init__(self, *names: str) -> None:
        bits = data.StructLayout(dict.fromkeys(names, 1))
        super().__init__({"i": In(bits), "o": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


def register(m: Module, value: ValueCastable, name: str = "held") -> Signal:
    """``value`` a cycle later, without reset: data that something else qualifies."""
    held = Signal.like(value, name=name, reset_less=True)
    m.d.sync += held.eq(value)
    return held


def delay(m: Module, value: ValueCastable, cycles: int, name: str, reset_less: bool = False) -> ValueCastable:
    """``value`` after ``cycles`` registers, NAME_d1 and so on; without reset where something else qualifies it."""
    for stage in range(cycles):
        register = Signal.like(value, name=f"{name}_d{stage + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value


def delayed_tags(m: Module, tag: data.View, cycles: int, name: str) -> list[data.View]:
    """The tag at every stage 0..cycles."""
    stages = [tag]
    for stage in range(cycles):
        register = Signal.like(tag, name=f"{name}_d{stage + 1}")
        m.d.sync += register.eq(stages[-1])
        stages.append(register)
    return stages
