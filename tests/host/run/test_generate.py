# SPDX-License-Identifier: Apache-2.0
"""Generation token by token, and the search for the first difference in a core's debug taps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.checkpoints import SMALL, random_checkpoint
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.numerics import sigmoid_negative
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.run.backends import Output
from tritforge.host.run.generate import Sampler, generate
from tritforge.host.run.golden_backends import IntegerBackend
from tritforge.host.run.locate import locate_difference

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
    assert locate_difference([taps], source, IDS) is None
    # rows of several matrices come mixed, those of one in order
    by_key = taps[np.argsort(taps[:, 0], kind="stable")]
    assert locate_difference([by_key], source, IDS) is None
    assert locate_difference([taps], source, IDS[:2]) is not None


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
    found = locate_difference([taps], source, IDS)
    assert found[:3] == where and (found.has - found.wants) % 2**32 in (1, 2)
    assert f"layer {where[0]}, {where[1]}[{where[2]}] is " in str(found)


def test_a_tap_that_is_missing_is_named(source: IntegerCheckpoint) -> None:
    taps = golden_taps(source, IDS)
    found = locate_difference([taps[taps[:, 0] != 0x13]], source, IDS)
    assert found[:3] == (0, "mix", 0) and found.has is None and "is missing instead of" in str(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "temperature must be 0 or more"),
        ({"temperature": float("nan")}, "temperature must be 0 or more"),
        ({"top_k": -1}, "top-k must be 0"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_senseless_sampling_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(TritforgeError, match=message):
        Sampler(**settings)


LOGITS = np.array([1, 4, -3, 4, 2, 2.5, 2, -np.inf], np.float32)


@pytest.mark.parametrize(
    ("top_k", "kept"),
    [
        (0, [0, 1, 2, 3, 4, 5, 6]),
        (2, [1, 3]),
        (4, [1, 3, 4, 5]),
        (9, [0, 1, 2, 3, 4, 5, 6]),
        (7, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
@pytest.mark.parametrize("temperature", [0.25, 1.0, 5.0])
def test_probabilities_are_a_softmax_of_the_largest(top_k: int, kept: list[int], temperature: float) -> None:
    """Of two equal ones at the edge the first is kept; what is not kept has exactly nothing."""
    has = Sampler(temperature, top_k).probabilities(LOGITS)
    assert np.flatnonzero(has).tolist() == kept
    wants = torch.from_numpy(LOGITS[kept]).double().div(temperature).softmax(0).numpy()
    np.testing.assert_allclose(has[kept], wants, rtol=1e-14)


def test_the_lowest_temperature_overflows_nothing() -> None:
    assert Sampler(5e-324).probabilities(LOGITS).tolist() == [0, 0.5, 0, 0.5, 0, 0, 0, 0]


def test_a_choice_is_where_the_generators_number_falls() -> None:
    """One number a token: the first token up to which the probabilities add up to more."""
    sampler, output = Sampler(2.0, 4, 3), Output(np.array([1]), LOGITS[np.newaxis])
    generator, numbers = sampler.generator(), np.random.default_rng(3).random(2000)
    sums = np.cumsum(sampler.probabilities(LOGITS))
    wants = [int(np.argmax(sums > number)) for number in numbers]
    assert [sampler.pick(output, generator) for _ in numbers] == wants and set(wants) == {1, 3, 4, 5}


def test_greedy_sampling_asks_for_no_logits(source: IntegerCheckpoint) -> None:
    sampler = Sampler(3.0, 1, 7)
    assert sampler.pick(Output(np.array([5, 6])), sampler.generator()) == 6
    backend = IntegerBackend(source)
    assert list(generate(backend, IDS, 12, Sampler())) == list(generate(backend, IDS, 12, sampler))


def test_sampling_follows_its_seed(source: IntegerCheckpoint) -> None:
    backend = IntegerBackend(source)
    stories = {seed: list(generate(backend, IDS, 12, Sampler(5.0, 0, seed))) for seed in (1, 2)}
    assert stories[1] == list(generate(backend, IDS, 12, Sampler(5.0, 0, 1))) and stories[1] != stories[2]


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


@pytest.mark.parametrize("sampler", [Sampler(), Sampler(2.0)], ids=["greedy", "sampling"])
def test_a_long_prompt_runs_in_parts(
    source: IntegerCheckpoint, monkeypatch: pytest.MonkeyPatch, sampler: Sampler
) -> None:
    ids, told = [number % SMALL.vocab for number in range(200)], []
    parts = list(generate(IntegerBackend(source), ids, 6, sampler, lambda *done: told.append(done)))
    last = 199 if sampler.temperature else 192
    assert told == [(done, 200) for done in (64, 128, 192, 199) if done <= last]
    monkeypatch.setattr("tritforge.host.run.generate.CHUNK", 1000)
    assert list(generate(IntegerBackend(source), ids, 6, sampler)) == parts
    for length in (1, 63, 64, 65, 129):
        assert len(list(generate(IntegerBackend(source), ids[:length], 2, sampler))) == 2


def test_generation_ends_before_end_of_text(source: IntegerCheckpoint) -> None:
    backend = IntegerBackend(source)
    story = list(generate(backend, IDS, 6, Sampler()))
    position = story.index(story[-1])
    for eos in ((story[-1],), (299, story[-1], 0)):
        backend.config = replace(backend.config, eos=eos)
        assert list(generate(backend, IDS, 6, Sampler())) == story[:position]
    backend.config = replace(backend.config, eos=())
    assert list(generate(backend, IDS, 6, Sampler())) == story
