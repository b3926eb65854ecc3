# SPDX-License-Identifier: Apache-2.0
"""Cores in a ring, as a user asks for them; in software."""

from pathlib import Path

import numpy as np
import pytest

from tests.command_line import TINY, ask, call, invoke, refuse
from tests.host.cli.conftest import PROMPT, read
from tests.host.run.fake_ring import FakeRing
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.image import Image
from tritforge.sim.ring.feed import Links

RTL = (*TINY, "--backend", "rtl")


@pytest.fixture(autouse=True)
def rings(model: Path, place: None, monkeypatch: pytest.MonkeyPatch) -> list[FakeRing]:
    """Those that a command makes."""
    made: list[FakeRing] = []
    fake = FakeRing.simulated(IntegerCheckpoint(Checkpoint(model)), made)
    monkeypatch.setattr("tritforge.sim.ring.simulator.SimRing", fake)
    return made


def test_many_cores_tell_the_story_of_one(model: Path, rings: list[FakeRing]) -> None:
    options = ("generate", model, "--prompt", PROMPT, "--max-new-tokens", 5)
    alone = ask(*options, *TINY)
    told = ask(*options, *RTL, "--cores", 3, "--check", "--stall", 0.25, "--link-latency", 7)
    assert told["tokens"] == alone["tokens"] and told["checked"] == told["counters"]["tokens"] > 5
    assert [core["cores"] for core in told["cores"]] == [1, 1, 1] and told["counters"]["cores"] == 3
    for name in ("cycles", "exchange"):
        assert told["counters"][name] == sum(core[name] for core in told["cores"]) > 0
    (ring,) = rings
    assert ring.params.linked and len(ring.cores) == 3
    assert ring.given == {"stall": 0.25, "links": Links(7, 0.25), "memory": None}
    said = invoke(*options, *RTL, "--cores", 3).stderr
    assert f"{told['counters']['tokens']} tokens on 3 cores, 5 cycles per token, 40.0% of them for other" in said


def test_many_cores_have_the_logits_of_one(model: Path) -> None:
    np.save("ids.npy", np.array([5, 9, 300]))
    options = ("logits", model, "--ids", "ids.npy", *TINY)
    call(*options, "--out", "one.npz")
    for cores in (1, 4):
        told = ask(*options, "--backend", "rtl", "--cores", cores, "--out", "many.npz")
        assert len(told.get("cores", [])) == (cores if cores > 1 else 0)
        one, many = read("one.npz"), read("many.npz")
        assert one.keys() == many.keys() and all(np.array_equal(one[key], many[key]) for key in one)


def test_an_image_says_for_how_many_cores_it_is(model: Path, rings: list[FakeRing]) -> None:
    call("pack", model, "-o", "two.tfi", *TINY, "--cores", 2)
    options = ("generate", "two.tfi", "--prompt", "a", "--max-new-tokens", 2, "--backend", "rtl")
    assert ask(*options)["counters"]["cores"] == 2 and Image.open("two.tfi").cores == 2
    refuse("two.tfi is packed for 2 linked cores, not 3; pack the checkpoint with --cores 3", *options, "--cores", 3)


def test_a_core_that_is_missing_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRing, "hello", lambda ring, number: None)
    options = ("generate", model, "--prompt", "a", *RTL, "--cores", 2)
    refuse("Core 0 does not hear core 1: it is missing, or the link from it to core 0 is cut.", *options)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("it needs --cores.", ("--backend", "rtl", "--link-latency", 3)),
        ("--link-latency is about simulated cores; it needs --backend rtl.", ("--link-latency", 3)),
        (
            "latency of a link is 0 to 100,000 cycles, not -1.",
            ("--backend", "rtl", "--cores", 2, "--link-latency", -1),
        ),
        ("1 to 16 linked cores can share a model, not 17.", ("--backend", "rtl", "--cores", 17)),
        ("--cores is a number of simulated cores; it needs --backend rtl.", ("--cores", 2)),
    ],
)
def test_rings_that_cannot_be_are_refused(model: Path, message: str, options: tuple[object, ...]) -> None:
    refuse(message, "generate", model, "--prompt", "a", *TINY, *options)


def test_a_ring_is_not_placed(model: Path) -> None:
    refuse("--gates is of one core; leave it or --cores out.", "cosim", *TINY, "--gates", "--cores", 2)
