# SPDX-License-Identifier: Apache-2.0
"""Sizes of images that nobody packed: the same as of those that are packed, and small enough."""

from pathlib import Path

import pytest

from tests.checkpoints import SMALL, random_checkpoint
from tritforge.golden.checkpoints.config import PUBLISHED
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.image import Image, image_header
from tritforge.host.image.pack import pack
from tritforge.host.measure.size import measure
from tritforge.hw.params import PRESETS, CoreParams


@pytest.mark.parametrize("params", [CoreParams(lanes=4), CoreParams(lanes=8, element_bytes=1, code="two_bit")])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_size_of_an_image_is_known_before_it_is_packed(tmp_path: Path, bits: int, params: CoreParams) -> None:
    checkpoint, path = Checkpoint(random_checkpoint(tmp_path / "model")), tmp_path / "image.tfi"
    pack(IntegerCheckpoint(checkpoint, params.formats, bits, 12), params, path)
    packed = Image.open(path).header
    known = image_header(SMALL, params, bits, 12, packed.sections["tokenizer"].length)
    assert known.size == packed.size == path.stat().st_size
    for name, section in packed.sections.items():
        assert (known.sections[name].offset, known.sections[name].length) == (section.offset, section.length)
    body = packed.sections["body"].length
    weights = sum(rows * columns for rows, columns in SMALL.linear_shapes().values())
    assert measure(SMALL, params, bits, 12)["per weight"] == 8 * body / weights


@pytest.mark.parametrize("name", PRESETS)
def test_the_largest_published_model_takes_at_most_600_mib(name: str) -> None:
    """With embedding rows of eight bits, and room for a tokenizer."""
    header = image_header(PUBLISHED["2.7B"], PRESETS[name], bits=8, group=32, tokenizer=2_000_000)
    assert header.size <= 600 * 2**20
