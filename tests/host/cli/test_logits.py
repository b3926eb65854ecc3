# SPDX-License-Identifier: Apache-2.0
"""Logits of a sequence of tokens, with every backend, and files of tokens that are refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.command_line import TINY, ask, call, refuse
from tests.host.cli.conftest import read
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.hw.params import preset


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


def test_an_output_that_cannot_be_written_is_refused(model: Path, image: Path) -> None:
    np.save("ids.npy", np.array([1]))
    refuse("No such file or directory", "logits", image, "--ids", "ids.npy", "--out", "none/x.npz")
    Path("file").touch()
    refuse("file", "pack", model, "-o", "file/x.tfi", *TINY)
