# SPDX-License-Identifier: Apache-2.0
"""Models, images and settings that do not fit a core are refused; those that fit are applied."""

from pathlib import Path

import numpy as np
import pytest

from tests.command_line import TINY, ask, call, refuse
from tests.host.cli.conftest import PROMPT, read


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


def test_a_shared_image_on_a_core_without_a_link_is_refused(model: Path) -> None:
    call("pack", model, "-o", "two.tfi", *TINY, "--cores", 2)
    refuse("is packed for 2 cores that are linked, but the core has no link", "cosim", *TINY, "--image", "two.tfi")


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
