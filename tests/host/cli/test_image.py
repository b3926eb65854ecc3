# SPDX-License-Identifier: Apache-2.0
"""Packing, verifying, writing Verilog: what is told, written and refused."""

import json
import os
import platform
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import SMALL, random_checkpoint
from tests.command_line import TINY, ask, call, refuse
from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint


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


def test_pack_and_info_tell_what_each_core_has(model: Path) -> None:
    facts = ask("pack", model, "-o", "three.tfi", *TINY, "--cores", 3)
    low, high = min(facts["bodies"]), max(facts["bodies"])
    text = call("pack", model, "-o", "three.tfi", *TINY, "--cores", 3)
    assert f"3 cores, with a body of {low:,} to {high:,} bytes each" in text and low < high
    told = ask("info", "three.tfi")
    assert told["cores"] == 3 and told["bytes_per_core"] == facts["bodies"]
    assert "cores" in (text := call("info", "three.tfi")) and ", ".join(f"{n:,}" for n in facts["bodies"]) in text
    options = ("--prompt", "a", "--max-new-tokens", 3)
    assert ask("generate", "three.tfi", *options)["tokens"] == ask("generate", model, *options)["tokens"]
    refuse("1 to 16 linked cores can share a model, not 17", "pack", model, "-o", "x.tfi", *TINY, "--cores", 17)
    many = ("--cores", 16, "--set", "vector_rows=2", "--set", "lanes=8")
    refuse("16 cores cannot share hidden 24, which has 12 row groups", "pack", model, "-o", "x.tfi", *TINY, *many)


def test_info_prints_what_it_verified(image: Path) -> None:
    text = call("info", image)
    assert text.count("verified") == 6 and "hidden 24, layers 2" in text


def test_info_without_an_image_tells_versions_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITFORGE_CACHE", str(tmp_path / "kept"))
    facts = ask("info")
    assert facts["folders"] == {"program": str(Path(__file__).parents[3]), "cache": str(tmp_path / "kept")}
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
