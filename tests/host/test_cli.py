# SPDX-License-Identifier: Apache-2.0
"""The command line: what it prints, writes and refuses. The simulated core is replaced by one in software."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from tests.checkpoints import SMALL, random_checkpoint
from tests.fake_core import FakeCore
from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint
from tritforge.golden.checkpoints.text import TextCodec, bits_per_character
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.host.cli.app import app
from tritforge.host.image.image import Image
from tritforge.hw.params import preset

TINY = ("--preset", "tiny")
ROOT = Path(__file__).parents[2]
PROMPT = "Grün war's"


class FakeSim(FakeCore):
    """`sim.simulator.SimTransport` without a simulation."""

    flip_after: int | None = None

    def __init__(self, params: object, status: object = None, stall: float = 0.0, seed: int = 1) -> None:
        super().__init__(params)
        self.cycles, self.seconds = 12345, 0.5
        self.progress = None

    def __enter__(self) -> "FakeSim":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def exchange(self, segments: list, last: bool = True, expect_result: bool = True) -> np.ndarray:
        self.flip = int(self.flip_after is not None and self.packets >= self.flip_after)
        return super().exchange(segments)

    def record_taps(self) -> None:
        pass

    def fetch_taps(self) -> np.ndarray:
        return np.zeros((0, 2), np.uint32)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in an empty folder with the core in software."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tritforge.sim.simulator.SimTransport", FakeSim)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def image(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "model.tfi"
    call("pack", model, "-o", path, *TINY)
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def call(*arguments: object) -> str:
    """Run a command that must succeed; return what it printed."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def ask(*arguments: object) -> dict:
    """Run a command with --json."""
    return json.loads(call(*arguments, "--json"))


def read(path: str) -> dict[str, np.ndarray]:
    """The arrays of a .npz file."""
    with np.load(path) as file:
        return dict(file)


def refuse(message: str, *arguments: object, status: int = 2) -> None:
    """Run a command that must fail with one sentence on stderr that holds `message`."""
    result = invoke(*arguments)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit) and result.stdout == ""
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1 and message in result.stderr


@pytest.mark.parametrize(
    "command",
    ["random-checkpoint", "ternarise", "pack", "info", "verilog", "generate", "logits", "eval", "cosim", "demo"],
)
def test_every_command_explains_itself(command: str) -> None:
    assert "--json" in call(command, "--help") and command in call("--help")


def test_pack_tells_what_it_packed(model: Path, tmp_path: Path) -> None:
    text = call("pack", model, "-o", "a.tfi", *TINY)
    assert "mlp.gate_proj (gate)" in text and "lm_head" in text
    facts = ask("pack", model, "-o", "b.tfi", *TINY)
    assert facts["size"] == os.path.getsize("a.tfi") and len(facts["tensors"]) == 2 + 7 * SMALL.layers
    assert Path("a.tfi").read_bytes() == Path("b.tfi").read_bytes()


def test_pack_takes_the_geometry_and_the_embedding_from_options(model: Path) -> None:
    options = ("--set", "lanes=32", "--set", "element_bytes=1", "--set", "code=positional", "--set", "frac=18")
    call("pack", model, "-o", "c.tfi", *TINY, *options, "--embedding-bits", 8, "--embedding-group", 12)
    facts = ask("info", "c.tfi")
    assert (facts["lanes"], facts["element_bytes"], facts["formats"]["frac"]) == (32, 1, 18)
    assert (facts["code"], facts["embedding_bits"], facts["embedding_group"]) == ("positional", 8, 12)
    assert facts["model"] == {"hidden": 24, "layers": 2, "intermediate": 44, "vocab": 301}


def test_info_prints_what_it_verified(image: Path) -> None:
    text = call("info", image)
    assert text.count("verified") == 6 and "hidden 24, layers 2" in text


def test_info_without_an_image_tells_versions_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "kept"))
    facts = ask("info")
    assert facts["folders"] == {"program": str(Path(__file__).parents[2]), "cache": str(tmp_path / "kept")}
    assert facts["packages"]["numpy"] == np.__version__ and facts["python"] == platform.python_version()
    monkeypatch.setattr("tritforge.host.cli.image.PACKAGES", ("no-such-package",))
    assert "not installed" in call("info") and ask("info")["packages"]["no-such-package"] is None


def test_verilog_comes_with_its_parameters_and_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict = {}

    def emit(core: object, name: str, folder: Path) -> list[Path]:
        folder.mkdir(parents=True)
        seen.update(core=core, name=name)
        return [folder / "unit.v", folder / f"{name}.v"]

    monkeypatch.setattr("tritforge.rtl_gen.verilog.emit.emit_verilog", emit)
    options = [
        part for setting in ("max_vocab=500", "lanes=8", "vector_rows=2", "batch=3") for part in ("--set", setting)
    ]
    manifest = ask("verilog", *TINY, *options, "-o", "rtl")
    assert manifest["parameters"]["max_vocab"] == 500 and manifest["parameters"]["wide_bits"] == 32
    assert (manifest["parameters"]["vector_rows"], manifest["parameters"]["batch"]) == (2, 3)
    assert manifest["parameters"]["code"] == "nested"
    assert (manifest["registers"]["FORMATS"] >> 24, manifest["registers"]["LIMIT_BATCH"]) == (2, 3)
    assert json.loads(Path("rtl/manifest.json").read_text()).items() <= manifest.items()
    assert manifest["top"] == seen["name"] == "tritforge" and manifest["files"] == ["unit.v", "tritforge.v"]
    assert "LIMIT_HIDDEN" in Path("rtl/registers.md").read_text()
    assert "#define TRITFORGE_ID 0x000u" in Path("rtl/tritforge_registers.h").read_text()
    bundle = ask("verilog", *TINY, "--bundle", "-o", "bundle")
    assert bundle["top"] == "tritforge_ip" and bundle["files"] == ["unit.v", "tritforge.v", "tritforge_ip.v"]
    assert all(f"      - {name}\n" in Path("bundle/tritforge.core").read_text() for name in bundle["files"])
    assert "s_axis_weights_tdata" in Path("bundle/tritforge_ip.v").read_text()


def test_generate_goes_on_alike_from_checkpoint_image_and_core(model: Path, image: Path) -> None:
    options = ("--prompt", PROMPT, "--max-new-tokens", 9)
    runs = [
        ask("generate", model, *options, *TINY),
        ask("generate", image, *options),
        ask("generate", image, *options, "--backend", "rtl", "--check"),
        ask("generate", model, *options, "--backend", "rtl", *TINY),
        ask("generate", model, *options, "--backend", "rtl", "--check", *TINY, "--set", "batch=4"),
    ]
    ids = TextCodec.from_folder(model).encode(PROMPT)
    for run in runs:
        assert run["prompt_tokens"] == [1, *ids] and run["tokens"] == runs[0]["tokens"]
        assert run["text"] == runs[0]["text"]
    assert [run["checked"] for run in runs[:2]] == [None, None] and "counters" not in runs[0]
    tokens = runs[2]["counters"]["tokens"]
    assert runs[2]["checked"] == tokens >= len(ids) + len(runs[0]["tokens"])
    assert runs[2]["counters"]["occupancy"] == 0.5 and runs[3]["checked"] is None
    assert runs[4]["checked"] == runs[4]["counters"]["tokens"] == tokens
    assert runs[4]["counters"]["beats"] < runs[3]["counters"]["beats"]
    waits = {"beats", "repeats", "starved", "drain", "dependency", "result"}
    assert runs[2]["counters"].keys() == waits | {"cycles", "tokens", "saturations", "occupancy"}


def test_generate_prints_prompt_and_text_once(image: Path) -> None:
    facts = ask("generate", image, "--prompt", PROMPT, "--max-new-tokens", 9)
    assert call("generate", image, "--prompt", PROMPT, "--max-new-tokens", 9) == PROMPT + facts["text"] + "\n"


def test_generate_samples_by_its_seed(image: Path) -> None:
    options = ("generate", image, "--prompt", "a", "--temperature", 3, "--top-k", 50)
    first, again, other = (ask(*options, "--seed", seed)["tokens"] for seed in (1, 1, 2))
    assert first == again != other


def test_generated_text_is_that_of_all_tokens_at_once(image: Path) -> None:
    """Random bytes, of which hardly any are text, with special tokens and some that are none of the tokenizer's."""
    facts = ask("generate", image, "--prompt", PROMPT, "--temperature", 1000, "--max-new-tokens", 300)
    codec, tokens = Image.open(image).codec(), facts["prompt_tokens"] + facts["tokens"]
    assert len(facts["tokens"]) > 100 and facts["text"] == codec.decode(tokens)[len(PROMPT) :]


def test_a_checkpoint_is_packed_once_for_the_core_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "cache"))
    folder, images = random_checkpoint(tmp_path / "own"), tmp_path / "cache" / "images"

    def run() -> list[int]:
        call("generate", folder, "--prompt", "a", "--max-new-tokens", 1, "--backend", "rtl", *TINY)
        return sorted(image.stat().st_mtime_ns for image in images.iterdir())

    first = run()
    assert len(first) == 1 and run() == first
    stat = (folder / "model.safetensors").stat()
    random_checkpoint(folder, seed=1)
    os.utime(folder / "model.safetensors", ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    assert (folder / "model.safetensors").stat().st_size == stat.st_size and len(run()) == 2
    (folder / "generation_config.json").write_text('{"eos_token_id": 5}')
    assert len(run()) == 3
    monkeypatch.setattr("tritforge.host.run.models.code_digest", lambda *roots: "as after a change of the packer")
    assert len(run()) == 4


def test_a_kept_image_may_be_damaged_and_its_model_have_a_long_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "cache"))
    folder = random_checkpoint(tmp_path / ("木" * 80))
    given = ("generate", folder, "--prompt", "a", "--max-new-tokens", 1, "--backend", "rtl", *TINY)
    whole = None
    for left in (0, 100, 5000):
        call(*given)
        (kept,) = (tmp_path / "cache" / "images").iterdir()
        whole = whole or kept.read_bytes()
        assert kept.read_bytes() == whole
        os.truncate(kept, left)


def test_a_core_that_differs_ends_the_generation_with_the_place(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSim, "flip_after", 2)
    result = invoke("generate", image, "--prompt", PROMPT, "--backend", "rtl", "--check")
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "Token 2 of the sequence differs: logit 0 is " in result.stderr
    assert "first in layer 0, embedding[0] is missing instead of " in result.stderr


def test_logits_are_those_of_the_model_in_every_backend(model: Path, image: Path) -> None:
    ids = np.array([1, 300, 7, 7, 0], np.int32)
    np.save("ids.npy", ids)
    arrays = {}
    for backend in ("float", "integer", "rtl"):
        facts = ask("logits", model, "--ids", "ids.npy", "--backend", backend, "--out", f"{backend}.npz", *TINY)
        arrays[backend] = read(f"{backend}.npz")
        assert facts["arrays"].keys() == arrays[backend].keys() and ("counters" in facts) == (backend == "rtl")
    wide = torch.from_numpy(ids).long()
    reference, state = ReferenceModel.from_checkpoint(Checkpoint(model)).forward(wide)
    assert np.array_equal(arrays["float"]["logits"], reference) and np.array_equal(arrays["float"]["state"], state)
    assert arrays["float"].keys() == {"logits", "state"}
    exact, state = IntegerModel(IntegerCheckpoint(Checkpoint(model), preset("tiny").formats)).forward(wide)
    for name, has in arrays["integer"].items():
        assert np.array_equal(has, arrays["rtl"][name]) and has.dtype == arrays["rtl"][name].dtype
    has = arrays["integer"]
    assert has.keys() == {"logits", "raw", "scale", "mantissa", "shift", "state"}
    assert np.array_equal(has["raw"], exact.raw) and has["raw"].dtype == np.int32
    assert np.array_equal(has["scale"], exact.scale()) and has["scale"].dtype == np.float64
    assert np.array_equal(has["logits"], exact.logits()) and has["logits"].dtype == np.float32
    assert np.array_equal(has["state"], state)
    assert sorted(path.suffix for path in Path().iterdir() if path.is_file()) == [
        ".npy",
        ".npz",
        ".npz",
        ".npz",
    ]


def test_logits_of_more_tokens_than_a_chunk_are_those_of_one_sequence(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("ids.npy", np.arange(50))
    call("logits", image, "--ids", "ids.npy", "--out", "whole.npz")
    monkeypatch.setattr("tritforge.host.cli.run.CHUNK", 7)
    call("logits", image, "--ids", "ids.npy", "--out", "parts.npz")
    whole, parts = read("whole.npz"), read("parts.npz")
    for name in whole:
        assert np.array_equal(whole[name], parts[name])


def test_eval_scores_a_text(model: Path) -> None:
    text = "Es war einmal ein Müller. " * 10
    Path("text.txt").write_text(text)
    scores = {b: ask("eval", model, "--text", "text.txt", "--backend", b, *TINY) for b in ("float", "integer")}
    reference = ReferenceModel.from_checkpoint(Checkpoint(model))
    wanted = bits_per_character(reference, TextCodec.from_folder(model), text)
    assert scores["float"]["bits_per_character"] == pytest.approx(wanted.bits_per_character, abs=0.02)
    assert scores["integer"]["bits_per_character"] == pytest.approx(wanted.bits_per_character, abs=0.1)
    assert scores["float"]["tokens"] == wanted.tokens and scores["float"]["characters"] == len(text)
    assert "bits per character, perplexity" in call("eval", model, "--text", "text.txt", *TINY)


def edited(model: Path, folder: Path, **changes: object) -> Path:
    """A copy of a checkpoint with another configuration and nothing beside it."""
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_bytes((model / name).read_bytes())
    raw = json.loads((model / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | changes))
    return folder


def test_a_model_without_bos_begins_with_the_text(model: Path, tmp_path: Path) -> None:
    folder, text = edited(model, tmp_path / "none", bos_token_id=None), "Es war einmal. " * 5
    call("pack", folder, "-o", "none.tfi", *TINY)
    ids = TextCodec.from_folder(model).encode(PROMPT)
    options = ("--prompt", PROMPT, "--max-new-tokens", 3)
    runs = [
        ask("generate", folder, *options, *TINY),
        ask("generate", "none.tfi", *options, "--backend", "rtl", "--check"),
        ask("generate", folder, *options, "--backend", "float"),
    ]
    assert all(run["prompt_tokens"] == ids for run in runs) and runs[0]["tokens"] == runs[1]["tokens"]
    assert ask("demo", "--model", "none.tfi", "--max-new-tokens", 2)["checked"] > 2
    Path("text.txt").write_text(text)
    score = ask("eval", folder, "--text", "text.txt", "--backend", "float")
    logits = ReferenceModel.from_checkpoint(Checkpoint(model)).forward(torch.tensor(list(text.encode())) + 3)[0]
    nats = torch.nn.functional.cross_entropy(logits[:-1].double(), torch.tensor(list(text.encode())[1:]) + 3)
    assert score["tokens"] == score["characters"] == len(text) - 1
    assert score["bits_per_character"] == pytest.approx(nats.item() / np.log(2), rel=1e-6)
    Path("text.txt").write_text("a")
    refuse("A text of one token cannot be scored by a model without bos", "eval", folder, "--text", "text.txt")


def test_generation_ends_at_any_token_that_the_config_names(model: Path, tmp_path: Path) -> None:
    options = ("--prompt", PROMPT, "--max-new-tokens", 9, "--temperature", 3, "--seed", 4)
    endless = edited(model, tmp_path / "endless", eos_token_id=None)
    tokens = ask("generate", endless, *options)["tokens"]
    assert len(tokens) == 9 and len(set(tokens)) > 5
    folder = edited(model, tmp_path / "ends", eos_token_id=[0, tokens[5]])
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": tokens[4]}))
    call("pack", folder, "-o", "ends.tfi", *TINY)
    for path in (folder, "ends.tfi"):
        assert ask("generate", path, *options)["tokens"] == tokens[: min(map(tokens.index, tokens[4:6]))]


def test_tokens_that_the_model_does_not_have_are_refused(tmp_path: Path) -> None:
    """Of a tokenizer with more pieces than the model."""
    folder = random_checkpoint(tmp_path / "model", replace(SMALL, vocab=100))
    Path("text.txt").write_text("é")
    refuse("Token 198 is outside the vocabulary, which has 0 to 99", "generate", folder, "--prompt", "é")
    refuse("has token 198, but the model's vocabulary 0 to 99;", "eval", folder, "--text", "text.txt")


def test_demo_tells_a_story_and_its_figures(model: Path) -> None:
    text = call("demo", "--model", model, *TINY, "--max-new-tokens", 5, "--clock", 200)
    assert text.startswith("Once upon a time")
    for part in (
        "bit-exact",
        "cycles per token",
        "50.0%",
        "tokens/s at 200 MHz",
        "simulated cycles per second",
    ):
        assert part in text
    facts = ask("demo", "--model", model, *TINY, "--max-new-tokens", 5)
    assert facts["checked"] == facts["counters"]["tokens"] > 17


def test_cosim_hands_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list = []
    monkeypatch.setattr("tritforge.host.measure.cosim.run", lambda *given: seen.extend(given) or {"tokens": 8})
    assert ask("cosim", *TINY, "--stall", 0.25, "--set", "lanes=8") == {"tokens": 8}
    assert seen[0].lanes == 8 and seen[1] == 0.25


def test_bad_checkpoints_are_refused(model: Path, tmp_path: Path) -> None:
    refuse("none is no folder", "pack", "none", "-o", "x.tfi")
    refuse("none does not exist; give a checkpoint folder or an image", "generate", "none", "--prompt", "a")
    refuse("config.json is missing", "pack", tmp_path, "-o", "x.tfi")
    refuse("tokenizer.json is missing", "generate", without_tokenizer(tmp_path / "bare"), "--prompt", "a")
    broken = random_checkpoint(tmp_path / "broken")
    tensors = {name: Checkpoint(model).tensor(name).clone() for name in Checkpoint(model).names()}
    tensors["model.layers.1.mlp.down_proj.weight"][0, 0] = torch.inf
    write_checkpoint(broken, SMALL, tensors)
    refuse("holds an infinite value", "pack", broken, "-o", "x.tfi", *TINY)
    (broken / "model.safetensors").write_bytes(b"\0" * 99)
    refuse("is no whole safetensors file", "pack", broken, "-o", "x.tfi", *TINY)
    assert not Path("x.tfi").exists()


def without_tokenizer(folder: Path) -> Path:
    return random_checkpoint(folder, tokenizer=False)


def test_bad_images_are_refused(image: Path) -> None:
    data = image.read_bytes()
    Path("cut.tfi").write_bytes(data[:-5])
    Path("altered.tfi").write_bytes(data[:-5] + b"\1" + data[-4:])
    Path("other.tfi").write_bytes(b"no image at all")
    refuse("it is truncated to", "info", "cut.tfi")
    refuse("its section body was altered (CRC)", "info", "altered.tfi")
    refuse("it is no tritforge image", "generate", "other.tfi", "--prompt", "a")
    refuse("An image holds integers only", "generate", image, "--prompt", "a", "--backend", "float")


def test_bad_parameters_are_refused(model: Path, image: Path) -> None:
    refuse("Unknown preset 'huge'; choose from tiny", "pack", model, "-o", "x.tfi", "--preset", "huge")
    refuse("--set takes NAME=VALUE", "pack", model, "-o", "x.tfi", "--set", "lanes")
    refuse("Unknown parameter 'lane'", "verilog", "-o", "x", "--set", "lane=3")
    refuse("Unknown code 'escape'; choose from nested, ", "verilog", "-o", "x", "--set", "code=escape")
    refuse("lanes must be a power of two", "verilog", "-o", "x", "--set", "lanes=3")
    refuse("needs a whole number, not 'many'", "cosim", "--set", "lanes=many")
    refuse("int8 or int16, not 4 bits", "pack", model, "-o", "x.tfi", "--embedding-bits", 4)
    refuse("must divide the hidden size 24", "pack", model, "-o", "x.tfi", "--embedding-group", 7)
    assert not list(Path().iterdir())


def test_a_model_beyond_the_core_is_refused(model: Path, image: Path) -> None:
    small = (*TINY, "--set", "max_vocab=300")
    message = "The model has vocab 301; this core takes at most 300."
    refuse(message, "pack", model, "-o", "x.tfi", *small)
    refuse(message, "generate", image, "--prompt", "a", "--backend", "rtl", *small)
    refuse(message, "generate", model, "--prompt", "a", "--backend", "rtl", *small)
    wide = ("--preset", "wide")
    refuse("The core has lanes 64, but the image is for 4", "demo", "--model", image, *wide)
    call("pack", model, "-o", "two.tfi", *wide, "--set", "element_bytes=2")
    refuse("The core has element bytes 4, but the image is for 2", "demo", "--model", "two.tfi", *wide)


def test_an_image_that_no_preset_fits_is_refused_with_the_remedy(model: Path) -> None:
    call("pack", model, "-o", "odd.tfi", "--set", "lanes=8")
    refuse("No preset fits odd.tfi", "generate", "odd.tfi", "--prompt", "a", "--backend", "rtl")
    assert ask("generate", "odd.tfi", "--prompt", "a", "--max-new-tokens", 2)["tokens"]
    options = ("--backend", "rtl", "--set", "lanes=8", "--check")
    assert ask("generate", "odd.tfi", "--prompt", "a", "--max-new-tokens", 2, *options)["checked"] > 2


FORMATS_OF_ANOTHER = "The core has formats Formats(wide_bits=32, frac=18, mantissa=17), but the image is for Formats("


@pytest.mark.parametrize("backend", ["integer", "rtl"])
@pytest.mark.parametrize("name", [(), TINY])
def test_settings_that_an_image_is_not_for_are_refused(image: Path, backend: str, name: tuple) -> None:
    """The integer model is that of the core; `--set` alone changes the preset that fits the image."""
    np.save("ids.npy", np.array([1]))
    Path("text.txt").write_text("abc")
    options = (*name, "--set", "frac=18")
    refuse(FORMATS_OF_ANOTHER, "generate", image, "--prompt", "a", "--backend", backend, *options)
    refuse(FORMATS_OF_ANOTHER, "logits", image, "--ids", "ids.npy", "--out", "x.npz", "--backend", backend, *options)
    if backend == "integer":
        refuse(FORMATS_OF_ANOTHER, "eval", image, "--text", "text.txt", *options)
    for setting, message in (
        ("wide_bits=31", "formats Formats(wide_bits=31"),
        ("mantissa=16", "formats Formats(wide_bits=32, frac=20, mantissa=16)"),
        ("lanes=8", "lanes 8, but the image is for 4"),
        ("code=two_bit", "trit code two_bit, but the image is for nested"),
        ("max_vocab=300", "The model has vocab 301; this core takes at most 300."),
        ("act_bits=13", "act_bits must be 8 to 12, not 13"),
        ("lane=3", "Unknown parameter 'lane'"),
    ):
        refuse(message, "generate", image, "--prompt", "a", "--backend", backend, *name, "--set", setting)
    refuse("lanes 64, but the image is for 4", "eval", image, "--text", "text.txt", "--preset", "wide")


@pytest.mark.parametrize("command", [("random-checkpoint", "--shape", "8,1,8,16", "-o", "x"), ("cosim", *TINY)])
@pytest.mark.parametrize("seed", [2**63, -1])
def test_seeds_that_no_generator_takes_are_refused(command: tuple[str, ...], seed: int) -> None:
    result = invoke(*command, "--seed", seed)
    assert result.exit_code == 2 and "Invalid value for '--seed'" in result.stderr


@pytest.mark.parametrize("backend", ["integer", "rtl"])
def test_a_core_that_is_too_small_for_a_checkpoint_is_refused(model: Path, backend: str) -> None:
    given = ("generate", model, "--prompt", "a", "--backend", backend, "--set", "max_hidden=16")
    refuse("The model has hidden 24; this core takes at most 16.", *given)


def test_settings_that_fit_an_image_are_applied(model: Path, image: Path) -> None:
    options = ("--prompt", PROMPT, "--max-new-tokens", 3)
    for setting in ("frac=20", "batch=2", "max_vocab=400", "act_bits=10"):
        runs = [ask("generate", image, *options, "--backend", b, "--set", setting) for b in ("integer", "rtl")]
        assert runs[0]["tokens"] == runs[1]["tokens"]
    np.save("ids.npy", np.array([1, 5, 9]))
    for path, bits, threshold in ((image, 8, 0), (image, 12, 2), (model, 12, 2)):
        given = ("--set", f"act_bits={bits}", "--outlier-threshold", threshold)
        call("logits", path, "--ids", "ids.npy", "--out", f"{bits}-{path.suffix}.npz", *given)
    assert not np.array_equal(read("8-.tfi.npz")["raw"], read("12-.tfi.npz")["raw"])
    assert np.array_equal(read("12-.npz")["raw"], read("12-.tfi.npz")["raw"])


def test_options_that_a_backend_would_ignore_are_refused(model: Path) -> None:
    refuse("--set changes a core", "generate", model, "--prompt", "a", "--backend", "float", "--set", "frac=18")
    refuse("Unknown parameter 'lane'", "generate", model, "--prompt", "a", "--backend", "float", "--set", "lane=1")
    for backend in ("float", "integer"):
        refuse("--stall makes", "generate", model, "--prompt", "a", "--backend", backend, "--stall", 0.1)


def test_bad_prompts_and_sampling_are_refused(image: Path) -> None:
    refuse("The prompt is empty", "generate", image, "--prompt", "")
    refuse("The prompt is empty", "demo", "--model", image, "--prompt", "")
    refuse("temperature must be 0 or more", "generate", image, "--prompt", "a", "--temperature", "-1")
    refuse("top-k must be 0", "generate", image, "--prompt", "a", "--top-k", "-1")
    refuse("it needs --backend rtl", "generate", image, "--prompt", "a", "--check")
    assert invoke("generate", image, "--prompt", "a", "--backend", "gpu").exit_code == 2
    assert invoke("generate", image, "--prompt", "a", "--max-new-tokens", 0).exit_code == 2


BAD_HEADERS = {
    "cut": "{'descr': " + "(" * 9000,
    "huge": "{'descr': '<i8', 'fortran_order': False, 'shape': (10000000000000,)}",
    "negative": "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}",
    "no type": "{'descr': '<q9', 'fortran_order': False, 'shape': (1,)}",
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_ids_with_a_senseless_header_are_refused(image: Path, name: str) -> None:
    header = BAD_HEADERS[name].encode() + b"\n"
    Path("ids.npy").write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(8))
    refuse("ids.npy is no readable .npy file", "logits", image, "--ids", "ids.npy", "--out", "x.npz")


@pytest.mark.parametrize(
    "prompt", [b"ab\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "Grün".encode("latin-1")]
)
def test_prompts_that_are_no_text_are_refused(model: Path, image: Path, prompt: bytes) -> None:
    """Bytes that are not UTF-8, as Python hands them over from a command line."""
    text, message = os.fsdecode(prompt), "The text is no valid UTF-8 (character "
    for path in (model, image):
        refuse(message, "generate", path, "--prompt", text, "--json")
    refuse(message, "demo", "--model", image, "--prompt", text)


def test_names_and_terminals_that_are_no_unicode_are_no_bug(tmp_path: Path) -> None:
    """In a process of its own, since a command line and its streams are what this is about."""
    run = [sys.executable, "-m", "tritforge.host"]
    odd, surroundings = tmp_path / os.fsdecode(b"m\xff"), os.environ | {"PYTHONIOENCODING": "ascii"}
    given = [*run, "random-checkpoint", "--shape", "24,2,44,301", "-o", str(odd)]
    done = subprocess.run(given, cwd=ROOT, env=surroundings, capture_output=True, check=True)
    assert rb"m\udcff: 25,960 parameters" in done.stdout and (odd / "config.json").is_file()
    done = subprocess.run(given, cwd=ROOT, env=surroundings, capture_output=True)
    assert done.returncode == 2 and rb"m\udcff already holds a checkpoint; name another folder." in done.stderr


BAD_IDS: dict[str, tuple[Callable[[], object], str]] = {
    "float": (lambda: np.zeros(3), "holds float64 [3]; it must be one vector of integers"),
    "matrix": (lambda: np.zeros((2, 2), int), "holds int64 [2, 2]; it must be"),
    "empty": (lambda: np.zeros(0, int), "There are no tokens to run"),
    "large": (lambda: np.array([3, 301]), "Token 301 is outside the vocabulary, which has 0 to 300"),
    "negative": (lambda: np.array([-1]), "Token -1 is outside the vocabulary"),
    "objects": (lambda: np.array([{}], dtype=object), "is no readable .npy file"),
}


@pytest.mark.parametrize("name", BAD_IDS)
@pytest.mark.parametrize("backend", ["integer", "rtl"])
def test_bad_ids_are_refused(image: Path, name: str, backend: str) -> None:
    make, message = BAD_IDS[name]
    np.save("ids.npy", make(), allow_pickle=True)
    refuse(message, "logits", image, "--ids", "ids.npy", "--out", "x.npz", "--backend", backend)
    assert not Path("x.npz").exists()


def test_ids_that_are_no_file_of_numpy_are_refused(image: Path) -> None:
    Path("text.npy").write_text("1 2 3")
    np.savez("several.npz", a=np.zeros(2, int))
    for path, message in (
        ("text.npy", "is no readable .npy file"),
        ("none.npy", "does not exist"),
        ("several.npz", "is no readable .npy file"),
    ):
        refuse(message, "logits", image, "--ids", path, "--out", "x.npz")


def test_texts_that_cannot_be_scored_are_refused(image: Path) -> None:
    Path("empty.txt").write_text("")
    refuse("empty", "eval", image, "--text", "empty.txt")
    refuse("none.txt", "eval", image, "--text", "none.txt")
    Path("text.txt").write_text("abc")
    refuse("choose --backend float or integer", "eval", image, "--text", "text.txt", "--backend", "rtl")


def test_an_output_that_cannot_be_written_is_refused(model: Path, image: Path) -> None:
    np.save("ids.npy", np.array([1]))
    refuse("No such file or directory", "logits", image, "--ids", "ids.npy", "--out", "none/x.npz")
    Path("file").touch()
    refuse("file", "pack", model, "-o", "file/x.tfi", *TINY)
