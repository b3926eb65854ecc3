# SPDX-License-Identifier: Apache-2.0
"""cocotb side of the header reader: valid and broken headers against a model, field by field."""

import random
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from tritforge.hw.packet import Context, header_words
from tritforge.hw.params import CORE_BITS, MAX_BATCH
from tritforge.hw.schedule import HEADER_WORDS, Shape, Share, Status
from tritforge.hw.stream.header_reader import HeaderReader, token_shape
from tritforge.sim.benches.common import begin, limits, shared, some_contexts, some_shape, token_fields, under_test

FIRST_DIMENSION = 9
BROKEN_HEADERS = 450
VALID_HEADERS = 100


def some_header() -> tuple[list[int], dict[str, Any], int]:
    """The words of a valid header, its fields, and the number that the core is strapped to, with that of others."""
    shape, sequence = shared(some_shape()), random.getrandbits(32)
    contexts = some_contexts(shape.vocab)
    words = header_words(under_test(), shape, contexts, sequence)[:HEADER_WORDS]
    straps = shape.index | shape.cores - 1 << CORE_BITS if isinstance(shape, Share) else 0
    return words.tolist(), token_fields(shape, contexts, sequence), straps


def seal(words: list[int]) -> None:
    """Make the CRC right."""
    words[15] = zlib.crc32(np.array(words[:15], "<u4").tobytes())


def verdict(words: Sequence[int], torn: int, straps: int) -> Status:
    """What the core must say: the first of the checks that fails, in this order."""
    geometry = under_test()
    contexts, zero, logits, rest = (words[2] >> 8 * i & 0xFF for i in range(4))
    tokens = [words[4 + i // 2] >> 16 * (i % 2) & 0xFFFF for i in range(MAX_BATCH)]
    slots = [words[8] >> 4 * i & 0xF for i in range(MAX_BATCH)]
    version, own = header_words(geometry, Shape(1, 1, 1, 1), [Context(0)], 0)[1:3].tolist()
    assert own == 1
    if words[0] != int.from_bytes(b"TFG1", "little"):
        return Status.MAGIC
    if words[15] != zlib.crc32(np.array(words[:15], "<u4").tobytes()):
        return Status.HEADER_CRC
    beyond = [tokens[i] or slots[i] or (zero | logits) >> i & 1 for i in range(contexts, MAX_BATCH)]
    linked, dimensions = geometry.linked, words[FIRST_DIMENSION : FIRST_DIMENSION + 4]
    if words[1] & 0xFFFF != version & 0xFFFF or any(beyond) or (not linked and (rest or words[14])):
        return Status.FORMAT
    if words[1] != version or (linked and rest != straps):
        return Status.GEOMETRY
    if linked:
        # the first token is above the layers; the core has rows of all the others
        rows = [dimensions[0] >> 16, dimensions[2] >> 16, dimensions[3] >> 16]
        dimensions = [value & 0xFFFF for value in dimensions]
        if not all(rows):
            return Status.LIMITS
    within = all(1 <= value <= limit for value, limit in zip(dimensions, limits(), strict=True))
    if not (within and 1 <= contexts <= geometry.batch and max(slots[:contexts]) < geometry.batch):
        return Status.LIMITS
    if words[13] != geometry.beats(dimensions[0]) | geometry.beats(dimensions[2]) << 16:
        return Status.LIMITS
    if max(tokens[:contexts]) >= dimensions[3]:
        return Status.TOKEN
    for i in range(contexts):
        torn &= ~((zero >> i & 1) << slots[i])
        if torn >> slots[i] & 1:
            return Status.STATE
    return Status.OK


def spoil(words: list[int]) -> None:
    """Break one thing (or, by chance, nothing), most often by the smallest step beyond what is allowed."""
    geometry, contexts = under_test(), words[2] & 0xFF
    context = random.randrange(max(1, min(contexts, geometry.batch)))
    dimension, beyond = random.randrange(4), random.randrange(MAX_BATCH)

    def put(index: int, low: int, bits: int, value: int) -> None:
        words[index] = words[index] & ~((1 << bits) - 1 << low) | (value & (1 << bits) - 1) << low

    def resize() -> None:
        limit = limits()[dimension]
        if geometry.linked:
            put(FIRST_DIMENSION + dimension, random.choice([0, 0, 16]), 16, random.choice([0, limit, limit + 1]))
        else:
            beyond_limit = [0, limit, limit + 1, limit | 1 << 16, limit | 1 << 31]
            words[FIRST_DIMENSION + dimension] = random.choice(beyond_limit)

    def other_beats() -> None:
        low = random.choice([0, 16])
        put(13, low, 16, (words[13] >> low) + random.choice([-1, 1]))

    bit = 1 << random.randrange(32)
    random.choice(
        [
            lambda: words.__setitem__(0, words[0] ^ bit),
            lambda: words.__setitem__(1, words[1] ^ bit),
            lambda: words.__setitem__(14, bit),
            lambda: put(2, 24, 8, bit),
            lambda: put(2, 0, 8, random.choice([0, geometry.batch + 1, MAX_BATCH + 1, contexts | 16, contexts - 1])),
            lambda: put(2, random.choice([8, 16]) + beyond, 1, 1),
            lambda: put(4 + beyond // 2, beyond % 2 * 16, 16, random.choice([1, words[12] - 1, words[12], 0xFFFF])),
            lambda: put(4 + context // 2, context % 2 * 16, 16, random.choice([words[12], words[12] + 1])),
            lambda: put(8, 4 * context, 4, random.choice([geometry.batch - 1, geometry.batch, 15])),
            lambda: put(8, 4 * beyond, 4, 1),
            resize,
            other_beats,
        ]
    )()


async def send(dut: Any, words: Sequence[int], torn: int, pace: float, straps: int) -> tuple[int, Any]:
    """Give the words, with gaps, and what is torn only when it matters; (status, shape) as ``done`` pulses."""
    if under_test().linked:
        dut.index.value, dut.others.value = straps % (1 << CORE_BITS), straps >> CORE_BITS

    def drive(pop: int, word: int, clear: int = 0) -> None:
        dut.check__pop.value, dut.check__word.value, dut.check__clear.value = pop, word, clear
        dut.check__torn.value = random.getrandbits(under_test().batch)

    async def step(done: int = 0) -> None:
        await FallingEdge(dut.clk)
        assert int(dut.check__done.value) == done

    drive(0, random.getrandbits(32), clear=1)
    await step()
    for word in words:
        while random.random() >= pace:
            drive(0, random.getrandbits(32))
            await step()
        drive(1, word)
        await step()
    for cycle in range(HeaderReader.latency - 1):
        drive(0, random.getrandbits(32))
        dut.check__torn.value = torn
        await step(done=int(len(words) == HEADER_WORDS and cycle == HeaderReader.latency - 2))
    status, shape = int(dut.check__status.value), token_shape(under_test()).from_bits(int(dut.shape.value))
    drive(0, random.getrandbits(32))
    await step()
    return status, shape


async def ready(dut: Any) -> None:
    """The unit after reset."""
    dut.check__pop.value = dut.check__clear.value = dut.check__torn.value = dut.check__word.value = 0
    await begin(dut)


def some_torn() -> int:
    """A mask of slots, often empty."""
    return random.choice([0, random.getrandbits(under_test().batch)])


@cocotb.test()
async def valid_headers(dut: Any) -> None:
    """Every field of valid headers at any pace, behind headers that broke off; torn slots need a zero context."""
    await ready(dut)
    seen: Counter[Status] = Counter()
    for _ in range(VALID_HEADERS):
        if random.random() < 0.2:
            await send(dut, some_header()[0][: random.randrange(HEADER_WORDS)], 0, 1.0, 0)
        words, fields, straps = some_header()
        torn = some_torn()
        status, shape = await send(dut, words, torn, random.choice([1.0, 0.5]), straps)
        assert status == verdict(words, torn, straps)
        for name, value in fields.items():
            assert (list(shape[name]) if name == "slots" else int(shape[name])) == value, name
        seen[Status(status)] += 1
    assert set(seen) == {Status.OK, Status.STATE} and min(seen.values()) > 5, seen


@cocotb.test()
async def broken_headers(dut: Any) -> None:
    """Several things wrong at once: the status is that of the first check that fails, the sequence is kept."""
    await ready(dut)
    seen: Counter[Status] = Counter()
    for _ in range(BROKEN_HEADERS):
        words, fields, straps = some_header()
        for _ in range(random.choice([1, 1, 2, 3])):
            spoil(words)
        seal(words)
        if random.random() < 0.1:
            words[15] ^= 1 << random.randrange(32)
        torn = some_torn()
        status, shape = await send(dut, words, torn, 1.0, straps)
        assert status == verdict(words, torn, straps), (words, torn, straps)
        assert shape["sequence"] == fields["sequence"]
        seen[Status(status)] += 1
    checked = set(Status) - {Status.SHORT, Status.LONG, Status.ABORTED, Status.PEER}
    assert set(seen) == checked and min(seen.values()) >= 2, seen


def flips() -> Iterator[tuple[list[int], bool, int]]:
    """Each bit of a header turned over, with the CRC made right behind it and, for some in every word, without."""
    for bit in range(32 * HEADER_WORDS):
        for sealed in (True,) if bit % 5 else (True, False):
            words, _, straps = some_header()
            words[bit // 32] ^= 1 << bit % 32
            if sealed:
                seal(words)
            yield words, sealed, straps


@cocotb.test()
async def flipped_bits(dut: Any) -> None:
    """No bit of a header is without effect: the CRC sees each, and the model knows what it means."""
    await ready(dut)
    for words, sealed, straps in flips():
        status, _ = await send(dut, words, 0, 1.0, straps)
        assert status == verdict(words, 0, straps), words
        assert sealed or status in (Status.MAGIC, Status.HEADER_CRC)
