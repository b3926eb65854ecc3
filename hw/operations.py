# SPDX-License-Identifier: Apache-2.0
"""Operations of the vector path: what happens to a row group, how long it takes, and the tag that says so."""

from enum import IntEnum

from amaranth.hdl import Value
from amaranth.lib import data

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


def tag_layout(params: CoreParams) -> data.StructLayout:
    """What travels beside a row group.

    valid : a row group is here. live : which of its rows exist (the others are padding). op : an Op.
    context : whose. index : number of the row group in its matrix. last : no context has rows left in this row
    block of this matrix, so its side words are spent.
    """
    return data.StructLayout(
        {
            "valid": 1,
            "live": params.vector_rows,
            "op": 4,
            "context": params.context_bits,
            "index": (-(-params.max_inputs // params.vector_rows) - 1).bit_length(),
            "last": 1,
        }
    )


def slots(params: CoreParams) -> dict[Op, int]:
    """Cycles from one row group to the next of each operation.

    A row group occupies the gain stage for SLOTS cycles. With several contexts, the G rows of one come after
    those of another that may be its predecessor in the same sequence: the state must have been written by then.
    """
    least = -(-(RECURRENCE_CYCLES + 1) // params.row_groups) if params.batch > 1 else 1
    return SLOTS | {Op.G: max(SLOTS[Op.G], least)}


def is_op(tag: data.View, *ops: Op) -> Value:
    """A row group of one of ``ops`` is at the tag's stage."""
    match = tag.op == ops[0]
    for op in ops[1:]:
        match |= tag.op == op
    return tag.valid & match
