# SPDX-License-Identifier: Apache-2.0
"""The whole core, simulated, against the golden integer model: every logit, scale, argmax and state."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cores import CORES, MODEL, SMALL_LIMITS, packed, packed_checkpoint
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.model.integer import IntegerModel
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.measure.cosim import Mismatch, compare
from tritforge.host.run.backends import CoreBackend, Ids
from tritforge.host.run.driver import Driver
from tritforge.host.run.golden_backends import Cached
from tritforge.hw.packet import Context
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import segments, token_beats
from tritforge.perf.estimates.cycles import CycleModel
from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog
from tritforge.rtl_gen.verilog.lint import lint
from tritforge.sim.simulator import SimTransport

SHARED = Path(__file__).parents[3] / "shared" / "reference"
TALES = Path(__file__).parents[2] / "models" / "tales"

SIDE = ("header", "constants", "gains")
OCCUPANCY = 0.9
"""Of the shipped model's shape with two layers; the pipelines that the clock needs cost it a tenth."""


def tokens(count: int, vocab: int, seed: int = 0) -> Ids:
    return np.random.default_rng(seed).integers(vocab, size=count)


def assert_exact(backend: CoreBackend, image: Image, ids: Ids) -> None:
    """Run ``ids`` from a zero state and compare everything."""
    backend.reset()
    got = backend.run(ids)
    expected, state = IntegerModel(Cached(DecodedImage(image)), activations=backend.driver.activations).forward(
        torch.from_numpy(ids)
    )
    for name in ("raw", "mantissa", "shift"):
        compare(name, getattr(got.exact, name), getattr(expected, name).numpy())
    compare("token", got.tokens, expected.raw.argmax(-1).numpy())
    compare("state", backend.state(), state.numpy())


@pytest.fixture(params=[0.0, 0.4], ids=["flowing", "stalling"], scope="module")
def stall(request: pytest.FixtureRequest) -> float:
    return request.param


@pytest.mark.parametrize("name", CORES)
def test_random_models_are_bit_exact(name: str, stall: float, tmp_path: Path) -> None:
    image = packed(CORES[name], tmp_path)
    with SimTransport(CORES[name], stall=stall) as transport:
        assert_exact(CoreBackend(transport, image), image, tokens(6, MODEL.vocab))


def test_all_rows_of_a_block_in_a_cycle(tmp_path: Path) -> None:
    """One row group a block; its Verilog is as clean as others'."""
    params = CoreParams(lanes=16, element_bytes=4, vector_rows=4, batch=2, **SMALL_LIMITS)
    assert params.row_groups == 1
    lint(cached_verilog(params), TOP)
    image = packed(params, tmp_path)
    with SimTransport(params) as transport:
        assert_exact(CoreBackend(transport, image), image, tokens(5, MODEL.vocab))


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(hidden=8, layers=1, intermediate=9, vocab=3),
        ModelConfig(hidden=20, layers=2, intermediate=40, vocab=16, use_lower_bound=False),
        ModelConfig(hidden=256, layers=1, intermediate=768, vocab=1024),
    ],
    ids=["least", "whole beats", "limits"],
)
def test_shapes_at_the_edges(config: ModelConfig, tmp_path: Path) -> None:
    image = packed(CORES["16x2"], tmp_path, config)
    with SimTransport(CORES["16x2"]) as transport:
        assert_exact(CoreBackend(transport, image), image, tokens(3, config.vocab))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return packed(CORES["16x2"], tmp_path_factory.mktemp("model"))


@pytest.fixture
def backend(image: Image) -> Iterator[CoreBackend]:
    with SimTransport(CORES["16x2"]) as transport:
        yield CoreBackend(transport, image)


def test_the_state_can_be_moved(backend: CoreBackend, image: Image) -> None:
    """Read after three tokens, overwrite by another sequence, write back, continue: as if nothing had happened."""
    ids = tokens(6, MODEL.vocab)
    expected, _ = IntegerModel(DecodedImage(image)).forward(torch.from_numpy(ids))
    backend.run(ids[:3])
    kept = backend.driver.read_state()
    backend.reset()
    backend.run(tokens(4, MODEL.vocab, seed=9))
    backend.driver.write_state(kept)
    compare("raw", backend.run(ids[3:]).exact.raw, expected.raw[3:].numpy())


def test_a_reset_forgets_the_sequence(backend: CoreBackend, image: Image) -> None:
    backend.run(tokens(3, MODEL.vocab, seed=5))
    assert_exact(backend, image, tokens(2, MODEL.vocab))


def test_the_lowest_index_wins_a_tie(tmp_path: Path) -> None:
    """With all rows of lm_head equal, every logit is."""
    from tritforge.golden.checkpoints.reader import Checkpoint, write_checkpoint
    from tritforge.golden.checkpoints.synthetic import write_random_checkpoint

    write_random_checkpoint(tmp_path / "random", MODEL)
    checkpoint = Checkpoint(tmp_path / "random")
    tensors = {name: checkpoint.tensor(name) for name in checkpoint.names()}
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:1].expand(MODEL.vocab, -1).contiguous()
    write_checkpoint(tmp_path / "tied", MODEL, tensors)
    image = packed_checkpoint(CORES["16x2"], tmp_path / "tied", tmp_path / "tied.img")
    with SimTransport(CORES["16x2"]) as transport:
        result = CoreBackend(transport, image).run(tokens(4, MODEL.vocab))
    assert (result.exact.raw == result.exact.raw[:, :1]).all()
    assert not result.tokens.any()


@pytest.mark.parametrize("name", ["4x2", "64x4", "narrow"])
def test_sequences_and_prompts_share_a_pass(name: str, stall: float, tmp_path: Path) -> None:
    """Packets of any mixture: tokens of several sequences, several tokens of one, fresh and going on."""
    params = CORES[name]
    image = packed(params, tmp_path)
    chance = random.Random(3)
    sequences: list[list[int]] = [[] for _ in range(params.batch)]
    seen: list[list[np.ndarray]] = [[] for _ in range(params.batch)]
    with SimTransport(params, stall=stall) as transport:
        driver = Driver(transport, image)
        for _ in range(6):
            contexts = []
            for _ in range(chance.randint(1, params.batch)):
                slot, token = chance.randrange(params.batch), chance.randrange(MODEL.vocab)
                fresh = not sequences[slot] or chance.random() < 0.2
                if fresh:
                    sequences[slot], seen[slot] = [], []
                sequences[slot].append(token)
                contexts.append(Context(token, slot, fresh, logits=True))
            for context, prediction in zip(contexts, driver.step(contexts), strict=True):
                seen[context.slot].append(prediction.logits)
            # a slot that began anew within the packet keeps the logits since then
            seen = [s[-len(q) :] if q else [] for s, q in zip(seen, sequences, strict=True)]
        states = [driver.read_state(slot) for slot in range(params.batch)]
    for slot, ids in enumerate(sequences):
        if ids:
            expected, state = IntegerModel(DecodedImage(image), activations=driver.activations).forward(
                torch.tensor(ids)
            )
            compare(f"logits of slot {slot}", np.stack(seen[slot]), expected.raw.numpy())
            compare(f"state of slot {slot}", states[slot], state.numpy())


def test_every_cycle_of_a_token_is_accounted_for(stall: float, tmp_path: Path) -> None:
    params = CORES["4x2"]
    image = packed(params, tmp_path)
    with SimTransport(params, stall=stall) as transport:
        backend = CoreBackend(transport, image)
        backend.run(tokens(5, MODEL.vocab))
        c = backend.counters()
    assert c.cycles == c.beats + c.repeats + c.starved + c.drain + c.dependency + c.result
    assert c.tokens == 5
    # five tokens in two packets: each beat is taken once for each of three and of two contexts
    packets = [token_beats(params, image.shape, contexts) for contexts in (3, 2)]
    side = [sum(s.beats for s in segments(params, image.shape, n) if s.kind in SIDE) for n in (3, 2)]
    assert c.beats == sum(packets)
    assert c.repeats == 2 * (packets[0] - side[0]) + (packets[1] - side[1])
    assert (c.starved > 0) == (stall > 0)


def test_the_stream_hardly_waits(tmp_path: Path) -> None:
    """What is lost is what the closed form says, to the cycle."""
    params = CORES["16x2"]
    config = ModelConfig(hidden=256, layers=2, intermediate=768, vocab=1024)
    image = packed(params, tmp_path, config)
    with SimTransport(params) as transport:
        backend = CoreBackend(transport, image)
        backend.run(tokens(2, config.vocab), logits=False)
        c = backend.counters()
    assert c.starved == 0
    assert c.occupancy > OCCUPANCY
    assert c.cycles == 2 * CycleModel(params).packet(image.shape).total


LONG_STALL = 0.15
"""Over so many cycles pauses meet everything anyway, and each costs time."""
LONG = {
    "a_h64_l2": (SHARED / "a_h64_l2", "4x2"),
    "b_h128_l4_bf16": (SHARED / "b_h128_l4_bf16", "16x2"),
    "tales": (TALES, "16x2"),
}


@pytest.mark.parametrize("name", LONG)
def test_many_tokens_are_bit_exact(name: str, stall: float, tmp_path: Path) -> None:
    """Two hundred of the small ones; of the shipped model fewer, and fewer with stalls, each of which costs time."""
    folder, core_name = LONG[name]
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not part of this repository")
    params = CORES[core_name]
    image = packed_checkpoint(params, folder, tmp_path / "image")
    with SimTransport(params, stall=min(stall, LONG_STALL)) as transport:
        count = 50 if stall else 80 if name == "tales" else 200
        assert_exact(CoreBackend(transport, image), image, tokens(count, image.shape.vocab))


def test_cocotb_and_the_harness_give_the_same_bits(image: Image, tmp_path: Path) -> None:
    """Both compare with the golden model; here the same tokens run through cocotb, with pauses everywhere."""
    from tritforge.host.measure.cosim import run

    assert run(CORES["16x2"], 0.3, image=image.path, tokens=4)["tokens"] == 4


def test_a_difference_is_found() -> None:
    """The comparison that everything here rests on names what differs."""
    a = np.arange(12).reshape(3, 4)
    b = a.copy()
    b[2, 1] += 1
    with pytest.raises(Mismatch, match=r"raw\[2, 1\] is 9, the golden model's is 10; 1 differ"):
        compare("raw", a, b)
