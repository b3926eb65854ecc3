# SPDX-License-Identifier: Apache-2.0
"""Names of cores, and digests of what figures are measured on: Verilog, models, the specification."""

import hashlib
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from tritforge.hw.params import PRESETS, CoreParams, preset

DIGITS = 16
"""Hexadecimal digits of a digest."""
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json")
RING = " x "
"""Between the name of a ring's cores and how many there are."""
_INSTANCE = re.compile(r"^  (\w+) (?:#\(.*?\) )?\\?\S+ ?\(\n", re.M)


def named(params: CoreParams) -> str:
    """A core as ``preset name=value ...``, from the preset that it differs least from; `core_of` reads it."""

    def changes(base: CoreParams) -> list[str]:
        own = [
            f.name for f in fields(params) if f.name != "formats" and getattr(params, f.name) != getattr(base, f.name)
        ]
        widths = [
            f.name for f in fields(params.formats) if getattr(params.formats, f.name) != getattr(base.formats, f.name)
        ]
        return [f"{name}={getattr(params, name)}" for name in own] + [
            f"{name}={getattr(params.formats, name)}" for name in widths
        ]

    found = {name: changes(base) for name, base in PRESETS.items()}
    # of equals edge, which is everybody's default
    name = min(found, key=lambda name: (len(found[name]), name != "edge"))
    return " ".join([name, *(text.replace("True", "1") for text in found[name])])


def core_of(name: str) -> CoreParams:
    """The core of a name; TritforgeError where it is none."""
    base, *settings = name.split()
    return preset(base).override(dict(text.split("=", 1) for text in settings))


def ring_of(name: str) -> tuple[str, int]:
    """A core's name and how many of it, of what may be a ring: ``edge link_bytes=6 x 2``; 0 for a core alone."""
    core, _, cores = name.partition(RING)
    return core, int(cores or 0)


def options(name: str) -> str:
    """The name as options of the command line."""
    core, cores = ring_of(name)
    base, *settings = core.split()
    more = [f"--cores {cores}"] if cores else []
    return " ".join([f"--preset {base}", *(f"--set {text}" for text in settings), *more])


def verilog_digest(files: Sequence[Path], top: str) -> str:
    """Digest of a module of emitted Verilog with all that it uses, whatever the files' folder."""
    texts = {file.stem: file.read_text() for file in files}
    used, waiting = set(), [top]
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += [module for module in _INSTANCE.findall(texts[name]) if module in texts]
    return _digest(*(part for name in sorted(used) for part in (name, texts[name])))


def model_digest(folder: Path) -> str:
    """Digest of a checkpoint's weights, configuration and tokenizer; shards and missing files included."""
    digest = hashlib.sha256()
    names = {file.name for file in folder.glob("*.safetensors")} | set(MODEL_FILES)
    for name in sorted(names):
        path = folder / name
        if path.is_file():
            digest.update(name.encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:DIGITS]


def machine() -> str:
    """The one that this runs on, for figures in seconds."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def text_digest(text: str) -> str:
    """Digest of a text."""
    return _digest(text)


def specification_digest() -> str:
    """Digest of what the integer model computes: logits of a small random model, with and without outlier codes."""
    import tempfile

    import torch

    from tritforge.golden.checkpoints.config import ModelConfig
    from tritforge.golden.checkpoints.reader import Checkpoint
    from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
    from tritforge.golden.model.activations import activations
    from tritforge.golden.model.integer import IntegerModel
    from tritforge.golden.model.quantise import IntegerCheckpoint

    digest = hashlib.sha256()
    config = ModelConfig(hidden=64, layers=2, intermediate=160, vocab=96)
    with tempfile.TemporaryDirectory() as folder:
        write_random_checkpoint(Path(folder), config)
        source = IntegerCheckpoint(Checkpoint(Path(folder)))
        for bits in (8, 10):
            logits, state = IntegerModel(source, activations=activations(bits)).forward(torch.arange(16))
            digest.update(logits.raw.numpy().tobytes() + state.numpy().tobytes())
    return digest.hexdigest()[:DIGITS]


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:DIGITS]
