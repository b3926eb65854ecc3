# SPDX-License-Identifier: Apache-2.0
"""The nested trit code: five trits of one output row in a byte, cheap to decode and to multiplex.

``byte = p[2:0] q[1:0] l[2:0]`` holds trits t0..t4 as pairs X = (t0, t1), Y = (t3, t4) and the single t2. A pair
is {s0, s1, n}: n = 1, both non-zero with signs s0 and s1 (1 is negative); n = 0, one non-zero with its own sign: t0
if s0 = s1, else t1. A single is 0 zero, 1 plus, 2 minus. A zero pair needs the escape q = 3::

    q != 3           t2 = q, X = p, Y = l
    q == 3, p2 = 0   X = 0, t2 = p[1:0], Y = l
    q == 3, p2 = 1   Y = 0, t2 = p[1:0], X = l      (p != 7)
    q == 3, p == 7   X = Y = 0, t2 = l[1:0]
"""

import itertools

import numpy as np

ESCAPE = 3
BOTH_ZERO = 7
SINGLES = {0: 0, 1: 1, -1: 2}
ZERO_BYTE = (BOTH_ZERO << 5) | (ESCAPE << 3)
"""Five zero trits: what padding is made of."""


def encode_pair(first: int, second: int) -> int:
    """The three bits of a pair that is not (0, 0)."""
    if first and second:
        return (first < 0) << 2 | (second < 0) << 1 | 1
    negative = int(first + second < 0)
    return (negative if first else 1 - negative) << 2 | negative << 1


def encode(trits: tuple[int, int, int, int, int]) -> int:
    """The byte of five trits, each -1, 0 or 1."""
    t0, t1, t2, t3, t4 = trits
    single = SINGLES[t2]
    x, y = t0 or t1, t3 or t4
    if x and y:
        p, q, low = encode_pair(t0, t1), single, encode_pair(t3, t4)
    elif y:
        p, q, low = single, ESCAPE, encode_pair(t3, t4)
    elif x:
        p, q, low = 4 | single, ESCAPE, encode_pair(t0, t1)
    else:
        p, q, low = BOTH_ZERO, ESCAPE, single
    return p << 5 | q << 3 | low


def encode_table() -> np.ndarray:
    """uint8 [243]: the byte of the five trits with index sum((t_k + 1) * 3**k)."""
    table = np.zeros(243, dtype=np.uint8)
    for trits in itertools.product((-1, 0, 1), repeat=5):
        table[sum((t + 1) * 3**k for k, t in enumerate(trits))] = encode(trits)
    return table


def decode_table() -> np.ndarray:
    """int8 [256, 5]: the trits of each byte; zeros for the 13 outside the code (the gateware takes any trits)."""
    table = np.zeros((256, 5), dtype=np.int8)
    for trits in itertools.product((-1, 0, 1), repeat=5):
        table[encode(trits)] = trits
    return table
