# SPDX-License-Identifier: Apache-2.0
"""Cores in a ring, simulated, against the golden integer model: every logit, scale, argmax and state of all."""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.cores import CORES, MODEL, packed_checkpoint
from tests.hw.test_core import SHARED, TALES, assert_exact, tokens
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.model.integer import IntegerModel
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.measure.cosim import compare
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.driver import MisfitError
from tritforge.host.run.ring import RingDriver
from tritforge.hw.link.message import message_bytes
from tritforge.hw.packet import Context
from tritforge.hw.params import MAX_LINK_BYTES, CoreParams
from tritforge.hw.schedule import MAX_CORES, token_beats
from tritforge.sim.ring.feed import WIRES, Links
from tritforge.sim.ring.simulator import SimRing


def linked(name: str, link_bytes: int = 0) -> CoreParams:
    """A core with a link, of one beat a message unless said."""
    return replace(CORES[name], link_bytes=link_bytes or message_bytes(CORES[name]))


RINGS = {
    "4x2": linked("4x2"),
    "16x2": linked("16x2", link_bytes=2),
    "64x4": linked("64x4", link_bytes=MAX_LINK_BYTES),
    "narrow": linked("narrow", link_bytes=1),
}
"""Among them the narrowest and the widest link, messages of several beats, several rows a cycle, several contexts and
outliers."""
COUNTS = (2, 3, 4, 8)


class Course(NamedTuple):
    """How a ring runs: its links, and the stalls of each core's streams, which repeat."""

    links: Links = WIRES
    stalls: tuple[float, ...] = (0.0,)

    def ring(self, params: CoreParams, count: int) -> SimRing:
        return SimRing(
            params, count, stall=[self.stalls[core % len(self.stalls)] for core in range(count)], links=self.links
        )


COURSES = {
    "flowing": Course(),
    "a register": Course(Links(1), (0.3,)),
    "stalling": Course(Links(7, 0.3), (0.4,)),
    "serial, unequal": Course(Links(100, 0.1), (0.0, 0.6, 0.2)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ring")
    write_random_checkpoint(folder / "checkpoint", MODEL)
    return folder


@cache
def image(folder: Path, name: str, count: int) -> Image:
    return packed_checkpoint(RINGS[name], folder / "checkpoint", folder / f"{name}-{count}", count)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", RINGS)
def test_random_models_are_bit_exact(name: str, count: int, folder: Path) -> None:
    shared = image(folder, name, count)
    for course in COURSES.values():
        with course.ring(RINGS[name], count) as ring:
            assert_exact(CoreBackend(ring, shared), shared, tokens(6 if count < 8 else 3, MODEL.vocab))


def test_the_largest_ring_is_bit_exact(folder: Path) -> None:
    shared = image(folder, "4x2", MAX_CORES)
    with COURSES["stalling"].ring(RINGS["4x2"], MAX_CORES) as ring:
        assert_exact(CoreBackend(ring, shared), shared, tokens(3, MODEL.vocab))


def test_one_core_with_a_link_is_a_ring(folder: Path) -> None:
    alone = image(folder, "4x2", 1)
    with SimRing(RINGS["4x2"], 1) as ring:
        assert_exact(CoreBackend(ring, alone), alone, tokens(6, MODEL.vocab))


LONG = {"a_h64_l2": SHARED / "a_h64_l2", "b_h128_l4_bf16": SHARED / "b_h128_l4_bf16", "tales": TALES}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", LONG)
def test_checkpoints_are_bit_exact(name: str, count: int, tmp_path: Path) -> None:
    if not LONG[name].is_dir():
        pytest.skip(f"{name} is not part of this repository")
    shared = packed_checkpoint(RINGS["16x2"], LONG[name], tmp_path / "image", count)
    for course in ("flowing", "stalling"):
        with COURSES[course].ring(RINGS["16x2"], count) as ring:
            assert_exact(CoreBackend(ring, shared), shared, tokens(3, shared.shape.vocab))


@pytest.mark.parametrize("count", [2, 4])
def test_one_memory_behind_all_is_used_to_its_limit(count: int, tmp_path: Path) -> None:
    """Of one beat a cycle for all of them."""
    params = RINGS["16x2"]
    shared = packed_checkpoint(params, TALES, tmp_path / "image", count)
    with SimRing(params, count, shared=params.lanes) as ring:
        backend = CoreBackend(ring, shared)
        backend.run(tokens(1, shared.shape.vocab), logits=False)
        assert ring.beats == sum(token_beats(params, share) for share in shared.shares)
        assert ring.beats / ring.cycles >= 0.98


@pytest.mark.parametrize("name", ["4x2", "64x4", "narrow"])
def test_sequences_and_prompts_share_a_pass(name: str, folder: Path) -> None:
    """Packets of any mixture: tokens of several sequences, several tokens of one, fresh and going on."""
    params, shared, chance = RINGS[name], image(folder, name, 3), random.Random(3)
    sequences: list[list[int]] = [[] for _ in range(params.batch)]
    with COURSES["serial, unequal"].ring(params, 3) as ring:
        driver = RingDriver(ring, shared)
        for _ in range(5):
            contexts = []
            for _ in range(chance.randint(1, params.batch)):
                slot, token = chance.randrange(params.batch), chance.randrange(MODEL.vocab)
                fresh = not sequences[slot] or chance.random() < 0.2
                sequences[slot] = [*([] if fresh else sequences[slot]), token]
                contexts.append(Context(token, slot, fresh, logits=chance.random() < 0.5))
            found = driver.step(contexts)
        states = [driver.read_state(slot) for slot in range(params.batch)]
    model = IntegerModel(DecodedImage(shared), activations=driver.activations)
    for slot, ids in enumerate(sequences):
        if ids:
            expected, state = model.forward(torch.tensor(ids))
            compare(f"state of slot {slot}", states[slot], state.numpy())
            last = [p for c, p in zip(contexts, found, strict=True) if c.slot == slot][-1:]
            assert all(p.token == int(expected.raw[-1].argmax()) for p in last)
            for prediction in (p for p in last if p.logits is not None):
                compare(f"logits of slot {slot}", prediction.logits, expected.raw[-1].numpy())


def test_the_state_can_be_moved_to_a_ring_of_another_size(folder: Path) -> None:
    ids = tokens(6, MODEL.vocab)
    expected, _ = IntegerModel(DecodedImage(image(folder, "4x2", 3))).forward(torch.from_numpy(ids))
    with SimRing(RINGS["4x2"], 3) as three, SimRing(RINGS["4x2"], 2) as two:
        first, second = (CoreBackend(ring, image(folder, "4x2", len(ring.cores))) for ring in (three, two))
        first.run(ids[:3])
        second.resume(first.state())
        compare("raw", second.run(ids[3:]).integers.raw, expected.raw[3:].numpy())


@pytest.mark.parametrize("course", COURSES)
def test_every_cycle_of_every_core_is_accounted_for(course: str, folder: Path) -> None:
    params, shared = RINGS["4x2"], image(folder, "4x2", 4)
    with COURSES[course].ring(params, 4) as ring:
        backend = CoreBackend(ring, shared)
        backend.run(tokens(2, MODEL.vocab))
        backend.driver.clear_counters()
        backend.run(tokens(3, MODEL.vocab))
        counted = backend.driver.core_counters()
    for share, c in zip(shared.shares, counted, strict=True):
        assert c.cycles == c.beats + c.repeats + c.starved + c.drain + c.dependency + c.result + c.exchange
        assert c.beats == token_beats(params, share, 3) and c.tokens == 3
        assert c.exchange > 0
        assert (c.starved > 0) == (COURSES[course].stalls[share.index % len(COURSES[course].stalls)] > 0)


def test_a_longer_link_costs_time_and_no_bit(folder: Path) -> None:
    shared, cycles = image(folder, "4x2", 4), []
    for latency in (0, 1, 7, 100, 500):
        with SimRing(RINGS["4x2"], 4, links=Links(latency)) as ring:
            assert_exact(CoreBackend(ring, shared), shared, tokens(2, MODEL.vocab))
            cycles.append(ring.cycles)
    assert cycles == sorted(cycles) and cycles[0] < cycles[2]


@pytest.mark.parametrize("count", [2, 4])
def test_a_core_that_is_missing_is_named(count: int, folder: Path) -> None:
    shared = image(folder, "4x2", count)
    with SimRing(RINGS["4x2"], count, links=Links(7, 0.3)) as ring:
        RingDriver(ring, shared)
        ring.ring.reset()
        ring.ring.cut(count - 1)
        with pytest.raises(MisfitError, match=rf"^Core 0 does not hear core {count - 1}: it is missing, or the link"):
            RingDriver(ring, shared)


def test_cocotb_and_the_harness_give_the_same_bits(folder: Path) -> None:
    """On one chip: as many cores in one design, with pauses everywhere."""
    from tritforge.host.measure.cosim import run

    assert run(RINGS["4x2"], 0.3, image=image(folder, "4x2", 2).path, tokens=2, cores=2)["tokens"] == 2
