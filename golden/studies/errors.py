# SPDX-License-Identifier: Apache-2.0
"""Measures the error of every step of the numeric contract."""

from collections.abc import Callable

import torch

from tritforge.golden.model import numerics as nx
from tritforge.golden.model.formats import CODE_MAX, SIGMA_FRAC, Formats

SAMPLES = 1 << 20


def _uniform(low: int, high: int, seed: int) -> torch.Tensor:
    return torch.randint(low, high, (SAMPLES,), generator=torch.Generator().manual_seed(seed))


def sigmoid_error(fmt: Formats) -> float:
    """Largest absolute error of sigmoid(-x) for |x| < 16, on a million even points."""
    x = torch.linspace(-16, 16, SAMPLES, dtype=torch.float64)
    fixed = torch.round(x * 2.0**fmt.frac).long()
    exact = torch.sigmoid(-fixed.double() / 2.0**fmt.frac)
    return float((nx.sigmoid_negative(fixed, fmt).double() / 2.0**SIGMA_FRAC - exact).abs().max())


def silu_error(fmt: Formats, reach: float = 20.0) -> float:
    """Largest absolute error of silu for |x| < reach."""
    x = torch.linspace(-reach, reach, SAMPLES, dtype=torch.float64)
    fixed = torch.round(x * 2.0**fmt.frac).long()
    exact = torch.nn.functional.silu(fixed.double() / 2.0**fmt.frac)
    return float((nx.silu(fixed, fmt).double() / 2.0**fmt.frac - exact).abs().max())


def silu_relative_error(fmt: Formats) -> float:
    """Largest relative error of silu for 2**-6 <= |x| < 1."""
    x = torch.linspace(2**-6, 1, SAMPLES, dtype=torch.float64)
    fixed = torch.round(torch.cat([x, -x]) * 2.0**fmt.frac).long()
    exact = torch.nn.functional.silu(fixed.double() / 2.0**fmt.frac)
    return float((nx.silu(fixed, fmt).double() / 2.0**fmt.frac / exact - 1).abs().max())


def reciprocal_error(fmt: Formats) -> float:
    """Largest relative error of the quantiser's reciprocal, over all significands."""
    m = torch.arange(1 << (fmt.mantissa - 1), 1 << fmt.mantissa)
    exact = CODE_MAX * 2.0**fmt.code_shift / m.double()
    return float((nx.code_reciprocal(m, fmt).double() / exact - 1).abs().max())


def root_error(fmt: Formats) -> float:
    """Largest relative error of 1 / sqrt over a million sums of squares between 2**20 and 2**60."""
    exponent = torch.rand(SAMPLES, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 40 + 20
    t = torch.exp2(exponent).long()
    r, k = nx.reciprocal_root(t, fmt)
    value = r.double() * torch.exp2(-(2 * fmt.mantissa - 1) - k.double())
    return float((value * torch.sqrt(t.double()) - 1).abs().max())


def scale_error(fmt: Formats) -> float:
    """Largest relative error of the product of two significands."""
    low, high = 1 << (fmt.mantissa - 1), 1 << fmt.mantissa
    a, b = _uniform(low, high, 3), _uniform(low, high, 4)
    m, c = nx.multiply_scales(a, b, fmt)
    value = m.double() * torch.exp2(fmt.mantissa - 1 + c.double())
    return float((value / (a.double() * b.double()) - 1).abs().max())


def code_float_error(fmt: Formats) -> float:
    """Largest relative error of a normalised quantiser input, over magnitudes of all sizes."""
    bits = fmt.magnitude_bits
    magnitude = (_uniform(0, 1 << 62, 5) >> _uniform(62 - bits, 62, 6)).clamp(min=1)
    m, e = nx.normalise(magnitude, fmt)
    return float((m.double() * torch.exp2(e.double() - fmt.mantissa) / magnitude.double() - 1).abs().max())


MEASUREMENTS: dict[str, Callable[[Formats], float]] = {
    "sigmoid, absolute": sigmoid_error,
    "silu for |x| < 20, absolute": silu_error,
    "silu for 1/64 <= |x| < 1, relative": silu_relative_error,
    "code float, relative": code_float_error,
    "reciprocal of the maximum, relative": reciprocal_error,
    "1/sqrt, relative": root_error,
    "product of two scales, relative": scale_error,
}


def measure() -> dict[str, float]:
    """The largest error of each step, in the usual formats."""
    return {name: error(Formats()) for name, error in MEASUREMENTS.items()}
