# SPDX-License-Identifier: Apache-2.0
"""Rounding and the scalar functions of the numeric contract (`docs/numerics.md`).

Everything here is exact integer arithmetic on int64 tensors: the gateware reproduces each function bit for bit.
"""

import torch
from torch import Tensor

from tritforge.golden.model.formats import CODE_MAX, SCALE_LEFT, SIGMA_FRAC, SIGMA_RANGE, SLOPE_EXTRA, Formats
from tritforge.golden.model.tables import sigma_table


def rshift_round(a: Tensor, shift: int | Tensor) -> Tensor:
    """Shift right, rounding half up; ``shift`` >= 0, elementwise if a tensor."""
    if isinstance(shift, int):
        return a if shift == 0 else (a + (1 << (shift - 1))) >> shift
    half = torch.where(shift > 0, torch.ones_like(shift) << (shift - 1).clamp(min=0), 0)
    return (a + half) >> shift


def saturate(a: Tensor, limit: int) -> Tensor:
    """Clamp to +-limit."""
    return a.clamp(-limit, limit)


def saturated(a: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """What `saturate` returns, and where that is something else than ``a``."""
    return saturate(a, limit), a.abs() > limit


def bit_length(a: Tensor) -> Tensor:
    """Bits of a non-negative int64 (0 for 0), exact over the whole range."""
    high, low = a >> 32, a & 0xFFFFFFFF
    part = torch.where(high > 0, high, low)
    return torch.frexp(part.double()).exponent.long() + torch.where(high > 0, 32, 0)


def normalise(magnitude: Tensor, fmt: Formats) -> tuple[Tensor, Tensor]:
    """Non-negative integers below 2**magnitude_bits to (significand, exponent), truncating; (0, 0) for 0."""
    e = bit_length(magnitude)
    up = magnitude << (fmt.magnitude_bits - e)
    return torch.where(e > 0, up >> (fmt.magnitude_bits - fmt.mantissa), 0), e


def code_reciprocal(m: Tensor, fmt: Formats) -> Tensor:
    """round(127 * 2**code_shift / m) for a normalised significand m, by floor division with one bit more."""
    return ((CODE_MAX << (fmt.code_shift + 1)) // m + 1) >> 1


def codes(m: Tensor, e: Tensor, negative: Tensor, reciprocal: Tensor, e_max: Tensor, fmt: Formats) -> Tensor:
    """Codes, half away from zero: 127 * v / max|v|, times 2**s where ``e_max`` is s less than the largest's."""
    shift = (fmt.code_shift + e_max - e).clamp(max=62)
    q = rshift_round(m * reciprocal, shift)
    return torch.where(negative, -q, q)


def reciprocal_root(t: Tensor, fmt: Formats) -> tuple[Tensor, Tensor]:
    """(r, k) with 1/sqrt(t) = r * 2**-(2*mantissa - 1) * 2**-k, for t >= 1 (0 is taken as 1).

    The integer square root of t, scaled by an even power of two to 2*mantissa bits, then a floor division.
    """
    t = t.clamp(min=1)
    k = (bit_length(t) - 2 * fmt.mantissa + 1) >> 1
    tn = torch.where(k >= 0, t >> (2 * k).clamp(min=0), t << (-2 * k).clamp(min=0))
    s = torch.sqrt(tn.double()).long()
    s = torch.where(s * s > tn, s - 1, s)
    s = torch.where((s + 1) * (s + 1) <= tn, s + 1, s)
    return ((1 << (2 * fmt.mantissa - 1)) // s).clamp(max=(1 << fmt.mantissa) - 1), k


def multiply_scales(a: Tensor, b: Tensor, fmt: Formats) -> tuple[Tensor, Tensor]:
    """Product of two normalised significands, truncated to one: (m, c), a*b ~ m * 2**(mantissa - 1 + c)."""
    p = a * b
    c = p >> (2 * fmt.mantissa - 1)
    return torch.where(c > 0, p >> fmt.mantissa, p >> (fmt.mantissa - 1)), c


def apply_scale(acc: Tensor, m: Tensor, shift: Tensor, fmt: Formats) -> Tensor:
    """acc * m >> shift, rounded half up and saturated to wide; a shift below -SCALE_LEFT saturates."""
    return scaled(acc, m, shift, fmt)[0]


def scaled(acc: Tensor, m: Tensor, shift: Tensor, fmt: Formats) -> tuple[Tensor, Tensor]:
    """What `apply_scale` returns, and where it saturated."""
    y = rshift_round(acc * m << SCALE_LEFT, (shift + SCALE_LEFT).clamp(0, 63))
    y, over = saturated(y, fmt.wide_max)
    beyond = shift < -SCALE_LEFT
    return torch.where(beyond, torch.sign(acc) * fmt.wide_max, y), torch.where(beyond, acc != 0, over)


_TABLE = torch.tensor(sigma_table(), dtype=torch.int64)


def sigma(magnitude: Tensor, fmt: Formats) -> Tensor:
    """sigmoid(-x) for x = magnitude / 2**frac >= 0, with 18 fraction bits; 0 from x = 16 on."""
    step = fmt.frac - 5
    inside = magnitude < (SIGMA_RANGE << fmt.frac)
    base, slope = _TABLE[torch.where(inside, magnitude >> step, 0)].unbind(-1)
    s = base - rshift_round(slope * (magnitude & ((1 << step) - 1)), step + SLOPE_EXTRA)
    return torch.where(inside, s, 0)


def sigmoid_negative(f: Tensor, fmt: Formats) -> Tensor:
    """sigmoid(-f), 18 fraction bits, 0 to 2**18."""
    s = sigma(f.abs(), fmt)
    return torch.where(f >= 0, s, (1 << SIGMA_FRAC) - s)


def silu(x: Tensor, fmt: Formats) -> Tensor:
    """x * sigmoid(x) = max(x, 0) - |x| * sigmoid(-|x|), wide to wide."""
    return x.clamp(min=0) - rshift_round(x.abs() * sigma(x.abs(), fmt), SIGMA_FRAC)
