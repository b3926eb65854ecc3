# SPDX-License-Identifier: Apache-2.0
"""Operations of the vector path and the small helpers that its pipelines share."""

from collections.abc import Sequence
from enum import IntEnum
from functools import reduce
from operator import or_
from typing import ClassVar

from amaranth.hdl import Const, Module, Signal, Value, ValueCastable, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group


class Op(IntEnum):
    """What happens to one output row; also the tag of the debug taps.

    EMBED takes a residual value from the side words; F, I and G are the three gates of the recurrence; OUT and
    CONTRACT add to the residual, for one or three matrices (so the last layer's CONTRACT runs as OUT); GATE and UP
    make the gated linear unit; HEAD rows are logits.
    """

    EMBED = 0
    F = 1
    I = 2  # noqa: E741 - the gate's name
    G = 3
    OUT = 4
    GATE = 5
    UP = 6
    CONTRACT = 7
    HEAD = 8


OPS: dict[Group, tuple[Op, ...]] = {
    Group.EMBED: (Op.EMBED,),
    Group.MIX: (Op.F, Op.I, Op.G),
    Group.OUT: (Op.OUT,),
    Group.EXPAND: (Op.GATE, Op.UP),
    Group.CONTRACT: (Op.CONTRACT,),
    Group.HEAD: (Op.HEAD,),
}
"""The operation of each matrix of a group, in the order of schedule.MATRICES."""

SLOTS = {
    Op.EMBED: 4,
    Op.F: 1,
    Op.I: 1,
    Op.G: 2,
    Op.OUT: 2,
    Op.GATE: 1,
    Op.UP: 1,
    Op.CONTRACT: 3,
    Op.HEAD: 2,
}
"""Cycles that a row group occupies the gain stage; of the head, the argmax."""

RECURRENCE_CYCLES = 14
"""From the read of a row's state to the write of its successor."""


def context_bits(core: CoreParams) -> int:
    """Width of a context's number; at least one bit, since a port needs one."""
    return max(1, (core.batch - 1).bit_length())


def tag_layout(core: CoreParams) -> data.StructLayout:
    """What travels beside a row group.

    valid : a row group is here. live : which of its rows exist (the others are padding). op : an Op.
    context : whose. index : number of the row group in its matrix. last : no context has rows left in this row
    block of this matrix, so its side words are spent.
    """
    return data.StructLayout(
        {
            "valid": 1,
            "live": core.vector_rows,
            "op": 4,
            "context": context_bits(core),
            "index": (-(-core.max_inputs // core.vector_rows) - 1).bit_length(),
            "last": 1,
        }
    )


def slots(core: CoreParams) -> dict[Op, int]:
    """Cycles from one row group to the next of each operation.

    A row group occupies the gain stage for SLOTS cycles. With several contexts, the G rows of one come after
    those of another that may be its predecessor in the same sequence: the state must have been written by then.
    """
    least = -(-(RECURRENCE_CYCLES + 1) // core.row_groups) if core.batch > 1 else 1
    return SLOTS | {Op.G: max(SLOTS[Op.G], least)}


class OneHot:
    """A state machine with a register for each state: few levels of logic from states and conditions to states.

    Parameters
    ----------
    m : gets the registers with `build`.
    names : of the states; the first is that after reset.

    Attributes
    ----------
    at : high while in the state.
    """

    def __init__(self, m: Module, names: Sequence[str]) -> None:
        self._m = m
        self.at = {name: Signal(name=f"at_{name.lower()}", init=name == names[0]) for name in names}
        self._enters: dict[str, list[Value]] = {name: [] for name in names}
        self._leaves: dict[str, list[Value]] = {name: [] for name in names}
        self._interrupts: list[tuple[str, Value]] = []

    def go(self, source: str, target: str, condition: ValueLike = 1) -> None:
        """From source to target under a condition, which excludes those of its other ways."""
        self._enters[target].append(self.at[source] & condition)
        self._leaves[source].append(Value.cast(condition))

    def interrupt(self, target: str, condition: Value) -> None:
        """To target instead of anywhere else."""
        self._interrupts.append((target, condition))

    def build(self) -> None:
        """Add the registers."""
        stopped = reduce(or_, (condition for _, condition in self._interrupts), Const(0, 1))
        for name, here in self.at.items():
            stays = here & ~reduce(or_, self._leaves[name], Const(0, 1))
            following = reduce(or_, self._enters[name], stays) & ~stopped
            forced = (condition for target, condition in self._interrupts if target == name)
            self._m.d.sync += here.eq(reduce(or_, forced, following))


def flags(*names: str) -> list[Signal]:
    """Signals of one bit: in a tuple of them Amaranth does not see their names."""
    return [Signal(name=name) for name in names]


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


def is_op(tag: data.View, *ops: Op) -> Value:
    """A row group of one of ``ops`` is at the tag's stage."""
    match = tag.op == ops[0]
    for op in ops[1:]:
        match |= tag.op == op
    return tag.valid & match
