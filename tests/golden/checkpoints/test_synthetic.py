# SPDX-License-Identifier: Apache-2.0
"""Random checkpoints: their layout, what they hold, and that neither they nor their images need much memory."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.checkpoints import SMALL
from tests.command_line import call, invoke
from tritforge.golden.arrays import BFLOAT16, FLOAT32, as_tensor
from tritforge.golden.checkpoints.config import PUBLISHED, ModelConfig
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.checkpoints.writer import split_by_size, write_checkpoint

ROOT = Path(__file__).parents[3]
WIDER = ModelConfig(hidden=160, layers=2, intermediate=256, vocab=320)


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = Checkpoint(folder)
    return {name: as_tensor(checkpoint.stored(name)) for name in checkpoint.names()}


@pytest.fixture
def sharded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of at most 20 kB."""
    monkeypatch.setattr("tritforge.golden.checkpoints.synthetic.split_by_size", partial(split_by_size, limit=20_000))


def test_published_shapes_have_the_published_sizes() -> None:
    counts = {name: config.parameters() for name, config in PUBLISHED.items()}
    assert counts == {"370M": 374_108_160, "1.3B": 1_364_779_008, "2.7B": 2_702_357_504}


@pytest.mark.parametrize(("name", "files"), [("370M", 1), ("1.3B", 2), ("2.7B", 3)])
def test_no_file_is_larger_than_two_gigabytes(name: str, files: int) -> None:
    config = PUBLISHED[name]
    parts, shapes = split_by_size(config, BFLOAT16), config.tensor_shapes()
    assert len(parts) == files and [tensor for part in parts for tensor in part] == list(shapes)
    for part in parts:
        assert 0 < sum(2 * torch.Size(shapes[tensor]).numel() for tensor in part) <= 2_000_000_000


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    (path,) = write_random_checkpoint(tmp_path, SMALL, 3, BFLOAT16)
    stored = load_file(path)
    assert {name: tuple(value.shape) for name, value in stored.items()} == SMALL.tensor_shapes()
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]
    for name, value in tensors(tmp_path).items():
        assert torch.equal(value, stored[name])


def test_weights_follow_from_the_seed_and_are_lifelike(tmp_path: Path) -> None:
    for folder, seed, dtype in (("a", 0, FLOAT32), ("b", 0, BFLOAT16), ("c", 1, BFLOAT16)):
        write_random_checkpoint(tmp_path / folder, WIDER, seed, dtype)
    long, short, other = (tensors(tmp_path / folder) for folder in "abc")
    for name, value in long.items():
        assert torch.equal(value.bfloat16(), short[name]) and not torch.equal(short[name], other[name])
    gains = torch.cat([value for name, value in long.items() if "norm" in name])
    assert 0 < (gains < 0).double().mean() < 0.05 and gains.std() > 0.3
    loudness = long["model.embeddings.weight"].square().mean(0).sqrt()
    assert loudness.max() > 8 * loudness.median()


def test_shards_and_their_index_hold_the_same_weights(tmp_path: Path, sharded: None) -> None:
    paths = write_random_checkpoint(tmp_path / "shards", SMALL)
    assert len(paths) > 2 and sum(path.stat().st_size for path in paths) > 4 * SMALL.parameters()
    index = json.loads((tmp_path / "shards" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 4 * SMALL.parameters()
    assert set(index["weight_map"].values()) == {path.name for path in paths}
    write_checkpoint(tmp_path / "one", SMALL, tensors(tmp_path / "shards"))
    assert (tmp_path / "one" / "model.safetensors").is_file()
    one, several = tensors(tmp_path / "one"), tensors(tmp_path / "shards")
    assert all(torch.equal(one[name], several[name]) for name in one)


def stop_after(bytes_done: int) -> Callable[[int, int], None]:
    """Progress that interrupts."""

    def progress(done: int, total: int) -> None:
        if done >= bytes_done:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, sharded: None, share: float) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_random_checkpoint(tmp_path, SMALL, progress=stop_after(int(share * 4 * SMALL.parameters())))
    assert not list(tmp_path.iterdir())


def test_progress_ends_at_the_bytes_of_the_weights(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_random_checkpoint(tmp_path, SMALL, progress=lambda *step: seen.append(step))
    total = 4 * SMALL.parameters()
    assert seen == sorted(seen) and seen[-1] == (total, total) and len(seen) == len(SMALL.tensor_shapes())


def test_the_command_makes_a_checkpoint_that_packs(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    facts = json.loads(call("random-checkpoint", "--shape", "24,2,44,301", "-o", folder, "--seed", 5, "--json"))
    assert facts["model"] == {"hidden": 24, "layers": 2, "intermediate": 44, "vocab": 301}
    assert facts["parameters"] == SMALL.parameters() and facts["seed"] == 5
    assert facts["files"] == {"model.safetensors": (folder / "model.safetensors").stat().st_size}
    write_random_checkpoint(tmp_path / "same", SMALL, 5, BFLOAT16)
    assert (tmp_path / "same" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    call("pack", folder, "-o", tmp_path / "image.tfi", "--preset", "tiny")
    text = call("random-checkpoint", "--shape", "24,2,44,301", "-o", tmp_path / "other")
    assert "model.safetensors" in text and f"{SMALL.parameters():,} parameters" in text


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("3B", "A shape is 370M, 1.3B, 2.7B, or hidden,layers,intermediate,vocab such as"),
        ("24,2,44", "not '24,2,44'"),
        ("24,2,44,many", "not '24,2,44,many'"),
        ("24,0,44,301", "layers size must be a positive integer, not 0"),
        ("24,2,44,2", "eos token id must lie in 0..1"),
    ],
)
def test_bad_shapes_are_refused(tmp_path: Path, shape: str, message: str) -> None:
    result = invoke("random-checkpoint", "--shape", shape, "-o", str(tmp_path / "x"))
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and message in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_is_not_overwritten(tmp_path: Path) -> None:
    write_random_checkpoint(tmp_path, SMALL)
    before = (tmp_path / "model.safetensors").read_bytes()
    result = invoke("random-checkpoint", "--shape", "24,2,44,301", "-o", str(tmp_path))
    assert result.exit_code == 2 and "already holds a checkpoint; name another folder." in result.stderr
    assert (tmp_path / "model.safetensors").read_bytes() == before


MEASURE = """
import sys
from pathlib import Path
import torch
from tritforge.golden.arrays import BFLOAT16
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.host.image.pack import pack
from tritforge.hw.params import preset

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

folder, config, params = Path(sys.argv[1]), ModelConfig(1024, 10, 2816, 8192), preset("wide")
torch.randn(99).double().sum()
before = peak()
write_random_checkpoint(folder, config, dtype=BFLOAT16)
written = peak() - before
pack(IntegerCheckpoint(Checkpoint(folder), params.formats), params, folder / "image")
print(2 * config.parameters(), written, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc, which Linux has")
def test_neither_writing_nor_packing_holds_the_model_in_memory(tmp_path: Path) -> None:
    """290 MB of weights: less than half of that is ever resident, mapped pages included."""
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "model")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    size, written, packed = map(int, done.stdout.split())
    assert size > 280_000_000 and written < size / 2 and packed < size / 2
