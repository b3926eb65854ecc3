# SPDX-License-Identifier: Apache-2.0
"""Bad packets: the core answers each with an error result, takes the next one, and never hangs."""

import random
import zlib
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
from tritforge.host.run.driver import Driver
from tritforge.hw.packet import Context, Result, parse_result
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import register
from tritforge.hw.schedule import HEADER_WORDS, Status
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


def with_header(data: np.ndarray, word: int, value: int) -> np.ndarray:
    """The packet with one header word replaced and the CRC made right again."""
    data = data.copy()
    words = data[: 4 * HEADER_WORDS].view(np.uint32)
    words[word] = value
    words[15] = zlib.crc32(words[:15].tobytes())
    return data


def errors(transport: SimTransport) -> int:
    return transport.read_register(register("ERRORS").offset)


HEADERS = {
    "magic": (0, 0x12345678, Status.MAGIC),
    "version": (1, lambda w: w ^ 2, Status.FORMAT),
    "code": (1, lambda w: w ^ 0x300, Status.FORMAT),
    "element bytes": (1, lambda w: w ^ 0x70000, Status.GEOMETRY),
    "lanes": (1, lambda w: w ^ 0x1000000, Status.GEOMETRY),
    "unknown flag": (2, lambda w: w | 1 << 24, Status.FORMAT),
    "no contexts": (2, 0, Status.FORMAT),
    "too many contexts": (2, 9, Status.LIMITS),
    "zero state of a missing context": (2, lambda w: w | 1 << 15, Status.FORMAT),
    "logits of a missing context": (2, lambda w: w | 1 << 17, Status.FORMAT),
    "token": (4, TINY.vocab, Status.TOKEN),
    "token of a missing context": (4, 3 | 1 << 16, Status.FORMAT),
    "slot": (8, 8, Status.LIMITS),
    "slot of a missing context": (8, 1 << 4, Status.FORMAT),
    "no hidden": (9, 0, Status.LIMITS),
    "hidden": (9, 257, Status.LIMITS),
    "hidden beyond 16 bits": (9, 12 | 1 << 20, Status.LIMITS),
    "no layers": (10, 0, Status.LIMITS),
    "layers": (10, 9, Status.LIMITS),
    "intermediate": (11, 769, Status.LIMITS),
    "vocabulary": (12, 1025, Status.LIMITS),
    "too few beats": (13, lambda w: w - 1, Status.LIMITS),
    "too many beats": (13, lambda w: w + (1 << 16), Status.LIMITS),
    "unused word": (14, 1, Status.FORMAT),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_bad_header_is_refused_and_leaves_the_state(name: str, transport: SimTransport, image: Image) -> None:
    word, value, status = HEADERS[name]
    ids = torch.tensor([3, 5])
    expected, _ = IntegerModel(DecodedImage(image)).forward(ids)
    assert_works(transport, image, 3)
    good = packet(image)
    value = value(int(good[:64].view(np.uint32)[word])) if callable(value) else value
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


def mutate(data: np.ndarray, lanes: int, chance: random.Random) -> np.ndarray:
    """One of many ways to spoil a packet."""
    kind = chance.randrange(6)
    data = data.copy()
    if kind == 0:
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        return data[: lanes * chance.randint(1, len(data) // lanes)]
    elif kind == 2:
        extra = chance.randbytes(lanes * chance.randint(1, 40))
        return np.concatenate([data, np.frombuffer(extra, np.uint8)])
    elif kind == 3:
        return np.frombuffer(chance.randbytes(lanes * chance.randint(1, 60)), np.uint8).copy()
    elif kind == 4:
        return with_header(data, chance.randrange(15), chance.getrandbits(chance.choice([4, 8, 16, 32])))
    else:
        start = chance.randrange(64, len(data))
        size = min(len(data) - start, chance.randint(1, 64))
        data[start : start + size] = np.frombuffer(chance.randbytes(size), np.uint8)
    return data


def test_mutated_packets_never_hang_the_core(transport: SimTransport, image: Image) -> None:
    """Each is answered; now and then a good packet shows that nothing was left behind."""
    chance, seen = random.Random(5), set()
    good = packet(image)
    for count in range(MUTATED):
        seen.add(send(transport, mutate(good, image.params.lanes, chance)).status)
        if count % 10 == 0:
            assert_works(transport, image, chance.randrange(TINY.vocab))
    assert seen >= {Status.OK, Status.MAGIC, Status.HEADER_CRC, Status.LIMITS, Status.SHORT, Status.LONG}


def test_the_readme_says_how_many_packets_were_mutated() -> None:
    said = (Path(__file__).parents[2] / "README.md").read_text()
    assert f"{MUTATED * len(FAULTY):,} mutated packets" in said
