# SPDX-License-Identifier: Apache-2.0
"""Images that several linked cores share: each core's rows, what is whole when they are put together, bad files."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import SMALL, random_checkpoint
from tests.host.image.integers import assert_same
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image, ImageError
from tritforge.host.image.pack import pack
from tritforge.host.image.stream import TokenStream
from tritforge.hw.packet import Context, header_words
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Shape, segments

CORES = {
    "4x1": CoreParams(lanes=4, element_bytes=1),
    "8x2": CoreParams(lanes=8, element_bytes=2, code="two_bit"),
    "64x4": CoreParams(lanes=64, element_bytes=4, vector_rows=2, code="positional"),
}
MODELS = {
    "small": (SMALL, (1, 2, 3, 11)),
    "one layer": (replace(SMALL, layers=1, use_lower_bound=False), (2,)),
    "vocab 32000 over 3": (ModelConfig(hidden=16, layers=1, intermediate=24, vocab=32000), (3,)),
    "intermediate 2816 over 8": (ModelConfig(hidden=16, layers=1, intermediate=2816, vocab=64), (8,)),
    "fewer row blocks than cores": (ModelConfig(hidden=34, layers=2, intermediate=40, vocab=36), (16,)),
}
CASES = [(model, cores, core) for model, (_, numbers) in MODELS.items() for cores in numbers for core in CORES]
ASKED = [Context(3, zero=True), Context(7, logits=True)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("checkpoints")
    return {name: random_checkpoint(top / str(n), config) for n, (name, (config, _)) in enumerate(MODELS.items())}


def packed(folder: Path, params: CoreParams, path: Path, cores: int = 1) -> tuple[IntegerCheckpoint, Image]:
    source = IntegerCheckpoint(Checkpoint(folder), params.formats)
    pack(source, params, path, cores=cores)
    return source, Image.open(path, verify=True)


@pytest.mark.parametrize(("model", "cores", "core"), CASES)
def test_the_shares_put_together_are_the_checkpoint(
    folders: dict[str, Path], tmp_path: Path, model: str, cores: int, core: str
) -> None:
    source, image = packed(folders[model], CORES[core], tmp_path / "image", cores)
    assert image.cores == len(image.shares) == cores
    assert_same(DecodedImage(image), source)


def parts(packet: list[np.ndarray], params: CoreParams, shape: Shape) -> Iterator[tuple[tuple, np.ndarray]]:
    """What a packet has, as docs/image.md lays it out: rows of words or bytes by name, or the words of constants."""
    data = np.concatenate([np.asarray(part).reshape(-1) for part in packet])
    blocks: dict[tuple, list[np.ndarray]] = {}
    at = 0
    for segment in segments(params, shape, len(ASKED)):
        end = at + params.lanes * segment.beats
        blocks.setdefault((segment.kind, segment.group.name, segment.layer), []).append(data[at:end])
        at = end
    assert at == len(data)
    for name, found in blocks.items():
        if name[0] in ("header", "constants"):
            (words,) = found
            yield name, words.view(np.uint32)[:8]
        elif name[0] == "gains":
            yield name, np.concatenate([one.view(np.uint32).reshape(-1, params.rows).T for one in found])
        else:
            rows = [
                one.reshape(-1, params.rows, params.element_bytes).transpose(1, 0, 2).reshape(params.rows, -1)
                for one in found
            ]
            yield name, np.concatenate(rows)


def dealt(rows: int, cores: int, granule: int) -> list[int]:
    """Rows of each core: whole granules, one more for each of the first cores where they do not divide."""
    granules = -(-rows // granule)
    ends = [0]
    for core in range(cores):
        ends.append(min(rows, ends[-1] + granule * (granules // cores + (core < granules % cores))))
    return np.diff(ends).tolist()


@pytest.mark.parametrize(("model", "cores", "core"), CASES)
def test_each_cores_packet_has_its_rows_of_the_whole_packet(
    folders: dict[str, Path], tmp_path: Path, model: str, cores: int, core: str
) -> None:
    """Row by row against the packet of one core, without the code that packs and decodes."""
    params = CORES[core]
    one = packed(folders[model], params, tmp_path / "one")[1]
    image = packed(folders[model], params, tmp_path / "image", cores)[1]
    for opened in (one, image):
        opened.entry[0][4:6] = 7, 9  # which models have in EXPAND alone
    whole = dict(parts(TokenStream(one).packet(ASKED, 5), params, one.shape))
    assert whole["constants", "EMBED", 0][4:6].all() and whole["constants", "EXPAND", 0][4:6].any()
    packets, at = TokenStream(image).packets(ASKED, 5), dict.fromkeys(whole, 0)
    zeros = params.trit_code.encode([0] * params.trit_code.trits)
    assert len(packets) == cores
    for index, (packet, share) in enumerate(zip(packets, image.shares, strict=True)):
        found = dict(parts(packet, params, share))
        assert found.keys() == whole.keys()
        for name, rows in found.items():
            kind, group, _ = name
            if kind == "header":
                assert rows.tolist() == header_words(params, share, ASKED, 5)[: len(rows)].tolist()
            elif kind == "constants":
                bias = [0, 0] if index else whole[name][4:6].tolist()
                assert rows.tolist() == [*whole[name][:4].tolist(), *bias, 0, 0], "the first core alone has the bias"
            else:
                total = getattr(one.shape, {"EXPAND": "intermediate", "HEAD": "vocab"}.get(group, "hidden"))
                count = dealt(total, cores, params.vector_rows)[index]
                assert np.array_equal(rows[:count], whole[name][at[name] : at[name] + count])
                assert (rows[count:] == (0 if kind == "gains" else zeros)).all(), "padding"
                assert len(rows) == -(-count // params.rows) * params.rows
                at[name] += count
    assert all(
        at[name] in (one.shape.hidden, one.shape.intermediate, one.shape.vocab)
        for name in whole
        if name[0] not in ("header", "constants")
    )


def test_the_integer_model_runs_from_a_shared_image(folders: dict[str, Path], tmp_path: Path) -> None:
    ids = torch.arange(3, 20)
    source, image = packed(folders["small"], CoreParams(), tmp_path / "image", 4)
    (has, state), (wants, expected) = (IntegerModel(s).forward(ids) for s in (DecodedImage(image), source))
    assert torch.equal(has.raw, wants.raw) and torch.equal(state, expected)


def test_one_linked_core_takes_an_image_of_one_core(folders: dict[str, Path], tmp_path: Path) -> None:
    """The same bytes behind a header of its own."""
    params = CORES["8x2"]
    _, image = packed(folders["small"], params, tmp_path / "image")
    stream = TokenStream(image)
    header, *rest = (part.copy() for part in stream.packet(ASKED, 1))
    (linked,) = stream.packets(ASKED, 1)
    assert linked[0].tobytes() == header_words(params, image.shares[0], ASKED, 1).tobytes() != header.tobytes()
    assert all(np.array_equal(has, wants) for has, wants in zip(linked[1:], rest, strict=True))


def test_a_core_without_a_link_gets_no_packet_of_a_shared_image(folders: dict[str, Path], tmp_path: Path) -> None:
    _, image = packed(folders["small"], CORES["8x2"], tmp_path / "image", 2)
    with pytest.raises(
        ImageError, match=r"image is packed for 2 linked cores; pack the checkpoint without --cores\."
    ):
        TokenStream(image).packet([Context(0)])


def test_the_file_is_as_documented(folders: dict[str, Path], tmp_path: Path) -> None:
    params = CORES["64x4"]
    _, image = packed(folders["small"], params, tmp_path / "image", 3)
    packed(folders["small"], params, tmp_path / "one")
    data, one = (tmp_path / "image").read_bytes(), (tmp_path / "one").read_bytes()
    assert struct.unpack_from("<I", data, 8) == (4,) and struct.unpack_from("<2I", data, 88) == (3, 2)
    assert struct.unpack_from("<I", one, 8) == (3,) and struct.unpack_from("<2I", one, 88) == (0, 0)
    offset, length, crc = struct.unpack_from("<QQI", data, 96 + 5 * 40 + 16)
    assert offset + length == len(data) and crc == zlib.crc32(data[offset:])
    at = offset
    for share, body in zip(image.shares, image.bodies, strict=True):
        beats = sum(s.beats for s in segments(params, share) if s.group.name != "EMBED")
        assert body.nbytes == params.lanes * beats and body.tobytes() == data[at : at + body.nbytes]
        gap = -(at + body.nbytes) % 4096
        assert share is image.shares[-1] or not any(data[at + body.nbytes : at + body.nbytes + gap])
        at += body.nbytes + gap
    # what comes before the bodies is the same for any number of cores
    assert data[4096:offset] == one[4096 : struct.unpack_from("<Q", one, 96 + 5 * 40 + 16)[0]]


@pytest.mark.parametrize(
    ("cores", "message"),
    [
        (0, "1 to 16 linked cores can share a model, not 0"),
        (17, "1 to 16 linked cores can share a model, not 17"),
        (13, r"13 cores cannot share hidden 24, which has 12 row groups \(vector_rows=2\); take at most 12 cores"),
    ],
)
def test_numbers_of_cores_that_cannot_share_it_are_refused(
    folders: dict[str, Path], tmp_path: Path, cores: int, message: str
) -> None:
    with pytest.raises(TritforgeError, match=message):
        packed(folders["small"], CORES["64x4"], tmp_path / "image", cores)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def three(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("three") / "image"
    packed(folders["small"], CORES["8x2"], path, 3)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, 3, "contradicts itself .section body has"),
        (8, 5, "it has image version 5, but this release reads 3 and 4; update tritforge"),
        (88, 2, "contradicts itself .section body has"),
        (88, 0, "contradicts itself .1 to 16 linked cores can share a model, not 0"),
        (88, 17, "contradicts itself .1 to 16 linked cores can share a model, not 17"),
        (92, 0, "contradicts itself"),
        (92, 4, "contradicts itself .section body has"),
        (92, 16, "contradicts itself .3 cores cannot share hidden 24"),
    ],
)
def test_headers_that_contradict_themselves_are_refused(
    three: bytes, tmp_path: Path, offset: int, value: int, message: str
) -> None:
    data = bytearray(three)
    struct.pack_into("<I", data, offset, value)
    struct.pack_into("<I", data, 508, zlib.crc32(data[:508]))
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(ImageError, match=message) as caught:
        Image.open(tmp_path / "bad")
    assert "\n" not in str(caught.value)


def test_an_altered_byte_of_any_core_is_found(three: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(three)
    header = Image.open(path, verify=True).header
    start = header.sections["body"].offset
    for at in (place for body in header.bodies for place in (body.start, body.stop - 1, body.stop)):
        if start + at < len(three):
            changed = bytearray(three)
            changed[start + at] ^= 1
            path.write_bytes(changed)
            with pytest.raises(ImageError, match=r"its section body was altered \(CRC\)"):
                Image.open(path, verify=True)
    path.write_bytes(three[:-1])
    with pytest.raises(ImageError, match="it is truncated"):
        Image.open(path)
