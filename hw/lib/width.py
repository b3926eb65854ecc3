# SPDX-License-Identifier: Apache-2.0
"""Values made to fit a signal, said where it is done.

Amaranth's ``eq`` drops upper bits without a word; `rtl_gen.verilog.narrow` refuses a component that has an assignment
whose right side can be more than its left holds. These say that it is meant; a comment beside
them says why it is right.
"""

from amaranth.hdl import Cat, Shape, Value, ValueLike


def cut(value: ValueLike, like: Value) -> Value:
    """The low bits of ``value`` in the shape of ``like``; what is above them is zero, a sign, or not wanted."""
    value, shape = Value.cast(value), Shape.cast(like.shape())
    missing = shape.width - len(value)
    if missing > 0:
        value = Cat(value, value[-1].replicate(missing) if value.shape().signed else Value.cast(0).replicate(missing))
    bits = value[: shape.width]
    return bits.as_signed() if shape.signed else bits


def plus_one(count: Value) -> Value:
    """The number after it, modulo its range."""
    return (count + 1)[: len(count)]


def minus_one(count: Value) -> Value:
    """The number before it, modulo its range."""
    return (count - 1)[: len(count)]
