# SPDX-License-Identifier: Apache-2.0
"""Generation token by token, and the search for the first difference in a core's debug taps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from golden.checkpoint import Checkpoint
from golden.integer import IntegerModel
from golden.numerics import Formats, sigmoid_negative
from golden.quantise import IntegerCheckpoint
from host.backends import IntegerBackend
from host.generate import Sampler, generate
from host.locate import locate_difference
from tests.checkpoints import SMALL, random_checkpoint

IDS = [1, 17, 300, 0]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> IntegerCheckpoint:
    folder = random_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return IntegerCheckpoint(Checkpoint(folder), Formats())


def golden_taps(source: IntegerCheckpoint, ids: list[int]) -> np.ndarray:
    """What a core with debug taps records for the last token: (kind << 4 | op, value), by the op numbers."""
    keys = {
        **{"f.acc": 0x01, "i.acc": 0x02, "g.acc": 0x03, "o.acc": 0x04, "head.acc": 0x08},
        **{"embedding": 0x10, "mix": 0x13, "out": 0x14, "expand": 0x16},
    }
    points, state = [], None
    model = IntegerModel(source)
    for token in ids:
        points.clear()
        _, state = model.forward(torch.tensor([token]), state, lambda *point: points.append(point))
    taps = []
    for layer, unit, values in points:
        rows = values[0].tolist()
        last = layer == SMALL.layers - 1
        if unit == "gate.acc":
            taps += [(0x05, v) for v in rows[:44]] + [(0x06, v) for v in rows[44:]]
        elif unit == "f":
            taps += [(0x11, v) for v in sigmoid_negative(values[0], source.fmt).tolist()]
        elif unit in ("down.acc", "contract"):
            kind = 0x00 if unit == "down.acc" else 0x10
            taps += [(kind | (4 if last else 7), v) for v in rows]
        elif unit in keys:
            taps += [(keys[unit], v) for v in rows]
    return np.array([(key, value & 0xFFFFFFFF) for key, value in taps], dtype=np.uint32)


def test_equal_taps_show_no_difference(source: IntegerCheckpoint) -> None:
    taps = golden_taps(source, IDS)
    assert locate_difference(taps, source, IDS) is None
    # rows of several matrices come mixed, those of one in order
    by_key = taps[np.argsort(taps[:, 0], kind="stable")]
    assert locate_difference(by_key, source, IDS) is None
    assert locate_difference(taps, source, IDS[:2]) is not None


@pytest.mark.parametrize(
    ("key", "at", "where"),
    [
        (0x10, 5, (0, "embedding", 5)),
        (0x02, 24 + 3, (1, "i.acc", 3)),
        (0x11, 23, (0, "sigmoid(-f)", 23)),
        (0x06, 44 + 9, (1, "up.acc", 9)),
        (0x07, 1, (0, "down.acc", 1)),
        (0x04, 2 * 24 + 2, (1, "down.acc", 2)),
        (0x14, 2 * 24, (1, "contract", 0)),
        (0x08, 300, (2, "head.acc", 300)),
    ],
)
def test_the_first_different_tap_is_named(
    source: IntegerCheckpoint, key: int, at: int, where: tuple[int, str, int]
) -> None:
    taps = golden_taps(source, IDS)
    rows = np.flatnonzero(taps[:, 0] == key)
    taps[rows[at], 1] += 1
    taps[-1, 1] += 1  # a later difference, not the first
    found = locate_difference(taps, source, IDS)
    assert found[:3] == where and (found.has - found.wants) % 2**32 in (1, 2)
    assert f"layer {where[0]}, {where[1]}[{where[2]}] is " in str(found)


def test_a_tap_that_is_missing_is_named(source: IntegerCheckpoint) -> None:
    taps = golden_taps(source, IDS)
    found = locate_difference(taps[taps[:, 0] != 0x13], source, IDS)
    assert found[:3] == (0, "mix", 0) and found.has is None and "is missing instead of" in str(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature must be 0 or more"),
        ({"temperature": float("nan")}, "temperature must be 0 or more"),
        ({"top_k": -1}, "top-k must be 0"),
    ],
)
def test_senseless_sampling_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampler(**settings)


def test_sampling_follows_its_seed_and_its_top_k(source: IntegerCheckpoint) -> None:
    backend = IntegerBackend(source)
    stories = {seed: list(generate(backend, IDS, 12, Sampler(5.0, 0, seed))) for seed in (1, 2)}
    assert stories[1] == list(generate(backend, IDS, 12, Sampler(5.0, 0, 1))) and stories[1] != stories[2]
    greedy = list(generate(backend, IDS, 12, Sampler()))
    assert greedy == list(generate(backend, IDS, 12, Sampler(3.0, 1, 7)))
    backend.reset()
    output = backend.run(torch.tensor(IDS))
    largest = output.logits[-1].topk(3).indices.tolist()
    generator = Sampler(9.0, 3, 0).generator()
    assert {Sampler(9.0, 3).pick(output, generator) for _ in range(200)} == set(largest)


def test_only_the_last_of_the_prompts_logits_are_asked_for(
    source: IntegerCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, asked = IntegerBackend(source), []
    run = backend.run
    monkeypatch.setattr(
        backend, "run", lambda ids, logits, *more: asked.append((len(ids), logits)) or run(ids, logits)
    )
    list(generate(backend, IDS, 2, Sampler(1.0)))
    list(generate(backend, IDS, 2, Sampler()))
    assert asked == [(len(IDS) - 1, False), (1, True), (1, True), (len(IDS), False), (1, False)]


def test_generation_ends_before_end_of_text(source: IntegerCheckpoint) -> None:
    backend = IntegerBackend(source)
    story = list(generate(backend, IDS, 6, Sampler()))
    position = story.index(story[-1])
    backend.config = replace(backend.config, eos=story[-1])
    assert list(generate(backend, IDS, 6, Sampler())) == story[:position]
