# SPDX-License-Identifier: Apache-2.0
"""Every limit of every preset, at it, beside it and beyond it: whole results, tokens included."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.cores import packed
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.model.integer import IntegerModel
from tritforge.host.cli.app import app
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.image.stream import TokenStream
from tritforge.host.measure.cosim import compare
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.driver import Driver, MisfitError
from tritforge.host.run.generate import Checked, Sampler, generate
from tritforge.host.run.golden_backends import Cached, IntegerBackend
from tritforge.hw.packet import Context, parse_result
from tritforge.hw.params import CoreParams, preset
from tritforge.hw.schedule import Status
from tritforge.sim.simulator import SimTransport

CORES = {
    "tiny": preset("tiny"),
    "edge": preset("edge"),
    "edge x8": replace(preset("edge"), batch=8, vector_rows=2),
    "wide": preset("wide"),
    "wide x2": replace(preset("wide"), batch=2, vector_rows=8),
    # what a core can be at most
    "broad": CoreParams(lanes=64, max_hidden=8192, max_intermediate=8192, max_layers=2, max_vocab=64),
    "deep": CoreParams(max_hidden=32, max_intermediate=64, max_layers=255, max_vocab=65535),
}
"""The presets, alone and with contexts and rows a cycle, and the ends of the parameters themselves."""
SMALL = ModelConfig(hidden=11, layers=1, intermediate=13, vocab=40)
TOKENIZER = Path(__file__).parents[2] / "models" / "tales" / "tokenizer.json"
LIMITS = ("hidden", "layers", "intermediate", "vocab")


@pytest.fixture(scope="module", params=CORES)
def transport(request: pytest.FixtureRequest) -> Iterator[SimTransport]:
    with SimTransport(CORES[request.param]) as transport:
        transport.params = CORES[request.param]
        yield transport


def sized(name: str, value: int) -> ModelConfig:
    return ModelConfig(**asdict(SMALL) | {name: value})


@pytest.fixture(params=LIMITS)
def limit(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("below", [0, 1], ids=["at", "beside"])
def test_everything_is_exact_at_a_limit(transport: SimTransport, limit: str, below: int, tmp_path: Path) -> None:
    """Greedy text without logits, the same with every logit compared, then each context of a packet and the state; of
    a model so wide that a token takes seconds the last alone."""
    params = transport.params
    if below and params in (CORES["broad"], CORES["deep"]):
        pytest.skip("it takes as long as the limit itself, and the presets are compared beside theirs")
    image = packed(params, tmp_path, sized(limit, getattr(params, f"max_{limit}") - below), seed=below)
    if image.shape.hidden <= preset("wide").max_hidden:
        texts_are_exact(transport, image, 4 if limit == "vocab" else 2)
    contexts_are_exact(transport, image)


def texts_are_exact(transport: SimTransport, image: Image, count: int) -> None:
    """Greedy, of the core alone and compared at every step."""
    golden = IntegerBackend(Cached(DecodedImage(image)))
    prompt = [1, image.shape.vocab - 1]
    wanted = list(generate(golden, prompt, count, Sampler()))
    assert list(generate(CoreBackend(transport, image), prompt, count, Sampler())) == wanted
    checked = Checked(CoreBackend(transport, image), golden, lambda ids: f"after {ids}")
    assert list(generate(checked, prompt, count, Sampler())) == wanted
    assert checked.compared == len(prompt) + len(wanted) - (len(wanted) == count)


def contexts_are_exact(transport: SimTransport, image: Image) -> None:
    """As many sequences as there are slots, two packets each: tokens, logits, scales and states of all."""
    driver, model = Driver(transport, image), IntegerModel(Cached(DecodedImage(image)))
    ids = np.random.default_rng(1).integers(image.shape.vocab, size=(2, driver.params.batch))
    slots = range(driver.params.batch)
    for step in (0, 1):
        found = driver.step([Context(int(ids[step, s]), s, zero=not step, logits=True) for s in slots])
        for slot, prediction in zip(slots, found, strict=True):
            expected, state = model.forward(torch.from_numpy(ids[: step + 1, slot]))
            compare(f"logits of slot {slot}", prediction.logits, expected.raw[-1].numpy())
            assert prediction.token == int(expected.raw[-1].argmax()), f"token of slot {slot}"
            if step:
                compare(f"state of slot {slot}", driver.read_state(slot), state.numpy())


def test_one_beyond_a_limit_is_refused(transport: SimTransport, limit: str, tmp_path: Path) -> None:
    """By the driver, and by the core where a host does not ask."""
    params = transport.params
    beyond = getattr(params, f"max_{limit}") + 1
    if beyond > {"layers": 255, "vocab": 65535}.get(limit, 8192):
        with pytest.raises(TritforgeError, match=f"max_{limit} must be"):
            replace(params, **{f"max_{limit}": beyond})
        return
    larger = replace(params, **{f"max_{limit}": beyond + params.vector_rows - 1})
    image = packed(larger, tmp_path, sized(limit, beyond))
    with pytest.raises(MisfitError, match=rf"{limit} {beyond}; this core takes at most {beyond - 1}\."):
        Driver(transport, image)
    result = parse_result(transport.exchange(TokenStream(image).packet([Context(3, zero=True)], 7)))
    assert (result.status, result.sequence) == (Status.LIMITS, 7)
    contexts_are_exact(transport, packed(params, tmp_path / "small", SMALL))


def test_greedy_text_of_the_published_vocabulary_is_the_integer_models(tmp_path: Path) -> None:
    """As a user asks for it: 32,000 tokens, 64 inputs, on the preset that is sized for them."""
    folder, runner = tmp_path / "model", CliRunner()
    made = runner.invoke(app, ["random-checkpoint", "--shape", "64,1,64,32000", "-o", str(folder)])
    assert made.exit_code == 0, made.output
    shutil.copy(TOKENIZER, folder)
    told = []
    for backend in (["integer"], ["rtl"], ["rtl", "--check"]):
        options = ["--preset", "edge", "--prompt", "Once", "--max-new-tokens", "16", "--json"]
        result = runner.invoke(app, ["generate", str(folder), *options, "--backend", *backend])
        assert result.exit_code == 0, result.output
        told.append(json.loads(result.stdout))
    assert max(told[0]["tokens"]) >= 4096
    assert [(one["tokens"], one["text"]) for one in told[1:]] == [(told[0]["tokens"], told[0]["text"])] * 2
