# SPDX-License-Identifier: Apache-2.0
"""Bad packets to one core of a ring: all answer that token with an error, take the next one, and never hang."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.cores import CORES, packed
from tests.hw.test_faults import TINY
from tritforge.golden.model.integer import IntegerModel
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.image import Image
from tritforge.host.image.stream import TokenStream
from tritforge.host.measure.cosim import compare
from tritforge.host.measure.malformed import spoilt, with_header
from tritforge.host.run.driver import CoreError
from tritforge.host.run.ring import RingDriver
from tritforge.hw.link.message import message_bytes
from tritforge.hw.packet import Context, Result, parse_result
from tritforge.hw.register_map import register
from tritforge.hw.schedule import Status
from tritforge.sim.ring.feed import Links
from tritforge.sim.ring.simulator import SimRing

PARAMS = replace(CORES["4x2"], link_bytes=message_bytes(CORES["4x2"]))
COUNT, MUTATED = 4, 1000
OTHERS = Status.PEER

Packets = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return packed(PARAMS, tmp_path_factory.mktemp("model"), TINY, cores=COUNT)


@pytest.fixture(params=[Links(), Links(7, 0.2)], ids=["wires", "links"])
def ring(request: pytest.FixtureRequest) -> Iterator[SimRing]:
    with SimRing(PARAMS, COUNT, links=request.param) as ring:
        yield ring


def packets(image: Image, token: int = 3, zero: bool = True) -> Packets:
    """One for each core."""
    made = TokenStream(image).packets([Context(token, 0, zero, logits=True)], 7)
    return [np.concatenate([np.asarray(part).reshape(-1) for part in packet]) for packet in made]


def send(ring: SimRing, data: Packets) -> list[Result]:
    return [parse_result(words) for words in ring.exchange_all([[np.ascontiguousarray(one)] for one in data])]


def statuses(ring: SimRing, data: Packets) -> list[Status]:
    return [result.status for result in send(ring, data)]


def errors(ring: SimRing) -> list[int]:
    return [core.read_register(register("ERRORS").offset) for core in ring.cores]


def assert_works(ring: SimRing, image: Image, token: int = 3) -> None:
    """Good packets give the golden model's logits."""
    expected, _ = IntegerModel(DecodedImage(image)).forward(torch.tensor([token]))
    results = send(ring, packets(image, token))
    assert [result.status for result in results] == [Status.OK] * COUNT
    compare("logits", np.concatenate([result.logits for result in results]), expected.raw[0].numpy())
    assert {result.tokens for result in results} == {(int(expected.raw[0].argmax()),)}


def blamed(core: int, status: Status) -> list[Status]:
    """What the cores of a ring answer when one has ended a token with a status."""
    return [status if number == core else OTHERS for number in range(COUNT)]


HEADERS = {
    "magic": (0, 0x12345678, Status.MAGIC),
    "version": (1, lambda w: w ^ 2, Status.FORMAT),
    "lanes": (1, lambda w: w ^ 0x1000000, Status.GEOMETRY),
    "index": (2, lambda w: w ^ 3 << 24, Status.GEOMETRY),
    "number of cores": (2, lambda w: w ^ 4 << 28, Status.GEOMETRY),
    "too many contexts": (2, lambda w: w + 8, Status.LIMITS),
    "token": (4, TINY.vocab, Status.TOKEN),
    "slot": (8, 8, Status.LIMITS),
    "hidden": (9, lambda w: w + 256, Status.LIMITS),
    "layers": (10, lambda w: w + 8, Status.LIMITS),
}


@pytest.mark.parametrize("core", [0, 2])
@pytest.mark.parametrize("name", HEADERS)
def test_a_bad_header_ends_the_token_on_all(name: str, core: int, ring: SimRing, image: Image) -> None:
    word, value, status = HEADERS[name]
    assert_works(ring, image)
    data = packets(image)
    value = value(int(data[core][:64].view(np.uint32)[word])) if callable(value) else value
    data[core] = with_header(data[core], word, value)
    assert statuses(ring, data) == blamed(core, status)
    assert errors(ring) == [1 << one for one in blamed(core, status)]
    assert_works(ring, image, 5)


@pytest.mark.parametrize("cut", [1, 2, -1, 0.5], ids=["one beat", "two beats", "last beat missing", "half"])
def test_a_short_packet_ends_the_token_on_all(cut: float, ring: SimRing, image: Image) -> None:
    data = packets(image)
    beats = data[1].reshape(-1, PARAMS.lanes)
    data[1] = beats[: int(len(beats) * cut) if isinstance(cut, float) else cut].reshape(-1)
    assert statuses(ring, data) == blamed(1, Status.SHORT)
    assert_works(ring, image)


def test_a_long_packet_ends_the_token_on_all(ring: SimRing, image: Image) -> None:
    data = packets(image)
    data[3] = np.concatenate([data[3], np.zeros(3 * PARAMS.lanes, np.uint8)])
    assert statuses(ring, data) == blamed(3, Status.LONG)
    assert_works(ring, image)


def test_packets_of_one_another_are_refused(ring: SimRing, image: Image) -> None:
    data = packets(image)
    data[0], data[2] = data[2], data[0]
    assert statuses(ring, data) == [Status.GEOMETRY, OTHERS, Status.GEOMETRY, OTHERS]
    assert_works(ring, image)


def test_bad_packets_to_all_are_each_answered(ring: SimRing, image: Image) -> None:
    junk = [np.full(PARAMS.lanes, number, np.uint8) for number in range(COUNT)]
    assert all(status is not Status.OK for status in statuses(ring, junk))
    assert_works(ring, image)


@pytest.mark.parametrize("core", range(COUNT))
@pytest.mark.parametrize("after", [20, 300, 700])
def test_an_abort_on_one_frees_all(core: int, after: int, ring: SimRing, image: Image) -> None:
    """The token runs for some cycles, one core is told to end it, and the packets end as they would have."""
    data = packets(image)
    ring.ring.begin(ring.feeds([[one] for one in data]))
    assert ring.ring.run(max_cycles=after)
    ring.cores[core].write_register(register("CONTROL").offset, register("CONTROL").field("ABORT").mask)
    assert ring.ring.run() == []
    assert [parse_result(done.words).status for done in ring.ring.end()] == blamed(core, Status.ABORTED)
    assert_works(ring, image)


def test_the_driver_says_whose_fault_it_was_and_goes_on(ring: SimRing, image: Image) -> None:
    driver, exchange = RingDriver(ring, image), ring.exchange_all
    ring.exchange_all = lambda data: exchange(
        [[*p, np.zeros(4, np.uint8)] if k == 2 else p for k, p in enumerate(data)]
    )
    with pytest.raises(CoreError, match=r"^Core 2 ended token 3 with status LONG"):
        driver.step([Context(3, zero=True)])
    ring.exchange_all = exchange
    with pytest.raises(CoreError, match=r"ended token 5 with status STATE: the state of a slot is torn"):
        driver.step([Context(5)])
    expected, _ = IntegerModel(DecodedImage(image)).forward(torch.tensor([5]))
    (found,) = driver.step([Context(5, zero=True, logits=True)])
    compare("logits", found.logits, expected.raw[0].numpy())


def test_the_readme_says_how_many_packets_were_mutated() -> None:
    assert f"{MUTATED:,} mutated packets, aborts" in (Path(__file__).parents[2] / "README.md").read_text()


def test_mutated_packets_never_hang_the_ring(image: Image) -> None:
    """To one core of four: each is answered by all; now and then good packets show that nothing was left behind."""
    chance, seen = random.Random(5), set()
    good = packets(image)
    with SimRing(PARAMS, COUNT, stall=[0.0, 0.3, 0.0, 0.1], links=Links(3, 0.1)) as ring:
        for count in range(MUTATED):
            core, data = chance.randrange(COUNT), list(good)
            data[core] = spoilt(data[core], PARAMS.lanes, chance)
            found = statuses(ring, data)
            assert (found == [Status.OK] * COUNT) == (Status.OK in found), found
            seen.add(found[core])
            if count % 10 == 0:
                assert_works(ring, image, chance.randrange(TINY.vocab))
    assert seen >= {Status.OK, Status.MAGIC, Status.HEADER_CRC, Status.LIMITS, Status.SHORT, Status.LONG}
