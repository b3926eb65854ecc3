# SPDX-License-Identifier: Apache-2.0
"""The driver against a core in software that knows the model only from the packets."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.checkpoints import SMALL, random_checkpoint
from tests.fake_core import FakeCore
from tritforge.golden import Failure, TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.formats import Formats
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint
from tritforge.golden.model.reference import ReferenceModel
from tritforge.host.image.image import Image
from tritforge.host.image.pack import pack
from tritforge.host.run.backends import CoreBackend
from tritforge.host.run.driver import CoreError, Driver, MisfitError
from tritforge.host.run.generate import Checked, CheckError, Sampler, generate
from tritforge.host.run.golden_backends import FloatBackend, IntegerBackend
from tritforge.host.run.registers import Counters
from tritforge.hw.packet import Context, split_scale
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import COUNTERS, register
from tritforge.hw.schedule import Status, token_beats

CORES = [
    CoreParams(lanes=4, element_bytes=1),
    CoreParams(lanes=8, element_bytes=2, vector_rows=2, batch=3),
    CoreParams(lanes=16, element_bytes=4, vector_rows=4, batch=2, formats=Formats(24, 14, 14)),
    CoreParams(lanes=64, element_bytes=4, vector_rows=16, batch=8),
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


@pytest.mark.parametrize("params", CORES, ids=lambda params: f"{params.lanes}x{params.element_bytes}")
def test_packets_hold_the_whole_model_in_the_order_of_the_schedule(
    folder: Path, tmp_path: Path, params: CoreParams
) -> None:
    source = IntegerCheckpoint(Checkpoint(folder), params.formats)
    pack(source, params, tmp_path / "image")
    driver = Driver(FakeCore(params), Image.open(tmp_path / "image"))
    expected, state = IntegerModel(source).forward(torch.tensor(IDS))
    for position, token in enumerate(IDS):
        (result,) = driver.step([Context(token, zero=position == 0, logits=True)])
        assert np.array_equal(result.logits, expected.raw[position].numpy())
        assert result.token == int(expected.raw[position].argmax())
    assert np.array_equal(driver.read_state(), state.numpy())
    assert driver.counters().beats == len(IDS) * token_beats(params, Image.open(tmp_path / "image").shape)
    assert driver.params == params


@pytest.mark.parametrize("params", CORES[1:], ids=lambda params: f"batch {params.batch}")
def test_contexts_of_several_sequences_share_a_packet(folder: Path, tmp_path: Path, params: CoreParams) -> None:
    """Every slot keeps its own sequence; contexts of one slot in a packet are its successive tokens."""
    source = IntegerCheckpoint(Checkpoint(folder), params.formats)
    pack(source, params, tmp_path / "image")
    fake = FakeCore(params)
    driver = Driver(fake, Image.open(tmp_path / "image"))
    generator = np.random.default_rng(5)
    sequences: list[list[int]] = [[] for _ in range(params.batch)]
    seen: list[list[tuple]] = [[] for _ in range(params.batch)]
    for count in (params.batch, 1, params.batch, params.batch - 1, params.batch):
        contexts = []
        for slot in generator.integers(params.batch, size=count).tolist():
            token, logits = int(generator.integers(SMALL.vocab)), bool(generator.integers(2))
            contexts.append(Context(token, slot, not sequences[slot], logits))
            sequences[slot].append(token)
        for context, result in zip(contexts, driver.step(contexts), strict=True):
            assert (result.logits is not None) == context.logits
            seen[context.slot].append((result.token, split_scale(result.scale), result.logits))
        assert fake.contexts == contexts
    assert sum(len(sequence) > 1 for sequence in sequences) > 1
    assert driver.counters().tokens == 4 * params.batch
    for slot, (sequence, results) in enumerate(zip(sequences, seen, strict=True)):
        if not sequence:
            continue
        expected, state = IntegerModel(source).forward(torch.tensor(sequence))
        for position, (token, scale, logits) in enumerate(results):
            assert token == int(expected.raw[position].argmax())
            assert scale == (int(expected.mantissa[position]), int(expected.shift[position]))
            assert logits is None or np.array_equal(logits, expected.raw[position].numpy())
        assert np.array_equal(driver.read_state(slot), state.numpy())


def test_a_packet_sends_the_body_in_place(image: Image) -> None:
    sent = []
    core = FakeCore(CORE)
    exchange = core.exchange
    core.exchange = lambda segments: sent.extend(segments) or exchange(segments)
    Driver(core, image).step([Context(5, zero=True)])
    assert sent[-1].base is not None and np.shares_memory(sent[-1], image.body)


def test_without_logits_only_the_argmax_comes_back(image: Image) -> None:
    driver = Driver(FakeCore(CORE), image)
    (with_logits,), (without,) = (driver.step([Context(5, zero=True, logits=asked)]) for asked in (True, False))
    assert without.logits is None and without.token == with_logits.token


def test_a_saved_state_goes_on_where_it_was(image: Image) -> None:
    first, second = Driver(FakeCore(CORE), image), Driver(FakeCore(CORE), image)
    first.step([Context(5, slot=1, zero=True), Context(6, slot=2, zero=True)])
    state, other = first.read_state(1), first.read_state(2)
    assert state.shape == (2, 24) and (state < 0).any() and not first.read_state().any()
    second.write_state(state)
    second.write_state(other, slot=1)
    (has,), (wants,) = (driver.step([Context(9, slot, logits=True)]) for driver, slot in ((first, 1), (second, 0)))
    assert np.array_equal(has.logits, wants.logits)
    assert np.array_equal(first.read_state(1), second.read_state())
    assert np.array_equal(second.read_state(1), other) and not second.read_state(2).any()


def test_the_state_of_a_layer_begins_at_whole_vector_rows(folder: Path, tmp_path: Path) -> None:
    params = CORES[3]
    pack(IntegerCheckpoint(Checkpoint(folder), params.formats), params, tmp_path / "image")
    fake = FakeCore(params)
    driver = Driver(fake, Image.open(tmp_path / "image"))
    driver.write_state(np.arange(48, dtype=np.int32).reshape(2, 24) - 20, slot=3)
    # 24 elements in 32, the slots one behind the other
    for layer, element in ((0, 0), (0, 23), (1, 0), (1, 23)):
        at = 3 * params.max_layers * params.max_hidden + 32 * layer + element
        fake.write_register(register("STATE_ADDRESS").offset, at)
        assert fake.read_register(register("STATE_DATA").offset) == (24 * layer + element - 20) & 0xFFFFFFFF


def test_a_state_of_another_shape_is_refused(image: Image) -> None:
    with pytest.raises(TritforgeError, match=r"has shape \(2, 24\), not \(24, 2\)"):
        Driver(FakeCore(CORE), image).write_state(np.zeros((24, 2), np.int32))


@pytest.mark.parametrize("token", [-1, 301])
def test_a_token_outside_the_vocabulary_is_refused_before_anything_is_sent(image: Image, token: int) -> None:
    core = FakeCore(CORE)
    with pytest.raises(TritforgeError, match=rf"Token {token} is outside the vocabulary, which has 0 to 300"):
        Driver(core, image).step([Context(5), Context(token)])
    with pytest.raises(TritforgeError, match=f"Token {token} is outside"):
        CoreBackend(core, image).run(np.array([5, token]))
    assert core.packets == 0


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        ([], "A packet carries 1 to 8 contexts, not 0"),
        ([Context(1)] * 4, "This core takes at most 3 contexts a packet, not 4"),
        ([Context(1), Context(1, slot=3)], "Slot 3 does not exist; this core has 0 to 2"),
        ([Context(1, slot=-1)], "Slot -1 does not exist"),
    ],
)
def test_contexts_that_the_core_does_not_have_are_refused_before_anything_is_sent(
    image: Image, contexts: list[Context], message: str
) -> None:
    core = FakeCore(CORE)
    driver = Driver(core, image)
    with pytest.raises(TritforgeError, match=message):
        driver.step(contexts)
    assert core.packets == 0


def test_the_state_of_a_slot_that_the_core_does_not_have_is_refused(image: Image) -> None:
    driver = Driver(FakeCore(CORE), image)
    with pytest.raises(TritforgeError, match="Slot 3 does not exist; this core has 0 to 2"):
        driver.read_state(3)
    with pytest.raises(TritforgeError, match="Slot 3 does not exist; this core has 0 to 2"):
        driver.write_state(np.zeros((2, 24), np.int32), 3)


MISFITS = {
    "no core": ({"ID": 0}, "No tritforge core answers: its ID reads 0x00000000"),
    "register map": ({"VERSION": 1 << 16}, "register map 1; this driver knows 2"),
    "stream": ({"GEOMETRY": 0x0302_0101}, "takes stream version 1; this driver sends 2"),
    "code": ({"GEOMETRY": 0x0302_0902}, "takes trit code 9; this driver knows 2 .nested., 3 .pos"),
    "lanes": ({"GEOMETRY": 0x0402_0202}, "The core has lanes 16, but the image is for 8; pack"),
    "element": ({"GEOMETRY": 0x0301_0202}, "The core has element bytes 1, but the image is for 2; pack"),
    "foreign code": (
        {"GEOMETRY": 0x0302_0302},
        "The core has trit code positional, but the image is for nested; pack",
    ),
    "formats": ({"FORMATS": 24 | 14 << 8 | 14 << 16 | 1 << 24}, r"The core has formats Formats\(wide_bits=24"),
    "hidden": ({"LIMIT_HIDDEN": 22}, "The model has hidden 24; this core takes at most 22"),
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
        driver.step([Context(5, zero=True)])
    assert caught.value.status is status


def test_every_status_has_a_meaning() -> None:
    for status in Status:
        if status is not Status.OK:
            assert str(CoreError([0], status)).endswith(".")
    assert str(CoreError([3, 7], Status.LONG)).startswith("The core ended tokens 3, 7 with status LONG: ")


def test_an_answer_to_another_packet_is_an_error(image: Image) -> None:
    core = FakeCore(CORE)
    driver, exchange = Driver(core, image), core.exchange
    core.exchange = lambda segments: exchange(segments) + np.array([0, 0, 0, 1], np.uint32)
    with pytest.raises(Failure, match="answered packet 2 instead of 1"):
        driver.step([Context(5, zero=True)])


def test_an_answer_with_other_contexts_is_an_error(image: Image) -> None:
    core = FakeCore(CORE)
    driver, exchange = Driver(core, image), core.exchange
    core.exchange = lambda segments: exchange(segments)[2:] - np.array([0, 0, 1 << 8, 0], np.uint32)
    with pytest.raises(Failure, match="answered 1 contexts instead of 2"):
        driver.step([Context(5, zero=True), Context(6)])


def test_counters_join_their_halves_and_can_be_cleared(image: Image) -> None:
    core = FakeCore(CORE)
    driver = Driver(core, image)
    assert driver.counters().occupancy == 0.0
    core.registers |= {"CYCLES_LO": 10, "CYCLES_HI": 2, "BEATS_LO": 5, "BEATS_HI": 1, "REPEATS_LO": 3}
    core.registers |= {"STARVED_LO": 7, "DRAIN_LO": 13, "DEPENDENCY_LO": 17, "RESULT_LO": 19, "RESULT_HI": 4}
    core.registers |= {"TOKENS": 9, "SATURATIONS": 11}
    counters = driver.counters()
    assert counters == Counters(
        cycles=10 + (2 << 32),
        beats=5 + (1 << 32),
        repeats=3,
        starved=7,
        drain=13,
        dependency=17,
        result=19 + (4 << 32),
        tokens=9,
        saturations=11,
    )
    assert counters.occupancy == pytest.approx(0.5)
    core.registers |= {"CYCLES_HI": 0, "BEATS_HI": 0, "RESULT_HI": 0}
    driver.clear_counters()
    assert driver.counters() == Counters(*[0] * 9)


def test_each_counter_is_read_low_half_first(image: Image) -> None:
    core, seen = FakeCore(CORE), []
    driver, read = Driver(core, image), core.read_register
    core.read_register = lambda offset: seen.append(offset) or read(offset)
    driver.counters()
    order = [seen.index(register(f"{c.name}_{half}").offset) for c in COUNTERS if c.long for half in ("LO", "HI")]
    assert order == sorted(order)


def test_all_backends_have_the_same_shapes_and_exact_ones_the_same_integers(
    folder: Path, source: IntegerCheckpoint, image: Image
) -> None:
    ids = np.array(IDS)
    core, golden = CoreBackend(FakeCore(CORE), image), IntegerBackend(source)
    has, wants = core.run(ids), golden.run(ids)
    for name in ("raw", "mantissa", "shift"):
        assert np.array_equal(getattr(has.exact, name), getattr(wants.exact, name))
    assert np.array_equal(has.logits, wants.logits) and np.array_equal(has.tokens, wants.tokens)
    assert core.state().dtype == golden.state().dtype == np.int32
    assert np.array_equal(core.state(), golden.state())
    exact = FloatBackend(ReferenceModel.from_checkpoint(Checkpoint(folder)))
    output = exact.run(ids)
    assert output.logits.shape == has.logits.shape and output.tokens.shape == has.tokens.shape
    assert exact.state().shape == core.state().shape and exact.state().dtype == np.float32
    for backend, first in ((core, has), (golden, wants), (exact, output)):
        with pytest.raises(TritforgeError, match="There are no tokens to run"):
            backend.run(np.zeros(0, dtype=np.int64))
        backend.reset()
        assert np.array_equal(backend.run(ids).logits, first.logits)


def test_a_reset_begins_afresh_and_otherwise_the_state_is_kept(source: IntegerCheckpoint, image: Image) -> None:
    core, ids = CoreBackend(FakeCore(CORE), image), np.array(IDS)
    whole = core.run(ids).exact.raw
    core.reset()
    parts = [core.run(ids[:1]).exact.raw, core.run(ids[1:]).exact.raw]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(core.run(ids[:1]).exact.raw, whole[:1])


@pytest.mark.parametrize("logits", [True, False])
def test_a_run_fills_packets_with_the_contexts_of_the_core(
    source: IntegerCheckpoint, image: Image, logits: bool
) -> None:
    fake, sent, told = FakeCore(CORE), [], []
    core, exchange = CoreBackend(fake, image), fake.exchange

    def recorded(segments: list) -> np.ndarray:
        words = exchange(segments)
        sent.append(list(fake.contexts))
        return words

    fake.exchange = recorded
    ids = np.array([*IDS, 7, 7, 2, 9])
    outputs = [core.run(part, logits, lambda *step: told.append(step)) for part in (ids[:7], ids[7:])]
    expected = IntegerBackend(source).run(ids)
    assert np.array_equal(np.concatenate([output.tokens for output in outputs]), expected.tokens)
    assert [[context.token for context in packet] for packet in sent] == [
        IDS[:3],
        [IDS[3], 7, 7],
        [2],
        [9],
    ]
    contexts = [context for packet in sent for context in packet]
    assert [context.zero for context in contexts] == [True] + 7 * [False]
    assert {(context.slot, context.logits) for context in contexts} == {(0, logits)}
    assert told == [(3, 7), (6, 7), (7, 7), (1, 1)]
    if logits:
        assert np.array_equal(np.concatenate([output.exact.raw for output in outputs]), expected.exact.raw)


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
    checked.run(np.array(IDS))
    fake.flip = 3
    with pytest.raises(CheckError, match=r"differs: logit 0 is -?\d+ instead of -?\d+ \(1 differ\); over there"):
        checked.run(np.array([7]))
    assert asked == [[*IDS, 7]]
