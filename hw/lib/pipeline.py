# SPDX-License-Identifier: Apache-2.0
"""Registers of pipelines."""

from typing import ClassVar

from amaranth.hdl import Module, Signal, ValueCastable
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out


class Near(wiring.Component):
    """A register for what one lane is told, in a module of its own: lanes are far apart, and synthesis would merge
    those that get the same.

    Attributes
    ----------
    given : In, signals by the name. held : Out, a cycle later.
    """

    rtl_attributes: ClassVar = {"keep_hierarchy": 1}

    def __init__(self, *names: str) -> None:
        bits = data.StructLayout(dict.fromkeys(names, 1))
        super().__init__({"given": In(bits), "held": Out(bits)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.held.eq(self.given)
        return m


def register(m: Module, value: ValueCastable, name: str = "held") -> Signal:
    """``value`` a cycle later, without reset: data that something else qualifies."""
    held = Signal.like(value, name=name, reset_less=True)
    m.d.sync += held.eq(value)
    return held


def delay(m: Module, value: ValueCastable, cycles: int, name: str, reset_less: bool = False) -> ValueCastable:
    """``value`` after ``cycles`` registers; without reset where it is data that something else qualifies."""
    for stage in range(cycles):
        register = Signal.like(value, name=f"{name}_{stage + 1}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value


def delayed_tags(m: Module, tag: data.View, cycles: int, name: str) -> list[data.View]:
    """The tag at every stage 0..cycles."""
    stages = [tag]
    for stage in range(cycles):
        register = Signal.like(tag, name=f"{name}_{stage + 1}")
        m.d.sync += register.eq(stages[-1])
        stages.append(register)
    return stages
