# SPDX-License-Identifier: Apache-2.0
"""The driver of a ring against cores in software: who is there, one answer of all, whose fault an error is."""

import numpy as np
import pytest
import torch

from tests.checkpoints import random_checkpoint
from tests.host.run.fake_ring import FakeRing
from tritforge.golden import Failure, TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.driver import CoreError, MisfitError
from tritforge.host.run.registers import Counters
from tritforge.host.run.ring import RingDriver
from tritforge.hw import register_map as rm
from tritforge.hw.packet import Context, split_scale
from tritforge.hw.params import CoreParams
from tritforge.hw.schedule import Status

CORE = CoreParams(lanes=16, element_bytes=2, vector_rows=2, batch=3, link_bytes=8)
IDS = [1, 17, 300, 0, 5]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> IntegerCheckpoint:
    folder = random_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    return IntegerCheckpoint(Checkpoint(folder), CORE.formats)


@pytest.fixture(scope="module")
def images(source: IntegerCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Image]:
    """By the number of cores; no dimension divides by three."""
    folder, found = tmp_path_factory.mktemp("images"), {}
    for count in (1, 2, 3, 4):
        pack(source, CORE, folder / f"{count}", cores=count)
        found[count] = Image.open(folder / f"{count}")
    return found


@pytest.fixture
def ring(source: IntegerCheckpoint, images: dict[int, Image]) -> FakeRing:
    """Of three cores."""
    return FakeRing(CORE, source, images[3].shares)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_all_cores_answer_as_one(source: IntegerCheckpoint, images: dict[int, Image], count: int) -> None:
    image = images[count]
    backend = CoreBackend(FakeRing(CORE, source, image.shares), image)
    expected, state = IntegerModel(source).forward(torch.tensor(IDS))
    output = backend.run(np.array(IDS))
    assert np.array_equal(output.integers.raw, expected.raw.numpy())
    assert np.array_equal(output.integers.mantissa, expected.mantissa.numpy())
    assert np.array_equal(output.tokens, expected.raw.argmax(-1).numpy())
    assert np.array_equal(backend.state(), state.numpy())


def test_slots_keep_sequences_and_can_be_written(ring: FakeRing, source: IntegerCheckpoint, images: dict) -> None:
    driver = RingDriver(ring, images[3])
    driver.step([Context(4, slot=1, zero=True), Context(7, slot=2, zero=True)])
    kept, other = driver.read_state(1), driver.read_state(2)
    assert not driver.read_state(0).any() and not np.array_equal(kept, other)
    driver.write_state(kept, slot=0)
    first, second = driver.step([Context(9, slot=0, logits=True), Context(9, slot=1)])
    expected, state = IntegerModel(source).forward(torch.tensor([4, 9]))
    assert np.array_equal(first.logits, expected.raw[1].numpy()) and second.logits is None
    assert (first.token, first.scale) == (second.token, second.scale)
    assert split_scale(first.scale) == (int(expected.mantissa[1]), int(expected.shift[1]))
    for slot in (0, 1):
        assert np.array_equal(driver.read_state(slot), state.numpy())
    with pytest.raises(TritforgeError, match=r"has shape \(2, 24\), not \(2, 8\)"):
        driver.write_state(kept[:, :8])


def test_bodies_are_sent_in_place(ring: FakeRing, images: dict[int, Image]) -> None:
    RingDriver(ring, images[3]).step([Context(5, zero=True)])
    (packets,) = ring.packets
    for packet, body in zip(packets, images[3].bodies, strict=True):
        assert np.shares_memory(packet[-1], body)


def test_counters_are_the_sums_of_all_cores(ring: FakeRing, images: dict[int, Image]) -> None:
    driver = RingDriver(ring, images[3])
    driver.step([Context(5, zero=True), Context(6, slot=1, zero=True)])
    assert [one.exchange for one in driver.core_counters()] == [1, 2, 3]
    total = driver.counters()
    assert total == Counters(
        cycles=4 + 5 + 6,
        beats=9,
        repeats=0,
        starved=0,
        drain=0,
        dependency=0,
        result=0,
        tokens=2,
        saturations=0,
        exchange=6,
        cores=3,
    )
    assert total.occupancy == 9 / 15 and total.cycles_per_token == 2.5
    driver.clear_counters()
    assert all(one.cycles == one.exchange == 0 for one in driver.core_counters())


def test_the_core_whose_fault_it_is_is_named(ring: FakeRing, images: dict[int, Image]) -> None:
    driver = RingDriver(ring, images[3])
    ring.statuses = {1: Status.HEADER_CRC}
    with pytest.raises(CoreError, match=r"^Core 1 ended token 5 with status HEADER_CRC: the header was") as caught:
        driver.step([Context(5, zero=True)])
    assert caught.value.status is Status.HEADER_CRC
    ring.statuses = {0: Status.PEER}
    with pytest.raises(CoreError, match=r"^Core 0 ended token 5 with status PEER: another core of the ring"):
        driver.step([Context(5, zero=True)])
    ring.statuses = {}
    assert driver.step([Context(5, zero=True)])


def test_answers_that_differ_are_an_error(ring: FakeRing, images: dict[int, Image]) -> None:
    driver = RingDriver(ring, images[3])
    ring.spoil = {2: 1}
    with pytest.raises(Failure, match=r"^Core 2 answered other tokens or scales than core 0; reset"):
        driver.step([Context(5, zero=True)])
    ring.spoil, exchange = {}, ring.exchange_all
    ring.exchange_all = lambda packets: [
        words + np.array([0] * (len(words) - 1) + [core == 1], np.uint32)
        for core, words in enumerate(exchange(packets))
    ]
    with pytest.raises(Failure, match=r"^Core 1 answered packet 3 instead of 2; reset"):
        driver.step([Context(5, zero=True)])


def linked(number: int, last: int) -> int:
    return rm.register("LINK").word(INDEX=number, LAST=last)


STRANGE = {
    "none": (1, {"ID": 0}, r"^Core 1 of the ring cannot be used: No tritforge core answers: its ID reads 0x0000"),
    "another": (2, {"LIMIT_VOCAB": 999}, r"^Core 2 is another than core 0: CoreParams\(.*max_vocab=999.* instead of"),
    "place": (1, {"LINK": linked(2, 2)}, "^Core 1 takes itself for core 2 of 0 to 2; set its straps link_index to 1"),
    "size": (0, {"LINK": linked(0, 3)}, "^Core 0 takes itself for core 0 of 0 to 3; .* and link_last to 2"),
    "first": (0, {"LIMIT_VOCAB": 300}, "^Core 1 is another than core 0"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_core_that_should_not_be_there_is_named(ring: FakeRing, images: dict[int, Image], name: str) -> None:
    core, registers, message = STRANGE[name]
    ring.cores[core].registers |= registers
    with pytest.raises(MisfitError, match=message):
        RingDriver(ring, images[3])
    assert not ring.packets


def test_a_core_without_a_link_is_named(ring: FakeRing, images: dict[int, Image]) -> None:
    read = ring.cores[1].read_register

    def without(offset: int) -> int:
        if offset == rm.register("LINK").offset:
            raise Failure("Core 1 answers a read of register 0x4c with an error.")
        return read(offset)

    ring.cores[1].read_register = without
    with pytest.raises(MisfitError, match=r"^Core 1 has no link to others; generate it with --cores"):
        RingDriver(ring, images[3])


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_the_core_that_is_not_heard_is_named(ring: FakeRing, images: dict[int, Image], missing: int) -> None:
    ring.cut = {missing}
    behind = (missing + 1) % 3
    with pytest.raises(
        MisfitError,
        match=rf"^Core {behind} does not hear core {missing}: it is missing, or .* to core {behind} is cut",
    ):
        RingDriver(ring, images[3])


def test_links_in_another_order_are_found(ring: FakeRing, images: dict[int, Image]) -> None:
    ring.order = {0: 2, 1: 0, 2: 1}
    with pytest.raises(MisfitError, match=r"^Core 0 hears core 1 instead of core 2; join the links"):
        RingDriver(ring, images[3])


def test_an_image_for_other_cores_is_refused(ring: FakeRing, images: dict[int, Image]) -> None:
    with pytest.raises(MisfitError, match=r"^The ring has 3 cores, but the image is for 4; pack the checkpoint for"):
        RingDriver(ring, images[4])
