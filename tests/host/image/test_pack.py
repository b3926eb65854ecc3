# SPDX-License-Identifier: Apache-2.0
"""The packer: what it refuses, reports and leaves behind."""

import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from tests.checkpoints import SMALL, random_checkpoint
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint, CheckpointError, write_checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.hw.params import CoreParams

CORE = CoreParams(lanes=8, element_bytes=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def test_the_summary_counts_every_matrix(folder: Path, tmp_path: Path) -> None:
    source = IntegerCheckpoint(Checkpoint(folder), CORE.formats)
    summary = pack(source, CORE, tmp_path / "image")
    assert summary.size == (tmp_path / "image").stat().st_size
    rows = {t.tensor: t for t in summary.tensors}
    assert len(rows) == len(summary.tensors) == 2 + 7 * SMALL.layers
    gate, down = source.layer(1).matrices["gate"].trits, source.layer(1).matrices["down"].trits
    halves = [rows[f"model.layers.1.mlp.gate_proj ({half})"] for half in ("gate", "up")]
    assert [half.shape for half in halves] == [(44, 24)] * 2
    zeros = sum(half.zeros * 44 * 24 for half in halves)
    assert zeros == pytest.approx(int((gate == 0).sum()))
    row = rows["model.layers.1.mlp.down_proj"]
    # 24 rows in 6 blocks of 5 beats (44 columns, ten a beat) of 8 bytes
    assert (row.shape, row.bytes, row.bits_per_weight) == ((24, 44), 6 * 5 * 8, 8 * 240 / (24 * 44))
    assert row.zeros == pytest.approx(int((down == 0).sum()) / down.size)
    assert rows["model.embeddings"].bytes == 301 * (24 * 2 + 3 * 4)


def test_the_same_checkpoint_gives_the_same_bytes_in_every_stored_type(tmp_path: Path) -> None:
    source = Checkpoint(random_checkpoint(tmp_path / "first"))
    short = {name: source.tensor(name).bfloat16() for name in source.names()}
    long = {name: tensor.float() for name, tensor in short.items()}
    folders = [tmp_path / "bf16", tmp_path / "f32", tmp_path / "shards"]
    write_checkpoint(folders[0], SMALL, short)
    write_checkpoint(folders[1], SMALL, long)
    write_checkpoint(folders[2], SMALL, long, shards=3)
    images = []
    for folder in folders:
        pack(IntegerCheckpoint(Checkpoint(folder), CORE.formats), CORE, tmp_path / "image")
        images.append((tmp_path / "image").read_bytes())
    assert images[0] == images[1] == images[2]


def test_progress_ends_at_the_size_of_the_image(folder: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    source = IntegerCheckpoint(Checkpoint(folder), CORE.formats)
    summary = pack(source, CORE, tmp_path / "image", lambda *step: seen.append(step))
    assert seen == sorted(seen) and {total for _, total in seen} == {summary.size}
    assert len(seen) > 4 * SMALL.layers
    assert summary.size - seen[-1][0] < 4096


@pytest.mark.parametrize(
    ("name", "limit"),
    [("hidden", 16), ("intermediate", 43), ("layers", 1), ("vocab", 300)],
)
def test_a_model_beyond_the_core_is_refused(folder: Path, tmp_path: Path, name: str, limit: int) -> None:
    params = replace(CORE, **{f"max_{name}": limit})
    with pytest.raises(TritforgeError, match=rf"^The model has {name} \d+; this core takes at most {limit}\.$"):
        pack(IntegerCheckpoint(Checkpoint(folder), params.formats), params, tmp_path / "image")
    assert not list(tmp_path.iterdir())


def test_other_formats_than_the_core_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TritforgeError, match="quantised for other formats"):
        pack(IntegerCheckpoint(Checkpoint(folder), Formats(24, 14, 14)), CORE, tmp_path / "image")
    assert not list(tmp_path.iterdir())


def test_a_failure_on_the_way_leaves_the_old_image_alone(folder: Path, tmp_path: Path) -> None:
    pack(IntegerCheckpoint(Checkpoint(folder), CORE.formats), CORE, tmp_path / "image")
    before = (tmp_path / "image").read_bytes()
    broken = random_checkpoint(tmp_path / "broken", seed=1)
    tensors = {name: Checkpoint(broken).tensor(name).clone() for name in Checkpoint(broken).names()}
    tensors["lm_head.weight"][7, 7] = float("nan")
    write_checkpoint(broken, SMALL, tensors)
    with pytest.raises(CheckpointError, match=r"lm_head\.weight .* holds NaN"):
        pack(IntegerCheckpoint(Checkpoint(broken), CORE.formats), CORE, tmp_path / "image")
    assert (tmp_path / "image").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "image"]


def test_no_more_than_two_layers_are_read_at_a_time(folder: Path, tmp_path: Path) -> None:
    config = replace(SMALL, layers=5)
    source = IntegerCheckpoint(Checkpoint(random_checkpoint(tmp_path / "c", config)), CORE.formats)
    alive: list[object] = []
    read = source.layer

    def watched(index: int) -> object:
        layer = read(index)
        alive.append(weakref.ref(layer))
        assert sum(ref() is not None for ref in alive) <= 2
        return layer

    source.layer = watched
    pack(source, CORE, tmp_path / "image")
    assert len(alive) == 5
    assert Image.open(tmp_path / "image", verify=True).shape.layers == 5
