# SPDX-License-Identifier: Apache-2.0
"""Everything in a board's memory has a place of its own, and a packet put together from there is the image's."""

import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cores import CORES, packed
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.host.board.plan import Directory, content, digest, plan
from tritforge.host.image.image import Image
from tritforge.host.image.stream import TokenStream
from tritforge.hw.board.layout import DIRECTORY_BYTES, LEAST_RESULTS, Plan, place, sizes
from tritforge.hw.board.machine_map import BLOCKS_BITS, STRIDE_BITS, Identity
from tritforge.hw.memory.reader import BEATS_BITS
from tritforge.hw.packet import Context
from tritforge.hw.params import LIMITS, MAX_BATCH, CoreParams
from tritforge.hw.schedule import Shape

GEOMETRIES = ("4x1", "16x2", "256x4")
LARGE = 1 << 24


@pytest.fixture(scope="module", params=[*GEOMETRIES, "large vocabulary"])
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("image")
    if request.param in GEOMETRIES:
        return packed(CORES[request.param], folder)
    # the logits of a packet are more than what is left for results in any case
    return packed(CoreParams(), folder, ModelConfig(hidden=8, layers=1, intermediate=8, vocab=3000))


def memory(image: Image, beats: int) -> Identity:
    return Identity(image.params.lanes, beats * image.params.lanes, 100_000_000)


def places(image: Image, where: Plan) -> list[tuple[int, int]]:
    """First beat and end of each part that there is."""
    vocab = image.shape.vocab
    records = [] if where.records is None else [(where.records, where.records + vocab * where.record_beats())]
    return sorted(
        [
            (0, -(-DIRECTORY_BYTES // where.beat_bytes)),
            (where.gains, where.gains + where.blocks * where.gains_beats),
            (where.body, where.body + where.body_beats),
            *records,
            (where.scratch, where.scratch + where.record_beats(MAX_BATCH)),
            (where.results, where.results + where.results_beats),
        ]
    )


def results_bytes(image: Image) -> int:
    """That the largest result takes, with its cycles, or that are left in any case."""
    return max(LEAST_RESULTS, 4 * (MAX_BATCH * (image.shape.vocab + 2) + 3))


def needed(image: Image, records: bool) -> int:
    """Beats of the least memory, with records or without."""
    where = plan(image, memory(image, LARGE))
    parts = [end - first for first, end in places(image, where)]
    fixed = sum(parts) - where.results_beats + -(-results_bytes(image) // where.beat_bytes)
    return fixed if records else fixed - image.shape.vocab * where.record_beats()


def test_parts_do_not_overlap(image: Image) -> None:
    least, all_of_it = needed(image, False), needed(image, True)
    for beats in (least, least + 1, all_of_it - 1, all_of_it, all_of_it + 1, LARGE):
        where = plan(image, memory(image, beats))
        parts = places(image, where)
        assert all(first < end for first, end in parts)
        assert all(one[1] <= other[0] for one, other in pairwise(parts))
        assert parts[0][0] == 0 and parts[-1] == (where.results, beats)
        assert where.results_beats * where.beat_bytes >= results_bytes(image)
        assert (where.records is None) == (beats < all_of_it)


def test_what_does_not_fit_is_refused(image: Image) -> None:
    least = needed(image, False)
    size = least * image.params.lanes
    with pytest.raises(TritforgeError, match="smaller model or a board with more memory") as error:
        plan(image, memory(image, least - 1))
    assert f"takes {size / 1e6:.1f} MB and the board has {(size - image.params.lanes) / 1e6:.1f} MB" in str(
        error.value
    )
    with pytest.raises(TritforgeError, match=f"beats of {image.params.lanes} bytes, the board of 32; pack"):
        plan(image, Identity(32, 1 << 30, 100_000_000))


def test_a_body_that_the_machine_cannot_count_is_refused() -> None:
    """A matter of its beats; the last that is taken, and the first that is not."""
    models = [Shape(2048, layers, 5632, 256) for layers in range(1, 64)]
    few = [model for model in models if sizes(CoreParams(), model).body_beats < 1 << BEATS_BITS]
    taken, refused = few[-1], models[len(few)]
    assert place(CoreParams(), taken, 1 << 30).body_beats == sizes(CoreParams(), taken).body_beats
    with pytest.raises(TritforgeError, match=r"has [\d,]+ beats, and a board's machine counts to 8,388,607; take"):
        place(CoreParams(), refused, 1 << 30)
    assert place(CoreParams(lanes=32), refused, 1 << 30)


@pytest.mark.parametrize("element_bytes", [1, 2])
def test_the_machine_counts_the_records_of_every_core(element_bytes: int) -> None:
    """Of the narrowest beats, with the largest inputs."""
    largest = {name: most for name, (_, most) in LIMITS.items()}
    found = sizes(CoreParams(lanes=4, element_bytes=element_bytes), Shape(**largest))
    assert found.blocks >> BLOCKS_BITS == 0 and found.record_beats(MAX_BATCH) >> BEATS_BITS == 0
    assert found.record_beats() >> STRIDE_BITS == 0


@pytest.mark.parametrize("contexts", range(1, MAX_BATCH + 1))
def test_a_split_packet_is_put_together(image: Image, contexts: int) -> None:
    where, stream = plan(image, memory(image, LARGE)), TokenStream(image)
    asked = [Context(7 * n % image.shape.vocab, zero=n % 2 == 0, logits=n % 3 == 0) for n in range(contexts)]
    packet = [part.copy() for part in stream.packet(asked, 5)]
    record, gains = where.split(packet, contexts)
    assert len(record) == where.record_beats(contexts) * where.beat_bytes
    head, x = np.split(record, [where.head_beats * where.beat_bytes])
    blocks = [x.reshape(where.blocks, -1), gains.reshape(where.blocks, -1)]
    assert np.array_equal(np.concatenate([head, np.hstack(blocks).ravel(), packet[-1]]), np.concatenate(packet))


def test_what_is_loaded_makes_every_token_s_packet(image: Image) -> None:
    where, stream = plan(image, memory(image, LARGE)), TokenStream(image)
    beat = where.beat_bytes
    loaded = np.concatenate([part.ravel() for part in content(image, where)])
    assert len(loaded) == where.loaded_beats * beat

    def part(first: int, beats: int) -> Any:
        return loaded[(first - where.gains) * beat :][: beats * beat]

    for token in range(image.shape.vocab):
        at = where.records + token * where.record_beats()
        parts = [part(at, where.head_beats)]
        for block in range(where.blocks):
            parts.append(part(at + where.head_beats + block * where.x_beats, where.x_beats))
            parts.append(part(where.gains + block * where.gains_beats, where.gains_beats))
        parts.append(part(where.body, where.body_beats))
        assert np.array_equal(np.concatenate(parts), np.concatenate(stream.packet([Context(token)])))
    # without records there is the rest
    fewer = plan(image, memory(image, needed(image, True) - 1))
    rest = np.concatenate([part.ravel() for part in content(image, fewer)])
    assert np.array_equal(rest, loaded[: len(rest)]) and len(rest) == fewer.loaded_beats * beat


@pytest.mark.parametrize("verified", [False, True])
def test_a_directory_is_read_as_written(verified: bool) -> None:
    directory = Directory(bytes(range(100, 132)), 0x12345678, verified)
    packed = directory.pack()
    assert len(packed) == DIRECTORY_BYTES and Directory.parse(packed) == directory


def test_whatever_is_no_directory_is_none() -> None:
    content = Directory(bytes(range(100, 132)), 0x12345678, True).pack()
    for at in range(DIRECTORY_BYTES):
        for change in (0x01, 0x80, 0xFF):
            altered = content[:at] + bytes([content[at] ^ change]) + content[at + 1 :]
            assert Directory.parse(altered) is None, at
    another = bytes([content[0] ^ 1]) + content[1:-4]
    another += zlib.crc32(another).to_bytes(4, "little")
    for other in (another, bytes(DIRECTORY_BYTES), b"\xff" * DIRECTORY_BYTES, content[4:] + bytes(4)):
        assert Directory.parse(other) is None


def test_a_digest_names_model_and_places(image: Image, tmp_path: Path) -> None:
    def named(image: Image, beats: int) -> bytes:
        return digest(image, plan(image, memory(image, beats)))

    assert named(image, LARGE) == named(Image.open(image.path), LARGE)
    other = packed(image.params, tmp_path, image.config, seed=1)
    names = {named(one, beats) for one in (image, other) for beats in (LARGE, LARGE // 2, needed(image, False))}
    assert len(names) == 6 and all(len(name) == 32 for name in names)
