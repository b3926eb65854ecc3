# SPDX-License-Identifier: Apache-2.0
"""Images: the layout of trits, decoding back to the checkpoint's integers, and refusal of bad files."""

import json
import struct
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.checkpoints import SMALL, random_checkpoint
from tests.host.image.integers import assert_same
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.header import SECTIONS, Header
from tritforge.host.image.image import Image, ImageError
from tritforge.host.image.layout import decode_trits, encode_trits
from tritforge.host.image.pack import pack
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Group, segments
from tritforge.hw.trits import CODES

CORES = [
    CoreParams(lanes=4, element_bytes=1),
    CoreParams(lanes=4, element_bytes=2),
    CoreParams(lanes=16, element_bytes=4, formats=Formats(24, 14, 14)),
    CoreParams(lanes=64, element_bytes=2, code="positional"),
    CoreParams(lanes=8, element_bytes=1, code="two_bit"),
]
REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "b_h128_l4_bf16"


@st.composite
def matrices(draw: st.DrawFn) -> tuple[CoreParams, np.ndarray]:
    lanes = draw(st.sampled_from((4, 8, 32)))
    element_bytes = draw(st.sampled_from([n for n in (1, 2, 4) if lanes // n >= 2]))
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(-1, 2, (rows, columns), dtype=np.int8)
    return CoreParams(lanes=lanes, element_bytes=element_bytes, code=draw(st.sampled_from(list(CODES)))), values


@given(matrices())
def test_trits_survive_the_round_trip(case: tuple[CoreParams, np.ndarray]) -> None:
    params, values = case
    assert np.array_equal(decode_trits(encode_trits(values, params), *values.shape, params), values)


@given(matrices())
def test_each_lane_of_each_beat_holds_its_row_and_columns(case: tuple[CoreParams, np.ndarray]) -> None:
    params, values = case
    padded = np.zeros((params.blocks(len(values)) * params.rows, params.beats(values.shape[1]) * params.columns), int)
    padded[: len(values), : values.shape[1]] = values
    stream = np.ascontiguousarray(encode_trits(values, params)).reshape(-1, params.lanes)
    for beat, lanes in enumerate(stream):
        block, step = divmod(beat, params.beats(values.shape[1]))
        for lane, byte in enumerate(lanes):
            row, k = block * params.rows + lane // params.element_bytes, lane % params.element_bytes
            column = step * params.columns + params.trit_code.trits * k
            assert byte == params.trit_code.encode(padded[row, column : column + params.trit_code.trits].tolist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def packed(folder: Path, params: CoreParams, path: Path, **embedding: int) -> tuple[IntegerCheckpoint, Image]:
    source = IntegerCheckpoint(Checkpoint(folder), params.formats, **embedding)
    pack(source, params, path)
    return source, Image.open(path, verify=True)


@pytest.mark.parametrize("params", CORES, ids=lambda params: f"{params.lanes}x{params.element_bytes}-{params.code}")
def test_an_image_decodes_to_the_integers_of_its_checkpoint(folder: Path, tmp_path: Path, params: CoreParams) -> None:
    source, image = packed(folder, params, tmp_path / "image")
    assert image.config == SMALL and image.fmt == params.formats
    assert_same(DecodedImage(image), source)


@pytest.mark.parametrize(("bits", "group"), [(8, 8), (8, 0), (16, 12)])
def test_embeddings_of_all_kinds_survive(folder: Path, tmp_path: Path, bits: int, group: int) -> None:
    source, image = packed(folder, CORES[1], tmp_path / "image", embedding_bits=bits, embedding_group=group)
    assert (image.header.embedding_bits, image.header.embedding_group) == (bits, group or 8)
    assert np.array_equal(image.embedding.codes, source.embedding.codes)
    assert np.array_equal(image.embedding.scales, source.embedding.scales)


def test_a_model_without_lower_bounds_and_with_one_layer(tmp_path: Path) -> None:
    config = replace(SMALL, layers=1, use_lower_bound=False)
    source, image = packed(random_checkpoint(tmp_path / "c", config), CORES[0], tmp_path / "image")
    assert image.config == config
    assert_same(DecodedImage(image), source)


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference checkpoints are not here")
def test_the_integer_model_runs_from_an_image_of_a_reference_checkpoint(tmp_path: Path) -> None:
    source, image = packed(REFERENCE, CoreParams(), tmp_path / "image")
    ids = torch.arange(3, 40)
    (has, state), (wants, expected) = (IntegerModel(s).forward(ids) for s in (DecodedImage(image), source))
    assert torch.equal(has.raw, wants.raw) and torch.equal(state, expected)
    assert torch.equal(has.scale(), wants.scale())


def test_the_tokenizer_comes_back(folder: Path, tmp_path: Path) -> None:
    _, image = packed(folder, CORES[0], tmp_path / "image")
    assert image.codec().decode(image.codec().encode("Grün, 7!")) == "Grün, 7!"


def test_an_image_without_tokenizer_says_so(tmp_path: Path) -> None:
    _, image = packed(random_checkpoint(tmp_path / "c", tokenizer=False), CORES[0], tmp_path / "image")
    with pytest.raises(ImageError, match=r"holds no tokenizer; pack a checkpoint that has a tokenizer\.json"):
        image.codec()


def test_the_header_is_as_documented(folder: Path, tmp_path: Path) -> None:
    params = CORES[2]
    _, image = packed(folder, params, tmp_path / "image", embedding_bits=8, embedding_group=6)
    data = (tmp_path / "image").read_bytes()
    assert data[:8] == b"\x93TFI\r\n\x1a\n" and data[16:24] == b"nested\0\0"
    assert struct.unpack_from("<2I", data, 8) == (3, 2)
    assert struct.unpack_from("<5I", data, 24) == (16, 4, 24, 14, 14)
    assert struct.unpack_from("<4I", data, 44) == (24, 2, 44, 301)
    assert struct.unpack_from("<2Ii", data, 60) == (8, 6, image.embedding.residual_frac)
    assert struct.unpack_from("<QII", data, 72) == (len(data), 6, 2)
    for index, name in enumerate(SECTIONS):
        raw, offset, length, crc, zero = struct.unpack_from("<16sQQII", data, 96 + 40 * index)
        assert (raw.rstrip(b"\0").decode(), zero, offset % 4096) == (name, 0, 0)
        following = [s.offset for s in image.header.sections.values() if s.offset > offset]
        if length:
            assert crc == zlib.crc32(data[offset : min(following, default=len(data))])
    assert struct.unpack_from("<I", data, 508)[0] == zlib.crc32(data[:508])
    # the header and the EMBED group are not in the body
    beats = sum(s.beats for s in segments(params, image.shape) if s.group is not Group.EMBED)
    assert image.body.nbytes == params.lanes * beats


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "image"
    packed(folder, CORES[1], path)
    return path.read_bytes()


def patched(data: bytes, offset: int, new: bytes, seal: bool = False) -> bytes:
    """The bytes with some replaced; ``seal`` makes the header's CRC right again."""
    data = data[:offset] + new + data[offset + len(new) :]
    return data[:508] + struct.pack("<I", zlib.crc32(data[:508])) + data[512:] if seal else data


BAD = {
    "empty": (lambda d: b"", "it is no tritforge image"),
    "another file": (lambda d: b"PK" + d[2:], "it is no tritforge image"),
    "as text": (lambda d: d.replace(b"\r\n", b"\n", 1), "it is no tritforge image"),
    "cut in the header": (lambda d: d[:300], "it is truncated within its header of 512 bytes; copy it again"),
    "cut in the body": (lambda d: d[:-1], r"it is truncated to \d+ of \d+ bytes; copy it again"),
    "too long": (lambda d: d + b"\0", "it holds 1 bytes behind its end"),
    "newer": (lambda d: patched(d, 8, b"\5"), "it has image version 5, but this release reads 3 and 4; update"),
    "older": (lambda d: patched(d, 8, b"\2"), "it has image version 2, .* pack the checkpoint again"),
    "header altered": (lambda d: patched(d, 44, b"\7"), r"its header was altered \(CRC\)"),
    "other code": (
        lambda d: patched(patched(d, 12, b"\1"), 16, b"escape", True),
        "its trits use the code 'escape', but this release reads nested, positional, two_bit; pack",
    ),
    "other stream": (
        lambda d: patched(d, 84, b"\1", True),
        "its body has stream version 1, this release sends 2",
    ),
    "bad geometry": (lambda d: patched(d, 24, b"\5", True), r"its header contradicts itself \(lanes must be"),
    "no layers": (lambda d: patched(d, 48, bytes(4), True), r"contradicts itself \(layers is 0, not 1 to 255\)"),
    "bad group": (lambda d: patched(d, 64, bytes(4), True), "its header contradicts itself"),
    "other shape": (lambda d: patched(d, 52, b"\7", True), "its header contradicts itself .section body has"),
    "unknown section": (lambda d: patched(d, 96, b"x", True), r"contradicts itself \(the sections are"),
    "section beyond the end": (
        lambda d: patched(d, 96 + 5 * 40 + 16, struct.pack("<Q", len(d)), True),
        "section body is out of bounds",
    ),
    "config of another": (
        lambda d: d.replace(b'"vocab": 301', b'"vocab": 302'),
        "its header and configuration disagree",
    ),
    "config unreadable": (
        lambda d: d.replace(b'"vocab": 301', b'"vocab: 301"'),
        "its configuration is unread",
    ),
}


def with_section(whole: bytes, path: Path, name: str, content: bytes) -> Image:
    """The image with other contents of a section, which lie at its end."""
    header, data = Header.parse(whole[:512]), np.frombuffer(whole + content, np.uint8)
    section = replace(header.sections[name], offset=len(whole), length=len(content))
    return Image(path, replace(header, sections=header.sections | {name: section}), data)


BAD_CONFIGS = {
    "nested without end": b"[" * 100_000,
    "no object": b"[]",
    "no JSON": b"\xff{",
    "another member": json.dumps(asdict(SMALL) | {"heads": 1}).encode(),
    "a token beyond": json.dumps(asdict(SMALL) | {"eos": [301]}).encode(),
    "a size as text": json.dumps(asdict(SMALL) | {"hidden": "24"}).encode(),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_bad_configurations_are_refused_in_one_sentence(whole: bytes, tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="its configuration is unreadable") as caught:
        with_section(whole, tmp_path, "config", BAD_CONFIGS[name])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"{}"])
def test_bad_tokenizers_are_refused_in_one_sentence(whole: bytes, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageError, match=f"The tokenizer in {tmp_path} is unreadable"):
        with_section(whole, tmp_path, "tokenizer", content).codec()


@pytest.mark.parametrize("name", BAD)
def test_bad_images_are_refused_in_one_sentence(whole: bytes, tmp_path: Path, name: str) -> None:
    change, message = BAD[name]
    path = tmp_path / "bad.tfi"
    path.write_bytes(change(whole))
    with pytest.raises(ImageError, match=message) as caught:
        Image.open(path)
    assert str(caught.value).startswith(f"{path} cannot be used: ") and "\n" not in str(caught.value)


def test_a_missing_image_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ImageError, match=r"cannot be read \(.*\); give an image file"):
            Image.open(path)


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("where", ["first", "last", "padding"])
def test_an_altered_byte_is_found_and_its_section_named(
    whole: bytes, tmp_path: Path, section: str, where: str
) -> None:
    path = tmp_path / "image"
    path.write_bytes(whole)
    reach, length = (lambda h: (h.reach(section), h.sections[section].length))(Image.open(path).header)
    at = {"first": reach.start, "last": reach.start + length - 1, "padding": reach.stop - 1}[where]
    path.write_bytes(patched(whole, at, bytes([whole[at] ^ 1])))
    with pytest.raises(ImageError):
        Image.open(path, verify=True)
    if section != "config":
        with pytest.raises(ImageError, match=rf"its section {section} was altered \(CRC\)"):
            Image.open(path).verify()


def test_verifying_reports_progress_up_to_the_last_byte(whole: bytes, tmp_path: Path) -> None:
    path, seen = tmp_path / "image", []
    path.write_bytes(whole)
    Image.open(path, verify=True, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and seen[-1] == (
        len(whole),
        len(whole),
    )


def test_nothing_in_an_opened_image_changes_the_file(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(whole)
    image = Image.open(path)
    image.body[:] = 0
    image.embedding.codes[:] = 0
    assert path.read_bytes() == whole
