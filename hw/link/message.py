# SPDX-License-Identifier: Apache-2.0
"""What cores tell each other: one message a row group, a few a dependency, one a context at a token's end."""

from dataclasses import replace
from enum import IntEnum

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from tritforge.hw.codes.placed import placed_layout
from tritforge.hw.params import BYTE, CORE_BITS, MAX_LINK_BYTES, CoreParams
from tritforge.hw.scales.scales import TENSORS

PART_BITS = 32
"""A sum of squares of 64 bits goes in two parts."""
TOKEN_BITS = 16


class Kind(IntEnum):
    """What a message says.

    ROWS : a row group of a vector that all cores need, and its place in the vector store. SUM : a part of the sum of
    squares of the rows that the core had; the last message of a group. END : the core's candidate for a context's
    token, or that its token failed; the last message of a token. HELLO : who is there.
    """

    ROWS = 0
    SUM = 1
    END = 2
    HELLO = 3


def sums(params: CoreParams) -> int:
    """Sums of squares of a context: the total and, in a core with outliers, a power of each vector."""
    return 1 + (TENSORS if params.extra_bits else 0)


def sum_layout(params: CoreParams) -> data.StructLayout:
    """Body of SUM. part : twice the number of the sum, one more for its upper half. last : the core's last one."""
    return data.StructLayout(
        {"value": PART_BITS, "part": range(2 * sums(params)), "context": params.context_bits, "last": 1}
    )


def end_layout(params: CoreParams) -> data.StructLayout:
    """Body of END. acc, token : the largest accumulator of the core's rows and whose it is, the lowest of equal ones.
    last : the core's last one. failed : nothing but ``last`` is said, the token ended with an error there."""
    return data.StructLayout(
        {"token": TOKEN_BITS, "acc": signed(params.acc_bits), "context": params.context_bits, "last": 1, "failed": 1}
    )


def message_layout(params: CoreParams) -> data.StructLayout:
    """A message. hops : cores that it still goes on to behind the one it reaches. body : as its kind says."""
    bodies = (placed_layout(params), sum_layout(params), end_layout(params))
    return data.StructLayout({"kind": 2, "hops": CORE_BITS, "body": unsigned(max(body.size for body in bodies))})


def with_link(params: CoreParams) -> CoreParams:
    """The core with a link: the one it has, or one that takes a message a beat, if a beat may be so wide."""
    return params if params.linked else replace(params, link_bytes=min(message_bytes(params), MAX_LINK_BYTES))


def message_bytes(params: CoreParams) -> int:
    """Bytes of a message."""
    return -(-int(message_layout(params).size) // BYTE)
