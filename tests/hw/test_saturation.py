# SPDX-License-Identifier: Apache-2.0
"""Results too large for their integers: counted alike in the integer model and in the core, and told everywhere."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import SMALL, byte_tokenizer, random_checkpoint
from tests.command_line import invoke
from tests.cores import CORES, packed_checkpoint
from tests.fake_core import FakeCore, FakeSim
from tritforge.golden.checkpoints.config import CheckpointError
from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint
from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import EMBEDDING, IntegerCheckpoint, residual_frac
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.run.backends import CoreBackend
from tritforge.sim.simulator import SimTransport

IDS = np.array([1, 17, 300, 0, 5, 5, 9])
MEANING = " results were too large for the integers of the formats and were cut to the largest (saturated), so what "


def scaled(folder: Path, part: str, factor: float) -> Path:
    """A random checkpoint with the tensors of that part of their names times a factor."""
    source = Checkpoint(random_checkpoint(folder))
    tensors = {name: source.tensor(name) * (factor if part in name else 1) for name in source.names()}
    write_checkpoint(folder, SMALL, tensors)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return folder


CASES = {
    "tiny embeddings": ("embeddings", 1e-6),
    "large gains": ("proj.norm", 1e5),
    "large weights": ("proj.weight", 1e30),
    "a loud down_proj": ("down_proj.weight", 1e6),
    "a loud o_proj": ("o_proj.weight", 1e6),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("core", ["4x1", "16x2", "64x4", "narrow"])
def test_the_core_counts_what_the_integer_model_does(tmp_path: Path, name: str, core: str) -> None:
    """With several vector rows in each cycle those of a cycle count once."""
    image = packed_checkpoint(CORES[core], scaled(tmp_path / "model", *CASES[name]), tmp_path / "image")
    with SimTransport(CORES[core]) as transport:
        backend = CoreBackend(transport, image)
        output, counted = backend.run(IDS), backend.saturations()
    model = IntegerModel(DecodedImage(image), activations=backend.driver.activations)
    assert np.array_equal(output.exact.raw, model.forward(torch.from_numpy(IDS))[0].raw)
    rows = CORES[core].vector_rows
    assert 0 < model.saturations == counted if rows == 1 else 0 < counted < model.saturations <= rows * counted


def test_the_count_is_that_of_the_values_cut(tmp_path: Path) -> None:
    """Counted again from what the taps show before and after, for one token and layer."""
    source = IntegerCheckpoint(Checkpoint(scaled(tmp_path, "proj.norm", 1e5)))
    model, points = IntegerModel(source), {}
    limit = source.fmt.wide_max
    model.forward(torch.tensor([7]), tap=lambda layer, unit, values: points.setdefault((layer, unit), values[0]))
    total = 0
    before = points[0, "embedding"]
    for layer in range(SMALL.layers):
        at = {unit: values for (index, unit), values in points.items() if index == layer}
        gate, up = at["gate"].chunk(2)
        sums = before + at["o"], at["out"] + at["down"]
        products = at["g"] * nx.silu(at["state"], source.fmt), up * nx.silu(gate, source.fmt)
        products = [nx.rshift_round(product, source.fmt.frac) for product in products]
        cut = [(at[name].abs() == limit) for name in "fig"]
        cut[2] |= products[0].abs() > limit
        cut += [(at["o"].abs() == limit) | (sums[0].abs() > limit), gate.abs() == limit]
        cut += [
            (up.abs() == limit) | (products[1].abs() > limit),
            (at["down"].abs() == limit) | (sums[1].abs() > limit),
        ]
        total += sum(int(mask.sum()) for mask in cut)
        before = at["contract"]
    assert model.saturations == total > 0


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder with the core in software."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tritforge.sim.simulator.SimTransport", FakeSim)
    np.save("ids.npy", IDS)
    Path("text.txt").write_text("Es war einmal")
    return tmp_path


COMMANDS = {
    "generate": ("--prompt", "ab", "--max-new-tokens", "2", "--backend"),
    "logits": ("--ids", "ids.npy", "--out", "x.npz", "--backend"),
    "eval": ("--text", "text.txt", "--backend"),
    "demo": ("--prompt", "ab", "--max-new-tokens", "2"),
}


@pytest.mark.parametrize("factor", [1e-6, 1.0])
@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, kind) for name in ("generate", "logits") for kind in ("float", "integer", "rtl")),
        *(("eval", "float"), ("eval", "integer"), ("demo", "")),
    ],
)
def test_every_command_tells_what_was_cut(command: Path, name: str, backend: str, factor: float) -> None:
    folder = str(scaled(command / "model", "embeddings", factor))
    where = ["--model", folder] if name == "demo" else [folder]
    given = [name, *where, *COMMANDS[name], *([backend] if backend else []), "--preset", "tiny", "--json"]
    result = invoke(*given)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    cut = factor < 1 and backend != "float"
    assert (facts["saturations"] is None) == (backend == "float") and bool(facts["saturations"]) == cut
    assert result.stderr.count("Warning: ") == result.stderr.count(MEANING) == len(facts["warnings"]) == cut
    assert all(warning.startswith(f"{facts['saturations']:,}{MEANING}") for warning in facts["warnings"])


def test_cosim_compares_and_tells_the_count(command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = packed_checkpoint(CORES["4x1"], scaled(command / "model", "embeddings", 1e-6), command / "image")
    model = IntegerModel(DecodedImage(image))
    model.forward(torch.randint(SMALL.vocab, (2,), generator=torch.Generator().manual_seed(1)))

    def core(files: list, top: str, bench: str, given: dict, **options: object) -> None:
        backend = CoreBackend(FakeCore(CORES["4x1"]), Image.open(given["image"]))
        output, counters = backend.run(np.array(given["ids"])), backend.counters()
        exact = {key: getattr(output.exact, key) for key in ("raw", "mantissa", "shift")}
        told = {"saturations": counters.saturations + off, "cycles": counters.cycles, "beats": counters.beats}
        np.savez(given["out"], tokens=output.tokens, state=backend.state(), **exact, **told)

    monkeypatch.setattr("tritforge.host.measure.cosim.run_cocotb", core)
    monkeypatch.setattr("tritforge.host.measure.cosim.cached_verilog", lambda params, status: [])
    sets = ("--set", "element_bytes=1", "--set", "batch=1")
    given = ["cosim", "--preset", "tiny", *sets, "--image", str(image.path), "--tokens", "2", "--json"]
    off = 0
    result = invoke(*given)
    assert json.loads(result.stdout)["saturations"] == model.saturations > 0
    assert result.stderr.count(MEANING) == 1
    off = 1
    assert "saturations[] is " in invoke(*given).stderr


@pytest.mark.parametrize(
    ("factor", "part"), [(1e25, r"1.23e\+25"), (1e20, r"1.23e\+20"), (1e-12, "1.23e-12"), (1e-40, "1.23e-40")]
)
def test_an_embedding_that_no_residual_can_hold_is_refused(tmp_path: Path, factor: float, part: str) -> None:
    source = IntegerCheckpoint(Checkpoint(scaled(tmp_path, "embeddings", factor)))
    with pytest.raises(CheckpointError, match=rf"The largest value of {EMBEDDING} is {part}, and a core can take"):
        IntegerModel(source).forward(torch.tensor([1]))


def test_values_that_float32_cannot_hold_are_refused(command: Path) -> None:
    folder = scaled(command / "model", "proj.weight", 1e37)
    for options in (("--backend", "float"), ("--backend", "float", "--temperature", "1"), ("--temperature", "1")):
        if "float" not in options:
            scaled(folder, "lm_head.", 1e30)
        given = ["generate", str(folder), "--prompt", "ab", *options]
        result = invoke(*given)
        assert result.exit_code == 2 and "too large for float32; is the checkpoint damaged?" in result.stderr


@pytest.mark.parametrize("fmt", [Formats(), Formats(24, 13, 14)])
def test_all_embeddings_between_are_taken(fmt: Formats) -> None:
    """Twelve bits of room above the largest value, and at least eleven bits of itself."""
    for exponent in range(-29, fmt.wide_bits + 28):
        peak = 2.0**exponent
        frac = residual_frac(np.nextafter(peak, 0), fmt)
        assert abs(frac) <= 40 and 2**11 <= 2 * peak * 2.0**frac <= 2.0 ** (fmt.wide_bits - 12)
    for peak in (2.0**-30, 2.0 ** (fmt.wide_bits + 27)):
        with pytest.raises(CheckpointError):
            residual_frac(np.nextafter(peak, -np.inf if peak < 1 else np.inf), fmt)
    assert residual_frac(0.0, fmt) == fmt.wide_bits - 13
