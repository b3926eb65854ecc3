# SPDX-License-Identifier: Apache-2.0
"""Training, teaching and calibrating as commands: what is written, told and refused."""

from pathlib import Path

import pytest
import torch

from tests.command_line import ask, call, invoke, refuse
from tests.golden.train.test_train import CODEC, TALE
from tritforge.golden.train.corpus import Labelled

SIZE = ("--hidden", 16, "--layers", 1, "--intermediate", 16, "--vocab", 330, "--batch", 2, "--window", 16)
RUN = ("--corpus", "tale.txt", "--val", "tale.txt", *SIZE, "--steps", 3, "--state", "s.pt", "--device", "cpu")


def test_teachers_are_trained_and_label_texts_for_a_student() -> None:
    Path("tale.txt").write_text(TALE)
    result = invoke("train", "model", *RUN, "-o", "best", "--plain", "--muon")
    assert result.exit_code == 0 and "step 3" in result.stderr and "bits per character" in result.stdout
    teachers = ("--teacher", "best", "--teacher", "best", "--plain", "--device", "cpu")
    sampling = ("train", "dream", *teachers, "-o", "dream.lab", "--streams", 3, "--length", 60)
    told, sampled = ask(*sampling), Labelled.load([Path("dream.lab")])
    assert told == {"file": "dream.lab", "tokens": len(sampled.tokens)}
    call(*sampling)
    assert all(map(torch.equal, Labelled.load([Path("dream.lab")]), sampled))
    call("train", "dream", *teachers, "--text", "tale.txt", "-o", "read.lab", "--streams", 4, "--keep", 7)
    assert Labelled.load([Path("read.lab")]).pieces.shape == (len(CODEC.encode(TALE)) // 4 * 4, 7)
    labels = ("--labelled", "read.lab", "--labelled", "read.lab")
    told = ask("train", "model", *RUN, "-o", "student", *labels, "--init", "best", "--settle", 0.5)
    assert told["checkpoint"] == "student" and told["recipe"]["settle"] == 0.5 and told["bits_per_character"] > 0
    told = ask("train", "calibrate", "student", "--text", "tale.txt", "-o", "mended")
    assert told["after"] < told["before"] and Path("mended/tokenizer.json").is_file()
    Path("tale.txt").write_text(TALE.replace("king", "jinn"))
    refuse("another tokenizer", "train", "model", *RUN, "-o", "other", "--init", "best")


def test_senseless_recipes_and_checkpoints_are_refused() -> None:
    Path("tale.txt").write_text(TALE)
    refuse("Give either --steps or --minutes.", "train", "model", *RUN, "--minutes", 1, "-o", "x")
    refuse("none is no folder", "train", "calibrate", "none", "--text", "tale.txt", "-o", "x")
    refuse("none is no folder", "train", "dream", "--teacher", "none", "-o", "x")


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_bad_texts_are_refused(content: bytes | None) -> None:
    if content is not None:
        Path("tale.txt").write_bytes(content)
    refuse("tale.txt", "train", "model", *RUN, "-o", "x")
