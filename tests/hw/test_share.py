# SPDX-License-Identifier: Apache-2.0
"""What each of several linked cores has of a model, and how the header of its packets says so."""

import zlib

import numpy as np
import pytest

from tritforge.golden import TritforgeError
from tritforge.hw.packet import Context, header_words
from tritforge.hw.params import CoreParams, preset
from tritforge.hw.schedule import HEADER_WORDS, MATRICES, MAX_CORES, Group, Shape, group_segments, shares

MODELS = {
    "370M": Shape(1024, 24, 2816, 32000),
    "odd": Shape(43, 3, 71, 101),
    "least": Shape(16, 1, 16, 16),
}


@pytest.mark.parametrize("granule", [1, 4])
@pytest.mark.parametrize("cores", range(1, MAX_CORES + 1))
@pytest.mark.parametrize("model", MODELS)
def test_shares_are_every_row_once_and_as_equal_as_granules_allow(model: str, cores: int, granule: int) -> None:
    shape = MODELS[model]
    if min(shape.hidden, shape.intermediate, shape.vocab) <= granule * (cores - 1):
        with pytest.raises(TritforgeError, match=f"{cores} cores cannot share"):
            shares(shape, cores, granule)
        return
    found = shares(shape, cores, granule)
    for group in Group:
        rows = shape.outputs(group)
        dealt = [row for share in found for row in range(rows)[share.own(group)]]
        assert dealt == list(range(rows))
        granules = [-(-share.outputs(group) // granule) for share in found]
        assert granules == sorted(granules, reverse=True) and 1 <= granules[-1] >= granules[0] - 1
        assert all(share.first(group) % granule == 0 for share in found)
        assert all(share.inputs(group) == shape.inputs(group) for share in found)
        assert Shape.of(found[-1]) == shape, "the dimensions stay those of the whole"


def test_unequal_shares_by_hand() -> None:
    vocab = shares(MODELS["370M"], 3, 1)
    assert [(s.first(Group.HEAD), s.outputs(Group.HEAD)) for s in vocab] == [
        (0, 10667),
        (10667, 10667),
        (21334, 10666),
    ]
    four = shares(Shape(42, 1, 18, 19), 4, 4)
    assert [(s.first(Group.MIX), s.outputs(Group.MIX)) for s in four] == [(0, 12), (12, 12), (24, 12), (36, 6)]
    assert [(s.first(Group.EXPAND), s.outputs(Group.EXPAND)) for s in four] == [(0, 8), (8, 4), (12, 4), (16, 2)]


def test_a_share_has_the_segments_of_its_rows() -> None:
    """Fewer row blocks than cores: each has a block of its own."""
    params = CoreParams(lanes=16)
    shape = Shape(10, 1, 12, 16)
    for share in shares(shape, 8, 1):
        for group, matrices in MATRICES.items():
            kinds = [segment.kind for segment in group_segments(params, share, group, 0)]
            assert all(kinds.count(matrix) == 1 for matrix in matrices)


@pytest.mark.parametrize("cores", [0, -1, MAX_CORES + 1])
def test_other_numbers_of_cores_are_refused(cores: int) -> None:
    with pytest.raises(TritforgeError, match=rf"1 to {MAX_CORES} linked cores can share a model, not {cores}\."):
        shares(MODELS["370M"], cores, 1)


def test_a_dimension_without_a_row_for_each_core_is_named() -> None:
    with pytest.raises(
        TritforgeError, match=r"12 cores cannot share hidden 43, .* \(vector_rows=4\); take at most 11 cores\."
    ):
        shares(MODELS["odd"], 12, 4)
    with pytest.raises(
        TritforgeError, match=r"3 cores cannot share vocab 2, which has 2 row groups .* at most 2 cores\."
    ):
        shares(Shape(8, 1, 8, 2), 3, 1)


@pytest.mark.parametrize("value", [-1, 65])
def test_the_width_of_a_link_has_bounds(value: int) -> None:
    with pytest.raises(TritforgeError, match=rf"link_bytes must be 0 to 64, not {value}\."):
        CoreParams(link_bytes=value)
    assert CoreParams(link_bytes=64).linked and not CoreParams().linked


def test_the_header_of_a_linked_core_by_hand() -> None:
    """Core 2 of 3 of 370M on `edge`, 10 columns: hidden from 683, intermediate from 1878, vocabulary from 21334."""
    params = preset("edge")
    words = header_words(params, shares(MODELS["370M"], 3, 1)[2], [Context(5, zero=True, logits=True)], 9)
    expected = header_words(params, MODELS["370M"], [Context(5, zero=True, logits=True)], 9)
    expected[2] |= 2 << 24 | 2 << 28
    expected[9] |= 341 << 16
    expected[10] |= 21334 << 16
    expected[11] |= 938 << 16
    expected[12] |= 10666 << 16
    expected[14] = (68 | 3 << 11) | (187 | 8 << 11) << 16
    expected[15] = zlib.crc32(expected[:15].astype("<u4").tobytes())
    assert words.tolist() == expected.tolist()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("params", [preset("tiny"), preset("edge"), preset("wide")], ids=["tiny", "edge", "wide"])
def test_the_headers_fields_say_where_a_share_is(params: CoreParams, model: str) -> None:
    shape = MODELS[model]
    for share in shares(shape, 16, 1):
        words = header_words(params, share, [Context(0)], 0)[:HEADER_WORDS]
        low, high = (words & 0xFFFF).tolist(), (words >> 16).tolist()
        assert low[9:13] == [shape.hidden, shape.layers, shape.intermediate, shape.vocab]
        assert (high[2] >> 8 & 15, high[2] >> 12) == (share.index, 15)
        assert [high[at] for at in (9, 11, 12)] == [share.outputs(g) for g in (Group.OUT, Group.EXPAND, Group.HEAD)]
        assert high[10] == share.first(Group.HEAD)
        starts = [(half & 0x7FF) * params.columns + (half >> 11) for half in (low[14], high[14])]
        assert starts == [share.first(Group.OUT), share.first(Group.EXPAND)]


def test_the_largest_start_has_room() -> None:
    """The last of 16 cores of the largest model, where a word of a vector is shortest, and where it is longest."""
    for params in (CoreParams(lanes=4, element_bytes=1, code="two_bit"), CoreParams(lanes=64, element_bytes=4)):
        share = shares(Shape(8192, 1, 8192, 65535), 16, 1)[15]
        start = int(header_words(params, share, [Context(0)], 0)[14])
        assert (start & 0x7FF) * params.columns + (start >> 11 & 31) == 15 * 512
        assert start >> 16 == start & 0xFFFF


def test_one_linked_core_has_the_whole_model() -> None:
    params, shape = preset("edge"), MODELS["370M"]
    (share,) = shares(shape, 1, 1)
    words = header_words(params, share, [Context(0)], 0)
    assert np.flatnonzero(words != header_words(params, shape, [Context(0)], 0)).tolist() == [9, 11, 12, 15]
    assert [int(words[at]) >> 16 for at in (9, 11, 12)] == [1024, 2816, 32000]
