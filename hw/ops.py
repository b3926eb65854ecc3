# SPDX-License-Identifier: Apache-2.0
"""Operations of the vector path and the small helpers that its pipelines share."""

from enum import IntEnum

from amaranth.hdl import Module, Signal, ValueCastable
from amaranth.lib import data

from hw.schedule import Group


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
    Op.HEAD: 1,
}
"""Cycles that a row occupies the gain stage."""


class Tag(data.Struct):
    """Travels beside a row: valid, live (not padding), operation, and whether a narrowing saturated."""

    valid: 1
    live: 1
    op: 4
    saturated: 1


def delay(m: Module, value: ValueCastable, cycles: int, name: str) -> ValueCastable:
    """``value`` after ``cycles`` registers."""
    for stage in range(cycles):
        register = Signal.like(value, name=f"{name}_{stage + 1}")
        m.d.sync += register.eq(value)
        value = register
    return value


def delayed_tags(m: Module, tag: Tag, cycles: int, name: str) -> list[Tag]:
    """The tag at every stage 0..cycles; valid is cleared by reset, the rest follows it."""
    stages = [tag]
    for stage in range(cycles):
        register = Signal(Tag, name=f"{name}_{stage + 1}")
        m.d.sync += register.eq(stages[-1])
        stages.append(register)
    return stages


def is_op(tag: Tag, *ops: Op):
    """A live or padding row of one of ``ops`` is at the tag's stage."""
    match = tag.op == ops[0]
    for op in ops[1:]:
        match |= tag.op == op
    return tag.valid & match
