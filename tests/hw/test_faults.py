# SPDX-License-Identifier: Apache-2.0
"""Bad packets: the core answers each with an error result, takes the next one, and never hangs."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cores import CORES, packed
from tritforge.golden.checkpoints.reader import ModelConfig
from tritforge.golden.model.integer import IntegerModel
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.image.stream import TokenStream
from tritforge.host.measure.cosim import compare
from tritforge.host.measure.malformed import bad_headers, spoilt, with_header
from tritforge.host.run.driver import Driver
from tritforge.hw.packet import Context, Result, parse_result
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import register
from tritforge.hw.schedule import Status
from tritforge.sim.simulator import SimTransport

TINY = ModelConfig(hidden=12, layers=1, intermediate=14, vocab=9)
MUTATED, FAULTY = 3000, ["4x2", "64x4"]


@pytest.fixture(scope="module", params=FAULTY)
def params(request: pytest.FixtureRequest) -> CoreParams:
    return CORES[request.param]


@pytest.fixture(scope="module")
def image(params: CoreParams, tmp_path_factory: pytest.TempPathFactory) -> Image:
    return packed(params, tmp_path_factory.mktemp("model"), TINY)


@pytest.fixture
def transport(params: CoreParams) -> Iterator[SimTransport]:
    with SimTransport(params) as transport:
        yield transport


def packet(image: Image, token: int = 3, zero: bool = True, slot: int = 0) -> np.ndarray:
    contexts = [Context(token, slot, zero, logits=True)]
    return np.concatenate([np.asarray(s).reshape(-1) for s in TokenStream(image).packet(contexts, 7)])


def send(transport: SimTransport, data: np.ndarray) -> Result:
    return parse_result(transport.exchange([np.ascontiguousarray(data)]))


def assert_works(transport: SimTransport, image: Image, token: int = 3) -> None:
    """A good packet gives the golden model's logits."""
    expected, _ = IntegerModel(DecodedImage(image)).forward(torch.tensor([token]))
    result = send(transport, packet(image, token))
    assert result.status is Status.OK
    compare("logits", result.logits, expected.raw[0].numpy())


def errors(transport: SimTransport) -> int:
    return transport.read_register(register("ERRORS").offset)


HEADERS = bad_headers(CORES["4x2"], TINY.vocab)
"""The limits of all these cores are the same."""


@pytest.mark.parametrize("name", HEADERS)
def test_a_bad_header_is_refused_and_leaves_the_state(name: str, transport: SimTransport, image: Image) -> None:
    word, value, status = HEADERS[name]
    ids = torch.tensor([3, 5])
    expected, _ = IntegerModel(DecodedImage(image)).forward(ids)
    assert_works(transport, image, 3)
    good = packet(image)
    result = send(transport, with_header(good, word, value))
    assert (result.status, len(result.logits)) == (status, 0)
    assert errors(transport) == 1 << status
    again = send(transport, packet(image, 5, zero=False))
    assert again.status is Status.OK
    compare("logits", again.logits, expected.raw[1].numpy())


def test_an_altered_header_is_refused(transport: SimTransport, image: Image) -> None:
    data = packet(image)
    data[21] ^= 1
    assert send(transport, data).status is Status.HEADER_CRC
    assert_works(transport, image)


@pytest.mark.parametrize("cut", [1, 2, -1, 0.5], ids=["one beat", "two beats", "last beat missing", "half"])
def test_a_short_packet(cut: float, transport: SimTransport, image: Image) -> None:
    beats = packet(image).reshape(-1, image.params.lanes)
    count = int(len(beats) * cut) if isinstance(cut, float) else cut
    assert send(transport, beats[:count].reshape(-1)).status is Status.SHORT
    assert_works(transport, image)


def test_a_long_packet(transport: SimTransport, image: Image) -> None:
    data = np.concatenate([packet(image), np.zeros(3 * image.params.lanes, np.uint8)])
    result = send(transport, data)
    assert result.status is Status.LONG
    assert_works(transport, image)


def test_a_torn_state_needs_a_reset_or_the_host(transport: SimTransport, image: Image) -> None:
    """After a token that ended early nothing runs on the state it left, until it is reset or written."""
    driver = Driver(transport, image)
    expected, _ = IntegerModel(DecodedImage(image)).forward(torch.tensor([3, 5]))
    driver.step([Context(3, zero=True)])
    kept = driver.read_state()
    data = packet(image, 5)
    assert send(transport, data[: len(data) // image.params.lanes // 2 * image.params.lanes]).status is Status.SHORT
    assert send(transport, packet(image, 5, zero=False)).status is Status.STATE
    driver.write_state(kept)
    result = send(transport, packet(image, 5, zero=False))
    compare("logits", result.logits, expected.raw[1].numpy())


def test_an_abort_frees_the_core(transport: SimTransport, image: Image) -> None:
    """The host stops in the middle of a packet, aborts, ends the packet, and goes on."""
    beats = packet(image).reshape(-1, image.params.lanes)
    half = beats[: len(beats) // 2].reshape(-1)
    transport.exchange([np.ascontiguousarray(half)], last=False, expect_result=False)
    transport.write_register(register("CONTROL").offset, 1)
    assert send(transport, beats[-1]).status is Status.ABORTED
    assert_works(transport, image)


def test_mutated_packets_never_hang_the_core(transport: SimTransport, image: Image) -> None:
    """Each is answered; now and then a good packet shows that nothing was left behind."""
    chance, seen = random.Random(5), set()
    good = packet(image)
    for count in range(MUTATED):
        seen.add(send(transport, spoilt(good, image.params.lanes, chance)).status)
        if count % 10 == 0:
            assert_works(transport, image, chance.randrange(TINY.vocab))
    assert seen >= {Status.OK, Status.MAGIC, Status.HEADER_CRC, Status.LIMITS, Status.SHORT, Status.LONG}


def test_the_readme_says_how_many_packets_were_mutated() -> None:
    said = (Path(__file__).parents[2] / "README.md").read_text()
    assert f"{MUTATED * len(FAULTY):,} mutated packets" in said
