# SPDX-License-Identifier: Apache-2.0
"""Finds assignments that drop bits in silence: Amaranth's ``eq`` truncates, and the Verilog says it was meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import amaranth
from amaranth.hdl import Shape, _ast, _ir

_LIBRARY = Path(amaranth.__file__).parent


class Narrowing(NamedTuple):
    """An assignment whose right side can be more than its left holds.

    Attributes
    ----------
    file, line
        Where it is written.
    left, right
        The shapes of both sides; that of an arithmetic result has grown.
    """

    file: str
    line: int
    left: Shape
    right: Shape

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line} assigns {self.right!r} to {self.left!r}"


def narrowings(fragment: _ir.Fragment) -> list[Narrowing]:
    """All in a design and below, each line once; those of Amaranth's own library are not ours to judge."""
    found = {
        Narrowing(file, line, left, right)
        for statement in _assignments(fragment)
        for file, line in [statement.src_loc or ("unknown", 0)]
        if not _holds(left := statement.lhs.shape(), right := statement.rhs.shape())
    }
    return sorted((one for one in found if not Path(one.file).is_relative_to(_LIBRARY)), key=str)


def _holds(left: Shape, right: Shape) -> bool:
    """Whether every value of one shape is one of the other."""
    if right.signed and not left.signed:
        return False
    return right.width + (left.signed and not right.signed) <= left.width or not right.width


def _assignments(fragment: _ir.Fragment) -> Iterator[_ast.Assign]:
    for statements in fragment.statements.values():
        yield from _within(statements)
    for child, *_ in fragment.subfragments:
        yield from _assignments(child)


def _within(statements: list[_ast.Statement]) -> Iterator[_ast.Assign]:
    for statement in statements:
        if isinstance(statement, _ast.Assign):
            yield statement
        elif isinstance(statement, _ast.Switch):
            for case in statement.cases:
                yield from _within(case[1])
