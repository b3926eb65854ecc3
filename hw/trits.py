# SPDX-License-Identifier: Apache-2.0
"""Trit codes: what a byte of the weight stream stands for. `CODES` is the only table of them.

*Nested*: ``byte = p[2:0] q[1:0] l[2:0]`` holds trits t0..t4 as pairs X = (t0, t1), Y = (t3, t4) and the single t2. A
pair is {s0, s1, n}: n = 1, both non-zero with signs s0 and s1 (1 is negative); n = 0, one non-zero with its own sign:
t0 if s0 = s1, else t1. A single is 0 zero, 1 plus, 2 minus. A zero pair needs the escape q = 3::

    q != 3           t2 = q, X = p, Y = l
    q == 3, p2 = 0   X = 0, t2 = p[1:0], Y = l
    q == 3, p2 = 1   Y = 0, t2 = p[1:0], X = l      (p != 7)
    q == 3, p == 7   X = Y = 0, t2 = l[1:0]

*Positional*: the sum of (t_k + 1) * 3**k, so five zeros are 121. *Two bit*: four trits, t_k at bits 2k and 2k + 1 as
0 zero, 1 plus, 2 minus.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Bit = Any
"""One bit that has &, |, ^ and ~: an Amaranth value, or NumPy's booleans."""
Trits = list[tuple[Bit, Bit]]
"""(plus, minus) of each trit, which is plus - minus: so zero is 00 or 11."""
Wire = Callable[[Bit], Bit]
"""Gives a bit a name of its own."""


@dataclass(frozen=True)
class Code:
    """A trit code.

    Attributes
    ----------
    name, number
        What images, packets and registers name it by. A number is never given to another code.
    trits
        Trits of a byte.
    encode
        The byte of so many trits, each -1, 0 or 1.
    circuit
        The decoder: from the eight bits of a byte, lowest first, to its trits. It becomes gateware of Amaranth's
        values and a table of NumPy's. Its second argument is called for what is used again and again: Amaranth
        would write it out each time.
    """

    name: str
    number: int
    trits: int
    encode: Callable[[Sequence[int]], int]
    circuit: Callable[[Sequence[Bit], Wire], Trits]

    @cached_property
    def encode_table(self) -> np.ndarray:
        """uint8 [3**trits]: the byte of the trits with index sum((t_k + 1) * 3**k)."""
        table = np.zeros(3**self.trits, dtype=np.uint8)
        for trits in itertools.product((-1, 0, 1), repeat=self.trits):
            table[positional(trits)] = self.encode(trits)
        return table

    @cached_property
    def decode_table(self) -> np.ndarray:
        """int8 [256, trits]: the trits of each byte; of one outside the code, what the gateware takes it for."""
        bits = [np.arange(256) >> k & 1 == 1 for k in range(8)]
        return np.stack([plus.astype(np.int8) - minus for plus, minus in self.circuit(bits, lambda bit: bit)], axis=1)


def positional(trits: Iterable[Any]) -> Any:
    """The byte of five trits, numbers or arrays; of any number of trits, their index in `Code.encode_table`."""
    return sum((t + 1) * 3**k for k, t in enumerate(trits))


def _positional_circuit(byte: Sequence[Bit], wire: Wire) -> Trits:
    """From the highest trit down: is the rest 3**k or more, or twice that? Then it is that much less."""
    rest: list[Bit] = list(byte)
    trits: Trits = []
    for k in (4, 3, 2, 1, 0):
        one, two = wire(_at_least(rest, 3**k)), wire(_at_least(rest, 2 * 3**k))
        trits.insert(0, (two, ~one))
        less = zip(_minus(rest, 2 * 3**k, wire), _minus(rest, 3**k, wire), rest, strict=True)
        rest = [wire(_choose(two, a, _choose(one, b, c))) for a, b, c in less][: (3**k - 1).bit_length()]
    return trits


def _minus(bits: Sequence[Bit], constant: int, wire: Wire) -> list[Bit]:
    """A number less a constant above zero, of the same width."""
    lowest = (constant & -constant).bit_length() - 1
    result, borrow = [*bits[:lowest], ~bits[lowest]], ~bits[lowest]
    for k in range(lowest + 1, len(bits)):
        change = bits[k] ^ borrow
        result.append(~change if constant >> k & 1 else change)
        borrow = wire(~bits[k] | borrow if constant >> k & 1 else ~bits[k] & borrow)
    return result


def _at_least(bits: Sequence[Bit], least: int) -> Bit:
    """Whether a number is at least a constant above zero."""
    lowest = (least & -least).bit_length() - 1
    result = bits[lowest]
    for k in range(lowest + 1, len(bits)):
        result = bits[k] & result if least >> k & 1 else bits[k] | result
    return result


def nested(trits: Sequence[int]) -> int:
    """The byte of five trits."""
    t0, t1, t2, t3, t4 = trits
    single, x, y = two_bit([t2]), t0 or t1, t3 or t4
    if x and y:
        p, q, low = _pair(t0, t1), single, _pair(t3, t4)
    elif y:
        p, q, low = single, 3, _pair(t3, t4)
    elif x:
        p, q, low = 4 | single, 3, _pair(t0, t1)
    else:
        p, q, low = 7, 3, single
    return p << 5 | q << 3 | low


def _pair(first: int, second: int) -> int:
    """The three bits of a pair that is not (0, 0)."""
    if first and second:
        return (first < 0) << 2 | (second < 0) << 1 | 1
    negative = int(first + second < 0)
    return (negative if first else 1 - negative) << 2 | negative << 1


def _nested_circuit(byte: Sequence[Bit], wire: Wire) -> Trits:
    low, q, p = byte[0:3], byte[3:5], byte[5:8]
    escape = wire(q[0] & q[1])
    y_zero, seven = escape & p[2], p[0] & p[1] & p[2]
    x_zero = escape & (seven | ~p[2])
    single = (_choose(escape, _choose(seven, low[k], p[k]), q[k]) for k in (0, 1))
    x = [_choose(y_zero, low[k], p[k]) for k in (0, 1, 2)]
    return [*_pair_circuit(x, x_zero), tuple(single), *_pair_circuit(low, y_zero)]


def _pair_circuit(pair: Sequence[Bit], zero: Bit) -> Trits:
    """The trits of a coded pair; the sign of a zero means nothing."""
    both, differ = pair[0], pair[1] ^ pair[2]
    return [(sign ^ ((both | alone) & ~zero), sign) for sign, alone in ((pair[2], ~differ), (pair[1], differ))]


def _choose(which: Bit, then: Bit, otherwise: Bit) -> Bit:
    return (which & then) | (~which & otherwise)


def two_bit(trits: Sequence[int]) -> int:
    """The byte of up to four trits."""
    return sum(t % 3 << 2 * k for k, t in enumerate(trits))


def _two_bit_circuit(byte: Sequence[Bit], wire: Wire) -> Trits:
    return [(byte[2 * k], byte[2 * k + 1]) for k in range(4)]


CODES = {
    code.name: code
    for code in (
        # number 1 was a nested code in which a lone trit had the sign of the pair's first
        Code("nested", 2, 5, nested, _nested_circuit),
        Code("positional", 3, 5, positional, _positional_circuit),
        Code("two_bit", 4, 4, two_bit, _two_bit_circuit),
    )
}
"""By name."""
NUMBERS = {code.number: code for code in CODES.values()}
