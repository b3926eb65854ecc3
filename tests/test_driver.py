# SPDX-License-Identifier: Apache-2.0
"""The driver against a core in software that knows the model only from the packets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from golden.checkpoint import Checkpoint
from golden.integer import IntegerModel
from golden.numerics import Formats, sigmoid_negative
from golden.quantise import IntegerCheckpoint
from golden.reference import ReferenceModel
from host.backends import CoreBackend, FloatBackend, IntegerBackend
from host.driver import CoreError, Counters, Driver, MisfitError
from host.generate import Checked, CheckError, Sampler, generate
from host.image import Image
from host.locate import locate_difference
from host.pack import pack
from hw.params import CoreParams
from hw.register_map import register
from hw.schedule import Status, token_beats
from tests.checkpoints import SMALL, random_checkpoint
from tests.fake_core import FakeCore

CORES = [
    CoreParams(lanes=4, element_bytes=1),
    CoreParams(lanes=8, element_bytes=2),
    CoreParams(lanes=16, element_bytes=4, formats=Formats(24, 14, 14)),
    CoreParams(lanes=64, element_bytes=2),
]
CORE = CORES[1]
IDS = [1, 17, 300, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def source(folder: Path) -> IntegerCheckpoint:
    return IntegerCheckpoint(Checkpoint(folder), CORE.formats)


@pytest.fixture(scope="module")
def image(source: IntegerCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Image:
    path = tmp_path_factory.mktemp("image") / "image"
    pack(source, CORE, path)
    return Image.open(path)


@pytest.mark.parametrize("core", CORES, ids=lambda core: f"{core.lanes}x{core.element_bytes}")
def test_packets_hold_the_whole_model_in_the_order_of_the_schedule(
    folder: Path, tmp_path: Path, core: CoreParams
) -> None:
    source = IntegerCheckpoint(Checkpoint(folder), core.formats)
    pack(source, core, tmp_path / "image")
    driver = Driver(FakeCore(core), Image.open(tmp_path / "image"))
    expected, state = IntegerModel(source).forward(torch.tensor(IDS))
    for position, token in enumerate(IDS):
        result = driver.step(token, reset=position == 0, logits=True)
        assert np.array_equal(result.logits, expected.raw[position].numpy())
        assert result.token == int(expected.raw[position].argmax())
    assert np.array_equal(driver.read_state(), state.numpy())
    assert driver.counters().beats == len(IDS) * token_beats(core, Image.open(tmp_path / "image").shape)


def test_a_packet_sends_the_body_in_place(image: Image) -> None:
    sent = []
    core = FakeCore(CORE)
    exchange = core.exchange
    core.exchange = lambda segments: sent.extend(segments) or exchange(segments)
    Driver(core, image).step(5, reset=True)
    assert sent[-1].base is not None and np.shares_memory(sent[-1], image.body)


def test_without_logits_only_the_argmax_comes_back(image: Image) -> None:
    driver = Driver(FakeCore(CORE), image)
    with_logits, without = driver.step(5, True, True), driver.step(5, True, False)
    assert len(without.logits) == 0 and without.token == with_logits.token


def test_a_saved_state_goes_on_where_it_was(image: Image) -> None:
    first, second = Driver(FakeCore(CORE), image), Driver(FakeCore(CORE), image)
    first.step(5, reset=True)
    state = first.read_state()
    assert state.shape == (2, 24) and (state < 0).any()
    second.write_state(state)
    assert np.array_equal(first.step(9, logits=True).logits, second.step(9, logits=True).logits)
    assert np.array_equal(first.read_state(), second.read_state())


def test_a_state_of_another_shape_is_refused(image: Image) -> None:
    with pytest.raises(ValueError, match=r"has shape \(2, 24\), not \(24, 2\)"):
        Driver(FakeCore(CORE), image).write_state(np.zeros((24, 2), np.int32))


@pytest.mark.parametrize("token", [-1, 301])
def test_a_token_outside_the_vocabulary_is_refused_before_anything_is_sent(image: Image, token: int) -> None:
    core = FakeCore(CORE)
    with pytest.raises(ValueError, match=rf"Token {token} is outside the vocabulary, which has 0 to 300"):
        Driver(core, image).step(token)
    with pytest.raises(ValueError, match=f"Token {token} is outside"):
        CoreBackend(core, image).run(torch.tensor([5, token]))
    assert core.packets == 0


MISFITS = {
    "no core": ({"ID": 0}, "No tritforge core answers: its ID reads 0x00000000"),
    "register map": ({"VERSION": 2 << 16}, "register map 2; this driver knows 1"),
    "stream": ({"GEOMETRY": 0x0302_0102}, "takes stream version 2; this driver sends 1"),
    "code": ({"GEOMETRY": 0x0302_0901}, "takes trit code 9; images hold 'nested'"),
    "lanes": ({"GEOMETRY": 0x0402_0101}, "The core has lanes 16, but the image is for 8; pack"),
    "element": ({"GEOMETRY": 0x0301_0101}, "The core has element bytes 1, but the image is for 2; pack"),
    "formats": ({"FORMATS": 24 | 14 << 8 | 14 << 16}, r"The core has formats Formats\(wide_bits=24"),
    "hidden": ({"LIMIT_HIDDEN": 23}, "The model has hidden 24; this core takes at most 23"),
    "intermediate": ({"LIMIT_INTERMEDIATE": 43}, "intermediate 44; this core takes at most 43"),
    "layers": ({"LIMIT_LAYERS": 1}, "The model has layers 2; this core takes at most 1"),
    "vocab": ({"LIMIT_VOCAB": 300}, "The model has vocab 301; this core takes at most 300"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_core_that_does_not_fit_is_refused(image: Image, name: str) -> None:
    registers, message = MISFITS[name]
    core = FakeCore(CORE)
    core.registers |= registers
    with pytest.raises(MisfitError, match=message):
        Driver(core, image)
    assert core.packets == 0


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda s: [s[0] ^ 1, *s[1:]], Status.MAGIC),
        (lambda s: [s[0] ^ (np.arange(len(s[0])) == 20), *s[1:]], Status.HEADER_CRC),
        (lambda s: [*s[:2], s[2][: -CORE.lanes]], Status.SHORT),
        (lambda s: [*s, np.zeros(CORE.lanes, np.uint8)], Status.LONG),
    ],
)
def test_a_token_that_fails_raises_with_its_status(image: Image, change: object, status: Status) -> None:
    core = FakeCore(CORE)
    driver, exchange = Driver(core, image), core.exchange
    core.exchange = lambda segments: exchange([part.astype(np.uint8) for part in change(segments)])
    with pytest.raises(CoreError, match=f"^The core ended token 5 with status {status.name}: .*[.]$") as caught:
        driver.step(5, reset=True)
    assert caught.value.status is status


def test_every_status_has_a_meaning() -> None:
    for status in Status:
        if status is not Status.OK:
            assert str(CoreError(0, status)).endswith(".")


def test_an_answer_to_another_packet_is_an_error(image: Image) -> None:
    core = FakeCore(CORE)
    driver, exchange = Driver(core, image), core.exchange
    core.exchange = lambda segments: exchange(segments) + np.array([0, 1, 0, 0], np.uint32)
    with pytest.raises(RuntimeError, match="answered packet 2 instead of 1"):
        driver.step(5, reset=True)


def test_counters_join_their_halves_and_can_be_cleared(image: Image) -> None:
    core = FakeCore(CORE)
    driver = Driver(core, image)
    assert driver.counters().occupancy == 0.0
    core.registers |= {"CYCLES_LO": 10, "CYCLES_HI": 2, "BEATS_LO": 5, "BEATS_HI": 1, "STALLED_LO": 3}
    core.registers |= {"STARVED_LO": 7, "TOKENS": 9, "SATURATIONS": 11}
    counters = driver.counters()
    assert counters == Counters(10 + (2 << 32), 5 + (1 << 32), 7, 3, 9, 11)
    assert counters.occupancy == pytest.approx(0.5)
    core.registers |= {"CYCLES_HI": 0, "BEATS_HI": 0}
    driver.clear_counters()
    assert driver.counters() == Counters(0, 0, 0, 0, 0, 0)


def test_each_counter_is_read_low_half_first(image: Image) -> None:
    core, seen = FakeCore(CORE), []
    driver, read = Driver(core, image), core.read_register
    core.read_register = lambda offset: seen.append(offset) or read(offset)
    driver.counters()
    order = [seen.index(register(f"{name}_{half}").offset) for name in ("CYCLES", "BEATS") for half in ("LO", "HI")]
    assert order == sorted(order)


def test_all_backends_have_the_same_shapes_and_exact_ones_the_same_integers(
    folder: Path, source: IntegerCheckpoint, image: Image
) -> None:
    ids = torch.tensor(IDS)
    core, golden = CoreBackend(FakeCore(CORE), image), IntegerBackend(source)
    has, wants = core.run(ids), golden.run(ids)
    for name in ("raw", "mantissa", "shift"):
        assert torch.equal(getattr(has.exact, name), getattr(wants.exact, name))
    assert torch.equal(has.logits, wants.logits) and torch.equal(has.tokens, wants.tokens)
    assert core.state().dtype == golden.state().dtype == torch.int32
    assert torch.equal(core.state(), golden.state())
    exact = FloatBackend(ReferenceModel.from_checkpoint(Checkpoint(folder)))
    output = exact.run(ids)
    assert output.logits.shape == has.logits.shape and output.tokens.shape == has.tokens.shape
    assert exact.state().shape == core.state().shape and exact.state().dtype == torch.float32
    for backend, first in ((core, has), (golden, wants), (exact, output)):
        with pytest.raises(ValueError, match="There are no tokens to run"):
            backend.run(torch.zeros(0, dtype=torch.int64))
        backend.reset()
        assert torch.equal(backend.run(ids).logits, first.logits)


def test_a_reset_begins_afresh_and_otherwise_the_state_is_kept(source: IntegerCheckpoint, image: Image) -> None:
    core, ids = CoreBackend(FakeCore(CORE), image), torch.tensor(IDS)
    whole = core.run(ids).exact.raw
    core.reset()
    parts = [core.run(ids[:1]).exact.raw, core.run(ids[1:]).exact.raw]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(core.run(ids[:1]).exact.raw, whole[:1])


def test_checking_counts_equal_tokens_and_names_the_first_logit_that_differs(
    source: IntegerCheckpoint, image: Image
) -> None:
    fake = FakeCore(CORE)
    asked = []
    checked = Checked(
        CoreBackend(fake, image), IntegerBackend(source), lambda ids: asked.append(list(ids)) or "over there"
    )
    tokens = list(generate(checked, IDS, 5, Sampler()))
    story = [*IDS, *tokens]
    assert not asked and checked.compared == len(checked.history) >= len(IDS) + 3
    assert checked.history == story[: checked.compared]
    checked.reset()
    checked.run(torch.tensor(IDS))
    fake.flip = 3
    with pytest.raises(CheckError, match=r"differs: logit 0 is -?\d+ instead of -?\d+ \(1 differ\); over there"):
        checked.run(torch.tensor([7]))
    assert asked == [[*IDS, 7]]


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


def test_generation_ends_before_end_of_text(source: IntegerCheckpoint) -> None:
    backend = IntegerBackend(source)
    story = list(generate(backend, IDS, 6, Sampler()))
    position = story.index(story[-1])
    backend.config = replace(backend.config, eos=story[-1])
    assert list(generate(backend, IDS, 6, Sampler())) == story[:position]
