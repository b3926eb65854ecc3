# SPDX-License-Identifier: Apache-2.0
"""Scores of a text, and texts that are refused."""

from pathlib import Path

import pytest

from tests.command_line import TINY, ask, call, refuse
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.text import TextCodec, bits_per_character
from tritforge.golden.model.reference import ReferenceModel


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


def test_texts_that_cannot_be_scored_are_refused(image: Path) -> None:
    Path("empty.txt").write_text("")
    refuse("empty", "eval", image, "--text", "empty.txt")
    refuse("none.txt", "eval", image, "--text", "none.txt")
    Path("text.txt").write_text("abc")
    refuse("choose --backend float or integer", "eval", image, "--text", "text.txt", "--backend", "rtl")
