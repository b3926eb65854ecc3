# SPDX-License-Identifier: Apache-2.0
"""What the benches of the vector path share: its side words, and what the gain stage makes of a row group."""

import random
from collections import deque
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import (
    DECAY_FRAC,
    GAIN_BITS,
    OMEGA_FRAC,
    SIGMA_FRAC,
    STAT_BITS,
    UNIT_EXPONENT,
    Formats,
)
from tritforge.hw.operations import Op, tag_layout
from tritforge.hw.packet import gain_word, split_gain
from tritforge.hw.params import CoreParams
from tritforge.hw.scales.scales import VectorStatistics
from tritforge.hw.stream.side import SideWords
from tritforge.sim.benches.common import pack

torch.set_num_threads(1)

EXPONENT_BITS = 6


@cache
def _tag_fields(params: CoreParams) -> dict[str, tuple[int, int]]:
    """Width and first bit of each; a layout is slow to make, and every cycle has a tag."""
    return {name: (member.width, member.offset) for name, member in tag_layout(params)}


@cache
def _statistics(params: CoreParams) -> tuple[str, ...]:
    return tuple(f"statistics__{name}" for name in VectorStatistics(params).members)


def tag_value(params: CoreParams, **fields: int) -> int:
    """A tag; fields that are not given are random, but ``valid`` is 0; of others, what fits."""
    value = 0
    for name, (width, offset) in _tag_fields(params).items():
        default = 0 if name == "valid" else random.randrange(params.batch) if name == "context" else None
        given = fields.get(name, default)
        field = random.getrandbits(width) if given is None else given & ((1 << width) - 1)
        value |= field << offset
    return value


def split_tag(params: CoreParams, value: int) -> dict[str, int]:
    """Fields of a tag."""
    return {name: value >> offset & ((1 << width) - 1) for name, (width, offset) in _tag_fields(params).items()}


class SideModel:
    """The side words of one row block after the other, behind the port of SideWords."""

    def __init__(self, params: CoreParams) -> None:
        self._params = params
        self._beat = params.beat_words
        self._words: list[int] = []
        self._base = 0
        rows = params.vector_rows
        self._reads = deque([[random.getrandbits(32) for _ in range(rows)] for _ in range(SideWords.latency)])

    def block(self, words: Tensor) -> None:
        """Append the words [kinds, rows] of a row block."""
        self._words += words.flatten().tolist()

    def cycle(self, dut: Any) -> None:
        """Take this cycle's address and release."""
        rows = self._params.vector_rows
        at = self._base + int(dut.side__address.value) * rows
        known = self._words[at : at + rows]
        self._reads.append(known + [random.getrandbits(32) for _ in range(rows - len(known))])
        if released := int(dut.side__release.value):
            self._base += released * self._beat
            assert self._base <= len(self._words), "More side words are released than there are."

    def words(self) -> int:
        """The port's words, to be driven once a cycle before it."""
        return pack(self._reads.popleft(), 32)

    def clear(self) -> bool:
        """Forget everything; whether all had been released."""
        released = self._base == len(self._words)
        self._words, self._base = [], 0
        return released


def random_words(params: CoreParams, op: Op, contexts: int, quiet: int = 0) -> Tensor:
    """Side words [kinds, rows] of an operation in one row block; gains of the first ``quiet`` rows are small."""
    fmt = params.formats
    kinds = {Op.EMBED: 3, Op.CONTRACT: 3}.get(op, 1)
    gains = random_signed(GAIN_BITS, kinds * params.rows)
    gains.view(kinds, params.rows)[:, :quiet] >>= GAIN_BITS // 2
    if op is Op.F:
        gains = gains.abs().clamp(max=1 << OMEGA_FRAC)
    stats = random_signed(STAT_BITS, kinds * params.rows)
    words = torch.from_numpy(gain_word(gains.numpy(), stats.numpy()).astype("int64")).view(kinds, params.rows)
    if op is not Op.EMBED:
        return words
    x = random_signed(fmt.wide_bits, contexts * params.rows).clamp(-fmt.wide_max, fmt.wide_max)
    return torch.cat([(x & 0xFFFFFFFF).view(contexts, params.rows), words])


def random_signed(bits: int, count: int) -> Tensor:
    """Signed integers of all lengths, and both ends."""
    ends = (-1 << (bits - 1), (1 << (bits - 1)) - 1)
    values = [random.getrandbits(random.randint(1, bits - 1)) * random.choice((1, -1)) for _ in range(count)]
    return torch.tensor([random.choice(ends) if random.random() < 0.1 else value for value in values])


class GainModel:
    """Totals and maxima of a group, and what each row group leaves on its way."""

    def __init__(self, params: CoreParams, bias: int, kappa: int) -> None:
        self._params, self.kappa = params, kappa
        self.totals = [bias] * params.batch
        self.maxima = [[0] * 3 for _ in range(params.batch)]
        self.powers = [[0] * 3 for _ in range(params.batch)]

    def row_group(
        self, op: Op, context: int, live: Tensor, wide: Tensor, second: Tensor, words: Tensor
    ) -> list[tuple[int, ...]]:
        """Count a row group with its gain words [kinds, V]; its values, [(code floats of its lanes)] by slot."""
        fmt = self._params.formats
        gains, stats = (torch.from_numpy(part) for part in split_gain(words.numpy().astype("uint32")))
        stat = torch.tensor(1 << UNIT_EXPONENT) if op is Op.UP else stats[0]
        squares = nx.rshift_round(wide * stat, fmt.square_shift).square()
        if op is not Op.UP:
            squares = squares + nx.rshift_round(second * self.kappa, fmt.epsilon_shift).square()
        self.totals[context] += int(squares[live].sum())
        values = []
        for which, gain in enumerate(gains):
            v = wide * gain
            m, e = nx.normalise(v.abs() >> fmt.product_drop, fmt)
            magnitude = m | e << fmt.mantissa
            largest = int(torch.where(live, magnitude, 0).max())
            self.maxima[context][which] = max(self.maxima[context][which], largest)
            self.powers[context][which] += int(nx.rshift_round(v, fmt.power_shift).square()[live].sum())
            values.append(tuple((magnitude | (v < 0).long() << (fmt.mantissa + EXPONENT_BITS)).tolist()))
        return values

    def statistics(self) -> tuple[int, ...]:
        """The ports ``total``, ``maxima`` and, if there is one, ``powers``."""
        maxima = pack(chain(*self.maxima), self._params.formats.mantissa + EXPONENT_BITS)
        return (pack(self.totals, 64), maxima, pack(chain(*self.powers), 64))[: len(_statistics(self._params))]


def seen_statistics(params: CoreParams, dut: Any) -> tuple[int, ...]:
    """What `GainModel.statistics` says, of a unit."""
    return tuple(int(getattr(dut, name).value) for name in _statistics(params))


def decay(sigma: Tensor, words: Tensor) -> Tensor:
    """c of rows with the decay words [1, V]."""
    (gains, _) = split_gain(words.numpy().astype("uint32"))
    c = nx.rshift_round(sigma * torch.from_numpy(gains)[0], SIGMA_FRAC + OMEGA_FRAC - DECAY_FRAC)
    return c.clamp(max=(1 << DECAY_FRAC) - 1)


def live_rows(params: CoreParams, mask: int, values: Iterable[int]) -> tuple[int, ...]:
    """The values of the lanes in the mask; the others are nobody's."""
    return tuple(int(value) for row, value in enumerate(values) if mask >> row & 1)


def wrap(values: Tensor, bits: int) -> list[int]:
    """Two's complement of the values as unsigned integers."""
    return (values & ((1 << bits) - 1)).tolist()


def golden_root(total: int, fmt: Formats) -> tuple[Tensor, Tensor]:
    """reciprocal_root; the upper half of the range, which int64 lacks, from a quarter of the total."""
    high = total >> 63
    root, exponent = nx.reciprocal_root(torch.tensor([total >> 2 * high]), fmt)
    return root, exponent + high
