# SPDX-License-Identifier: Apache-2.0
"""The integer model: the specification that the gateware equals bit for bit.

Vectorised over tokens; only the recurrence runs token by token. Source: the forward pass of the public
implementation with both norms of every BitLinear folded (docs/numerics.md).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tritforge.golden.chunks import by_rows
from tritforge.golden.model import numerics as nx
from tritforge.golden.model.activations import Activations
from tritforge.golden.model.formats import DECAY_FRAC, OMEGA_FRAC, SIGMA_FRAC, UNIT_EXPONENT, Formats
from tritforge.golden.model.outlier_codes import widening
from tritforge.golden.model.quantise import Matrix, Norm
from tritforge.golden.model.source import IntegerSource

Tap = Callable[[int, str, Tensor], None]
"""Called with (layer, unit, values [T, n]) at every observable point; the head's layer is the layer count."""


@dataclass(frozen=True)
class Scales:
    """What follows from one input vector per token: codes per matrix and the parts of its output scale.

    ``m_max`` and ``e_max`` are the significand and exponent of what has the code 127: the largest element, or less.
    """

    codes: tuple[Tensor, ...]
    m_max: tuple[Tensor, ...]
    e_max: tuple[Tensor, ...]
    root: Tensor
    root_exponent: Tensor


@dataclass(frozen=True)
class IntegerLogits:
    """raw int64 [T, V] accumulators; logits = raw * mantissa * 2**-shift, mantissa and shift int64 [T]."""

    raw: Tensor
    mantissa: Tensor
    shift: Tensor

    def scale(self) -> Tensor:
        """float64 [T]."""
        return self.mantissa.double() * torch.exp2(-self.shift.double())

    def logits(self) -> Tensor:
        """float32 [T, V]."""
        return (self.raw.double() * self.scale().unsqueeze(-1)).float()


INT8 = Activations()


def analyse(value: Tensor, second: Tensor, norm: Norm, fmt: Formats, given: Activations = INT8) -> Scales:
    """Codes and scale parts of the vectors ``value`` [T, n]; ``second`` is the operand of the eps term.

    Equations: v = value * gain; code = round(127 v / (max|v| / 2^s)), s being 0 in int8;
    t = sum(round(value * stat)^2) + sum(round(second * kappa)^2) + bias; root = 1 / sqrt(t).
    """
    stat = 1 << UNIT_EXPONENT if norm.stat is None else torch.from_numpy(norm.stat)
    total = nx.rshift_round(value * stat, fmt.square_shift).square().sum(-1, keepdim=True) + norm.bias
    total = total + nx.rshift_round(second * norm.kappa, fmt.epsilon_shift).square().sum(-1, keepdim=True)
    root, k = nx.reciprocal_root(total, fmt)
    codes, m_max, e_max = [], [], []
    for gain in norm.gains:
        v = value * torch.from_numpy(gain)
        m, e = nx.normalise(v.abs() >> fmt.product_drop, fmt)
        largest = ((e << fmt.mantissa) | m).amax(-1, keepdim=True)
        top_e = largest >> fmt.mantissa
        top_m = torch.where(top_e > 0, largest & ((1 << fmt.mantissa) - 1), 1 << (fmt.mantissa - 1))
        if given.extra:
            power = nx.rshift_round(v, fmt.power_shift).square().sum(-1, keepdim=True)
            top_e = top_e - widening(power, top_m, top_e, v.shape[-1], given, fmt)
        codes.append(nx.codes(m, e, v < 0, nx.code_reciprocal(top_m, fmt), top_e, fmt))
        m_max.append(top_m)
        e_max.append(top_e)
    return Scales(tuple(codes), tuple(m_max), tuple(e_max), root, k)


def output_scale(scales: Scales, which: int, matrix: Matrix, fmt: Formats) -> tuple[Tensor, Tensor]:
    """(mantissa, shift) [T, 1] with output = acc * mantissa >> shift."""
    m, c1 = nx.multiply_scales(scales.m_max[which], scales.root, fmt)
    m, c2 = nx.multiply_scales(m, torch.tensor(matrix.mantissa), fmt)
    shift = matrix.exponent - scales.e_max[which] + scales.root_exponent - 2 * (fmt.mantissa - 1) - c1 - c2
    return m, shift


def accumulate(codes: Tensor, trits: Tensor) -> Tensor:
    """Exact ternary product int64 [T, rows]; |acc| <= 127 * 16 * 8192 < 2**24, so float32 holds every partial sum."""
    vectors = codes.float()
    return torch.cat([vectors @ rows.float().T for (rows,) in by_rows(trits)], dim=-1).long()


class IntegerModel:
    """Runs tokens from a packed image or a quantised checkpoint.

    Parameters
    ----------
    source : gives the integers of each layer.
    product : codes [T, n] and trits [rows, n] to exact sums int64 [T, rows]; `golden.model.addsub` has another one.
    activations : how the codes are made.

    Attributes
    ----------
    saturations : results so far that were too large for `wide`, in the product or in what was made of it at once; a
        core counts the same with one vector row, and with more the cycles in which there were any.
    """

    def __init__(
        self,
        source: IntegerSource,
        product: Callable[[Tensor, Tensor], Tensor] = accumulate,
        activations: Activations = INT8,
    ) -> None:
        self.source = source
        self._accumulate = product
        self._activations = activations
        self.config = source.config
        self.fmt = source.fmt
        self.saturations = 0

    def initial_state(self) -> Tensor:
        """int64 [L, d] zeros; wide with ``frac`` fraction bits."""
        return torch.zeros(self.config.layers, self.config.hidden, dtype=torch.int64)

    def forward(
        self, ids: Tensor, state: Tensor | None = None, tap: Tap | None = None, last: bool = False
    ) -> tuple[IntegerLogits, Tensor]:
        """Logits of every position of ``ids`` [T] and the state after the last one; ``state`` is not changed.

        With ``last`` only the last position's logits are computed, so T is 1 in them.
        """
        tap = tap or (lambda layer, unit, values: None)
        state = self.initial_state() if state is None else state.clone()
        x = torch.from_numpy(self.source.embedding.rows(ids.numpy()))
        tap(0, "embedding", x)
        for index in range(self.config.layers):
            x = self._layer(x, index, state[index], tap)
        x = x[-1:] if last else x
        head = self.source.head()
        scales = self._analyse(x, x, head.norm)
        raw = self._accumulate(scales.codes[0], torch.from_numpy(head.matrix.trits))
        tap(self.config.layers, "head.acc", raw)
        mantissa, shift = output_scale(scales, 0, head.matrix, self.fmt)
        return IntegerLogits(raw, mantissa.squeeze(-1), shift.squeeze(-1)), state

    def _layer(self, x: Tensor, index: int, h: Tensor, tap: Tap) -> Tensor:
        """One layer: x [T, d] to x [T, d]; h [d] is updated in place."""
        layer, fmt, limit = self.source.layer(index), self.fmt, self.fmt.wide_max

        def product(name: str, scales: Scales, which: int) -> tuple[Tensor, Tensor]:
            """The product, and where it saturated."""
            matrix = layer.matrices[name]
            tap(index, f"{name}.codes", scales.codes[which])
            acc = self._accumulate(scales.codes[which], torch.from_numpy(matrix.trits))
            tap(index, f"{name}.acc", acc)
            y, over = nx.scaled(acc, *output_scale(scales, which, matrix, fmt), fmt)
            tap(index, name, y)
            return y, over

        def count(*over: Tensor) -> None:
            self.saturations += sum(int(mask.sum()) for mask in over)

        mix = self._analyse(x, x, layer.norms["mix"])
        (f, over_f), (i, over_i), (g, over_g) = (product(name, mix, k) for k, name in enumerate("fig"))
        sigma = nx.sigmoid_negative(f, fmt)
        c = nx.rshift_round(sigma * torch.from_numpy(layer.omega), SIGMA_FRAC + OMEGA_FRAC - DECAY_FRAC)
        c = c.clamp(max=(1 << DECAY_FRAC) - 1)
        hs = self._recur(c, nx.silu(i, fmt), h)
        tap(index, "state", hs)
        t, over = nx.saturated(nx.rshift_round(g * nx.silu(hs, fmt), fmt.frac), limit)
        tap(index, "mix", t)
        count(over_f, over_i, over_g | over)
        o, over_o = product("o", self._analyse(t, g, layer.norms["out"]), 0)
        r, over = nx.saturated(x + o, limit)
        tap(index, "out", r)
        count(over_o | over)
        both, over = product("gate", self._analyse(r, r, layer.norms["expand"]), 0)
        (gate, up), (over_gate, over_up) = both.chunk(2, dim=-1), over.chunk(2, dim=-1)
        z, over = nx.saturated(nx.rshift_round(up * nx.silu(gate, fmt), fmt.frac), limit)
        tap(index, "expand", z)
        count(over_gate, over_up | over)
        down, over_down = product("down", self._analyse(z, z, layer.norms["contract"]), 0)
        x, over = nx.saturated(r + down, limit)
        tap(index, "contract", x)
        count(over_down | over)
        return x

    def _analyse(self, value: Tensor, second: Tensor, norm: Norm) -> Scales:
        return analyse(value, second, norm, self.fmt, self._activations)

    @staticmethod
    def _recur(c: Tensor, candidate: Tensor, h: Tensor) -> Tensor:
        """h += c * (candidate - h) for each token in order; the only loop over tokens. Returns all h [T, d]."""
        out = torch.empty_like(candidate)
        for token in range(len(c)):
            h += nx.rshift_round(c[token] * (candidate[token] - h), DECAY_FRAC)
            out[token] = h
        return out
