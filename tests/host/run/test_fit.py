# SPDX-License-Identifier: Apache-2.0
"""How many cores run a model, which ones, and what is packed for them."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.checkpoints import random_checkpoint
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.host.run.driver import MisfitError, misfit
from tritforge.host.run.models import Kind, Model
from tritforge.hw.link.message import message_bytes
from tritforge.hw.params import CoreParams, preset

TINY = preset("tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def images(folder: Path) -> dict[int, Path]:
    paths = {cores: folder.parent / f"{cores}.tfi" for cores in (1, 4)}
    for cores, path in paths.items():
        pack(IntegerCheckpoint(Checkpoint(folder), TINY.formats), TINY, path, cores=cores)
    return paths


def test_cores_are_those_that_were_asked_for_or_that_an_image_is_packed_for(
    folder: Path, images: dict[int, Path]
) -> None:
    """0 is one core without a link, 1 a linked core by itself; both take an image for one."""
    for path, asked, cores in (
        *((folder, None, 0), (folder, 0, 0), (folder, 1, 1), (folder, 4, 4)),
        *((images[1], None, 0), (images[1], 0, 0), (images[1], 1, 1), (images[4], None, 4), (images[4], 4, 4)),
    ):
        model = Model(path, cores=asked)
        assert model.cores == cores and model.params.linked == (cores > 0)


@pytest.mark.parametrize(
    ("cores", "asked", "message"),
    [
        (4, 2, r"packed for 4 linked cores, not 2; pack the checkpoint with --cores 2\."),
        (4, 1, r"packed for 4 linked cores, not 1; pack the checkpoint without --cores\."),
        (4, 0, r"packed for 4 linked cores, not 1; pack the checkpoint without --cores\."),
        (1, 4, r"packed for one core, not 4; pack the checkpoint with --cores 4\."),
    ],
)
def test_an_image_for_other_cores_is_refused(images: dict[int, Path], cores: int, asked: int, message: str) -> None:
    with pytest.raises(MisfitError, match=message):
        Model(images[cores], cores=asked)


def test_a_checkpoint_is_packed_for_the_cores_and_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path))

    def made(cores: int | None, rows: int = 1) -> Image:
        return Model(folder, TINY, settings={"vector_rows": str(rows), "lanes": "16"}, cores=cores).image()

    one, two, four, pairs = made(None), made(2), made(4), made(4, 2)
    assert [image.cores for image in (one, two, four, pairs)] == [1, 2, 4, 4]
    assert (four.header.granule, pairs.header.granule) == (1, 2)
    assert len({image.path for image in (one, two, four, pairs)}) == 4
    assert made(1).path == made(0).path == one.path and made(1, 2).path == one.path, "an image for one has no granule"
    written = four.path.stat().st_mtime_ns
    assert made(4).path == four.path and four.path.stat().st_mtime_ns == written


def test_shares_fit_linked_cores_of_the_same_row_groups(folder: Path, tmp_path: Path) -> None:
    params = CoreParams(lanes=16, vector_rows=2)
    pack(IntegerCheckpoint(Checkpoint(folder), params.formats), params, tmp_path / "image", cores=4)
    image = Image.open(tmp_path / "image")
    linked = replace(params, link_bytes=8)
    assert misfit(linked, image) is None
    assert "4 cores that are linked, but the core has no link" in str(misfit(params, image))
    assert "vector_rows 1, but the image is for 2" in str(misfit(replace(linked, vector_rows=1), image))
    assert "vocab 301; this core takes at most 300" in str(misfit(replace(linked, max_vocab=300), image))
    pack(IntegerCheckpoint(Checkpoint(folder), params.formats), params, tmp_path / "one")
    assert misfit(replace(params, vector_rows=4), Image.open(tmp_path / "one")) is None, "no shares, so no granule"


def test_the_preset_that_fits_a_shared_image_gets_a_link(images: dict[int, Path]) -> None:
    model = Model(images[4])
    assert replace(model.params, link_bytes=0) == TINY and model.params.link_bytes == message_bytes(TINY)
    assert Model(images[4], settings={"link_bytes": "8"}).params.link_bytes == 8
    with pytest.raises(TritforgeError, match=r"link_bytes is the width of a link .*; give --cores too\."):
        Model(images[1], settings={"link_bytes": "8"})


@pytest.mark.parametrize("kind", [Kind.FLOAT, Kind.INTEGER])
def test_cores_are_of_the_simulated_core_alone(folder: Path, kind: Kind) -> None:
    with (
        pytest.raises(TritforgeError, match=r"--cores is a number of simulated cores; it needs --backend rtl\."),
        Model(folder, cores=2).session(kind),
    ):
        pass
