# SPDX-License-Identifier: Apache-2.0
"""Rows with their place in the vector store."""

from math import gcd

from amaranth.lib import data

from tritforge.hw.lib.floats import code_float
from tritforge.hw.params import CoreParams


def phases(params: CoreParams) -> list[int]:
    """Column of a word at which V = ``params.vector_rows`` elements can begin, by phase: any multiple of V, modulo
    the columns."""
    columns, rows = params.columns, params.vector_rows
    return [phase * rows % columns for phase in range(columns // gcd(rows, columns))]


def phase_shape(params: CoreParams) -> range:
    """Of a phase's number; at least one bit, since a port needs one."""
    return range(max(2, len(phases(params))))


def placed_layout(params: CoreParams) -> data.StructLayout:
    """V elements of one vector, and where they belong.

    valid : mask of rows, from row 0 on. which, context : the vector, 0 unless there are three, and whose. floats :
    code floats, one a row. word, next_word : positions in the store where they begin and, where the word ends among
    them, go on. phase : where in the word, see `phases`.
    """
    position = range(params.store_positions)
    runs_on = {"next_word": position} if params.columns % params.vector_rows else {}
    return data.StructLayout(
        {
            "floats": data.ArrayLayout(code_float(params.formats), params.vector_rows),
            "valid": params.vector_rows,
            "which": 2,
            "context": params.context_bits,
            "word": position,
            **runs_on,
            "phase": phase_shape(params),
        }
    )
