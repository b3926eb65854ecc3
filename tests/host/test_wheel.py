# SPDX-License-Identifier: Apache-2.0
"""What is installed from a wheel, with no checkout anywhere, does what a checkout does."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.checkpoints import random_checkpoint
from tritforge.rtl_gen.cache.sources import PACKAGES

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
FOLDERS = (*PACKAGES, "models")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since building leaves files beside the sources; without any network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source], check=True)
    (path,) = out.glob("tritforge-*.whl")
    return path


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment that has the wheel, and this environment's packages but for the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # a plain path: what makes the checkout importable stands in .pth files there, which only a site folder's are read
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "tritforge"


def test_a_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    def files(folder: Path) -> set[str]:
        found = {path.relative_to(ROOT).as_posix() for path in folder.rglob("*") if path.is_file()}
        return {f"tritforge/{name}" for name in found if "__pycache__" not in name and "sim/benches/" not in name}

    with ZipFile(wheel) as archive:
        has = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert has == set.union(*(files(ROOT / folder) for folder in FOLDERS))
    assert {
        "tritforge/sim/harness.cpp",
        "tritforge/sim/ecp5_cells.v",
        "tritforge/rtl_gen/synthesis/unknown.json",
        "tritforge/models/tales/model.safetensors",
    } <= has


def test_the_installed_program_simulates_from_elsewhere(program: Path, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRITFORGE", "XDG"))}
    env["HOME"] = str(tmp_path / "home")

    def run(*words: object) -> dict:
        command = [str(program), *map(str, words), "--json"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    folders = run("info")["folders"]
    assert folders["program"].startswith(str(program.parents[1]))
    assert folders["cache"] == str(tmp_path / "home" / ".cache" / "tritforge")
    assert (Path(folders["program"]) / "models" / "tales" / "tokenizer.json").is_file()
    model = random_checkpoint(tmp_path / "model")
    options = ("--prompt", "a", "--max-new-tokens", 3, "--preset", "tiny")
    found = run("generate", "model", *options, "--backend", "rtl")
    assert len(found["tokens"]) == 3 and found["counters"]["tokens"] >= 4
    assert run("generate", model, *options, "--backend", "integer")["tokens"] == found["tokens"]
    assert run("verilog", "-o", "verilog", "--preset", "tiny", "--bundle")["top"] == "tritforge_ip"
    assert run("estimate", "370M", "--preset", "edge", "--platform", "ecp5-85f")


def test_pinned_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    asked = {*project["dependencies"], *(name for extra in extras for name in extra)}
    pinned = {line.lower() for line in (ROOT / "requirements.txt").read_text().splitlines()}
    assert {one.lower() for one in asked} <= pinned
