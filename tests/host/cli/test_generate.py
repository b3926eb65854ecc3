# SPDX-License-Identifier: Apache-2.0
"""Text from a prompt, with every backend, and prompts that are refused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import SMALL, random_checkpoint
from tests.command_line import TINY, ask, call, invoke, refuse
from tests.fake_core import FakeSim
from tests.host.cli.conftest import PROMPT
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.text import TextCodec
from tritforge.golden.model.reference import ReferenceModel
from tritforge.host.image.image import Image


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
    more = {"cycles", "tokens", "saturations", "occupancy", "exchange", "cores"}
    assert runs[2]["counters"].keys() == waits | more


def test_generate_prints_prompt_and_text_once(image: Path) -> None:
    facts = ask("generate", image, "--prompt", PROMPT, "--max-new-tokens", 9)
    assert call("generate", image, "--prompt", PROMPT, "--max-new-tokens", 9) == PROMPT + facts["text"] + "\n"


def test_generate_tells_what_of_the_time_is_the_memorys(image: Path) -> None:
    options = ("generate", image, "--prompt", PROMPT, "--max-new-tokens", 3)
    plain = ask(*options, "--backend", "rtl")
    facts = ask(*options, "--backend", "rtl", "--memory", "sdr-100x16", "--mhz", 50)
    told, counters = facts["memory"], facts["counters"]
    assert facts["tokens"] == plain["tokens"] and "memory" not in plain
    assert told == {
        **{"name": "sdr-100x16", "mhz": 50, "gigabytes_per_second": 0.15, "share_of_peak": 0.75, "waited": 0.125},
        "tokens_per_second": counters["tokens"] / (12345 / 50e6),
        "starved": counters["starved"] / 12345,
    }
    # the clock of the nearest preset
    assert ask(*options, "--backend", "rtl", "--memory", "hbm2-4pc")["memory"]["mhz"] > 100
    said = invoke(*map(str, (*options, "--backend", "rtl", "--memory", "sdr-100x16", "--mhz", 50))).stderr
    assert "behind sdr-100x16 at 50 MHz: " in said and " tokens/s, 0.15 GB/s, 75.0% of the memory's peak" in said
    refuse("it needs --memory", *options, "--backend", "rtl", "--mhz", 50)
    refuse("it needs --backend rtl", *options, "--memory", "sdr-100x16")
    refuse("A memory is sdr-100x16, ", *options, "--backend", "rtl", "--memory", "ddr5")
    refuse("above 0 MHz, not -1", *options, "--backend", "rtl", "--memory", "sdr-100x16", "--mhz", -1)


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


@pytest.mark.parametrize(
    "prompt", [b"ab\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "Grün".encode("latin-1")]
)
def test_prompts_that_are_no_text_are_refused(model: Path, image: Path, prompt: bytes) -> None:
    """Bytes that are not UTF-8, as Python hands them over from a command line."""
    text, message = os.fsdecode(prompt), "The text is no valid UTF-8 (character "
    for path in (model, image):
        refuse(message, "generate", path, "--prompt", text, "--json")
    refuse(message, "demo", "--model", image, "--prompt", text)
