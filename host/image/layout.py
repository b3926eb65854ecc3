# SPDX-License-Identifier: Apache-2.0
"""Where the words and trits of a group lie in its run of bytes: one set of views for packer and reader."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tritforge.hw import schedule as sc
from tritforge.hw.params import CoreParams
from tritforge.hw.trits import positional

if sys.byteorder != "little":
    raise ImportError("Streams are little-endian and used in place; run on a little-endian machine.")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class GroupView:
    """Views into the bytes of one group; what is written to them is written to the bytes.

    Attributes
    ----------
    constants
        uint32 [CONSTANT_WORDS].
    gains
        uint32 [blocks, kinds, rows]: the side words; in EMBED the x words of each context come first.
    trits
        For each matrix uint8 [blocks, beats, rows, element_bytes].
    """

    constants: NDArray[np.uint32]
    gains: NDArray[np.uint32]
    trits: dict[str, Bytes]


def group_bytes(params: CoreParams, shape: sc.Shape, group: sc.Group, layer: int, contexts: int = 1) -> int:
    """Bytes of one group; only EMBED depends on the contexts."""
    return params.lanes * sc.group_beats(params, shape, group, layer, contexts)


def body_groups(params: CoreParams, shape: sc.Shape) -> Iterator[tuple[sc.Group, int, slice]]:
    """(group, layer, bytes within the body) of every group after EMBED, in stream order."""
    start = 0
    for group, layer in sc.groups(shape):
        if group is not sc.Group.EMBED:
            stop = start + group_bytes(params, shape, group, layer)
            yield group, layer, slice(start, stop)
            start = stop


def group_view(
    data: Bytes, params: CoreParams, shape: sc.Shape, group: sc.Group, layer: int, contexts: int = 1
) -> GroupView:
    """View the bytes of one group, those of `group_bytes`, as what they stand for."""
    gain_bytes = params.lanes * sc.block_side_beats(params, group, layer == shape.layers - 1, contexts)
    beats = params.beats(shape.inputs(group))
    constant_bytes = params.lanes * sc.side_beats(params, sc.CONSTANT_WORDS)
    blocks = data[constant_bytes:].reshape(params.blocks(shape.outputs(group)), -1)
    trits = {}
    for index, name in enumerate(sc.MATRICES[group]):
        start = gain_bytes + index * beats * params.lanes
        run = blocks[:, start : start + beats * params.lanes]
        trits[name] = run.reshape(len(blocks), beats, params.rows, params.element_bytes)
    constants = data[: 4 * sc.CONSTANT_WORDS].view(np.uint32)
    # the words of one kind for all rows of a block are whole beats, so nothing lies between the kinds
    gains = blocks[:, :gain_bytes].view(np.uint32).reshape(len(blocks), -1, params.rows)
    return GroupView(constants, gains, trits)


def in_blocks(words: NDArray[np.uint32], params: CoreParams) -> NDArray[np.uint32]:
    """Side words [n, kinds] of rows as [blocks, kinds, rows]; zero beyond the last row."""
    padded = np.zeros((params.blocks(len(words)) * params.rows, words.shape[1]), dtype=np.uint32)
    padded[: len(words)] = words
    return padded.reshape(-1, params.rows, words.shape[1]).swapaxes(1, 2)


def in_rows(gains: NDArray[np.uint32], n: int) -> NDArray[np.uint32]:
    """Side words [n, kinds] of the first n rows, from [blocks, kinds, rows]."""
    blocks, kinds, rows = gains.shape
    return gains.swapaxes(1, 2).reshape(blocks * rows, kinds)[:n]


def encode_trits(trits: NDArray[np.int8], params: CoreParams) -> Bytes:
    """Encode a matrix of trits [n_out, n_in].

    Returns
    -------
    uint8 [blocks, beats, rows, element_bytes]; rows and columns beyond the matrix are zero trits.
    """
    n_out, n_in = trits.shape
    blocks, beats = params.blocks(n_out), params.beats(n_in)
    padded = np.zeros((blocks * params.rows, beats * params.columns), dtype=np.uint8)
    padded[:n_out, :n_in] = trits.view(np.uint8)
    code = params.trit_code
    groups = padded.reshape(-1, code.trits)
    # Negative trits wrap; the sum is exact modulo 256, and so is the index, which is below 243.
    index = groups[:, -1].copy()
    for k in reversed(range(code.trits - 1)):
        index *= 3
        index += groups[:, k]
    index += positional([0] * code.trits)
    codes = code.encode_table.take(index).reshape(blocks, params.rows, beats, params.element_bytes)
    return codes.transpose(0, 2, 1, 3)


def decode_trits(codes: Bytes, n_out: int, n_in: int, params: CoreParams) -> NDArray[np.int8]:
    """Decode what `encode_trits` returns to the matrix int8 [n_out, n_in]."""
    blocks, beats, rows, _ = codes.shape
    trits = params.trit_code.decode_table.take(codes.transpose(0, 2, 1, 3), axis=0)
    whole = trits.reshape(blocks * rows, beats * params.columns)
    return np.ascontiguousarray(whole[:n_out, :n_in])
