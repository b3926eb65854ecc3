# SPDX-License-Identifier: Apache-2.0
"""From a float checkpoint to the integers that the core consumes: trits, scales, gains and norm constants.

A BitLinear behind an outer norm with gain w1 and its own gain w2 is folded (see docs/numerics.md): its codes
depend on ``v = x * (w1 * w2)`` only, and the two roots become one factor of the output scale,
``R = 1 / sqrt(mean((x w1)^2) + eps (mean(x^2) + eps))``. Everything constant in
``out = acc * mean|W| * max|v| * R / 127`` is folded here into one mantissa and exponent per matrix.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint, CheckpointError, ModelConfig
from tritforge.golden.chunks import by_rows
from tritforge.golden.model.embedding import Embedding
from tritforge.golden.model.formats import CODE_MAX, EPS, GAIN_BITS, OMEGA_FRAC, STAT_BITS, UNIT_EXPONENT, Formats
from tritforge.golden.ternary import ternarise

STAT_EXPONENT_MAX = 17
"""kappa = sqrt(eps) * 2**(exponent + 9) must fit 17 bits."""
SCALE_EXPONENT_LIMIT = 2047
FRAC_LIMIT = 40
"""Largest magnitude of the residual's fraction bits: the eps of a sum of squares must fit its 64 bits."""
LEAST_BITS = 11
"""Of the largest embedding value; a wide number of 24 bits has as many beside the room to grow."""
EMBEDDING = "model.embeddings.weight"
GROUPS = {"f": "mix", "i": "mix", "g": "mix", "o": "out", "gate": "expand", "down": "contract"}


@dataclass(frozen=True)
class Matrix:
    """Trits int8 [rows, columns] and the folded output scale ``mantissa * 2**-exponent``."""

    trits: NDArray[np.int8]
    mantissa: int
    exponent: int


@dataclass(frozen=True)
class Norm:
    """Constants of the folded norm in front of one to three matrices that share an input of n values.

    stat : int64 [n] outer gain, or None where the vector itself is squared (gain one).
    gains : int64 [n] per matrix, products of outer and own gain.
    kappa : multiplies the second squared operand; sqrt(eps) in the units of the first.
    bias : added to the sum of squares; the remaining eps term in its units.
    """

    stat: NDArray[np.int64] | None
    gains: tuple[NDArray[np.int64], ...]
    kappa: int
    bias: int


@dataclass(frozen=True)
class IntegerLayer:
    """One layer: decay gains [d] (OMEGA_FRAC fraction bits), four norms, matrices f, i, g, o, gate with up, down."""

    omega: NDArray[np.int64]
    norms: dict[str, Norm]
    matrices: dict[str, Matrix]


@dataclass(frozen=True)
class IntegerHead:
    """The final norm (one gain) and the ternary lm_head [V, d]."""

    norm: Norm
    matrix: Matrix


def gain_mantissas(
    gain: NDArray[Any], bits: int = GAIN_BITS, largest_exponent: int = 126
) -> tuple[NDArray[np.int64], int]:
    """A gain vector as (int64 signed mantissas, exponent): gain ~ mantissa * 2**-exponent."""
    peak, limit = float(np.abs(gain).max()), (1 << (bits - 1)) - 1
    exponent = largest_exponent if peak == 0 else min(math.floor(math.log2(limit / peak)), largest_exponent)
    return np.rint(gain.astype(np.float64) * 2.0**exponent).astype(np.int64), exponent


def scale_word(real: float, fmt: Formats) -> tuple[int, int]:
    """A positive real as (normalised mantissa, exponent): real ~ mantissa * 2**-exponent."""
    if real <= 0:
        return 1 << (fmt.mantissa - 1), SCALE_EXPONENT_LIMIT
    exponent = fmt.mantissa - math.frexp(real)[1]
    mantissa = round(math.ldexp(real, exponent))
    if mantissa == 1 << fmt.mantissa:
        mantissa, exponent = mantissa >> 1, exponent - 1
    if abs(exponent) > SCALE_EXPONENT_LIMIT:
        raise TritforgeError("A weight scale is outside the range that the core can represent.")
    return mantissa, exponent


@dataclass(frozen=True)
class FoldedNorm:
    """A Norm with the exponents that its matrices' scales need (known to the packer only)."""

    norm: Norm
    stat_frac: int
    gain_exponents: tuple[int, ...]
    input_frac: int
    length: int

    def matrix(self, trits: NDArray[np.int8], scale: float, tensor: int, output_frac: int, fmt: Formats) -> Matrix:
        """Fold ``scale`` = mean|W| and every constant power of two into the matrix's scale word."""
        exponent = output_frac + self.stat_frac - self.input_frac - self.gain_exponents[tensor]
        exponent += fmt.product_drop - fmt.mantissa - (2 * fmt.mantissa - 1)
        real = scale / CODE_MAX * math.sqrt(self.length) * 2.0**exponent
        return Matrix(trits, *scale_word(real, fmt))


def fold_norm(
    outer: NDArray[Any] | None, own: list[NDArray[Any]], input_frac: int, double: bool, fmt: Formats
) -> FoldedNorm:
    """Fold an outer gain (None: the vector is not normalised before) with each BitLinear's own gain.

    ``double``: two norms in a row, so eps enters as eps * (mean(x^2) + eps); else as eps alone.
    """
    n = own[0].size
    if outer is None:
        stat, stat_exponent = None, UNIT_EXPONENT
        products = [w.astype(np.float64) for w in own]
    else:
        stat, stat_exponent = gain_mantissas(outer, STAT_BITS, STAT_EXPONENT_MAX)
        products = [outer.astype(np.float64) * w for w in own]
    pairs = [gain_mantissas(w) for w in products]
    stat_frac = input_frac + stat_exponent - fmt.square_shift
    kappa = round(math.sqrt(EPS) * 2.0 ** (stat_exponent + 9)) if double else 0
    bias = round((EPS * EPS if double else EPS) * n * 4.0**stat_frac)
    norm = Norm(stat, tuple(m for m, _ in pairs), kappa, bias)
    return FoldedNorm(norm, stat_frac, tuple(e for _, e in pairs), input_frac, n)


def residual_frac(peak: float, fmt: Formats) -> int:
    """Fraction bits of the residual: the largest embedding value, ``peak``, gets 12 bits of room to grow.

    CheckpointError where it is too large, or so small that hardly any of its bits would be left.
    """
    length, whole = math.frexp(peak)[1], fmt.wide_bits - 13
    if peak and not LEAST_BITS - FRAC_LIMIT <= length <= whole + FRAC_LIMIT:
        least, most = 2.0 ** (LEAST_BITS - FRAC_LIMIT - 1), 2.0 ** (whole + FRAC_LIMIT)
        raise CheckpointError(
            f"The largest value of {EMBEDDING} is {peak:.3g}, and a core can take {least:.1e} to {most:.1e}; is the "
            "file damaged?"
        )
    return min(FRAC_LIMIT, whole - length)


def quantise_embedding(table: NDArray[Any], bits: int, group: int, frac: int) -> Embedding:
    """Symmetric codes of ``bits`` (8 or 16) with one scale for each ``group`` of values of a row, as stored."""
    vocab, d = table.shape
    limit = (1 << (bits - 1)) - 1
    codes = np.empty((vocab, d), np.int8 if bits == 8 else np.int16)
    scales = np.empty((vocab, d // group), np.float32)
    for values, code, scale in by_rows(table, codes, scales):
        grouped = values.astype(np.float32).reshape(len(values), -1, group)
        np.divide(np.abs(grouped).max(-1), np.float32(limit), out=scale)
        safe = np.where(scale > 0, scale, 1)[..., np.newaxis]
        code[...] = np.rint(grouped / safe.astype(np.float64)).clip(-limit, limit).reshape(code.shape)
    return Embedding(codes, scales, frac)


class IntegerCheckpoint:
    """A float checkpoint seen as integers, layer by layer; nothing is read before it is asked for.

    Parameters
    ----------
    checkpoint : the float checkpoint.
    fmt : widths of the vector path.
    embedding_bits : 8 or 16.
    embedding_group : values that share a scale; 0 takes 32, or what of that divides the hidden size.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        fmt: Formats | None = None,
        embedding_bits: int = 16,
        embedding_group: int = 0,
    ) -> None:
        self.checkpoint = checkpoint
        self.config: ModelConfig = checkpoint.config
        self.fmt = fmt or Formats()
        group = embedding_group or math.gcd(self.config.hidden, 32)
        if embedding_bits not in (8, 16):
            raise TritforgeError(f"Embedding rows are int8 or int16, not {embedding_bits} bits.")
        if self.config.hidden % group:
            raise TritforgeError(f"The embedding group {group} must divide the hidden size {self.config.hidden}.")
        self._embedding_bits, self._embedding_group = embedding_bits, group

    @cached_property
    def residual_frac(self) -> int:
        """Fraction bits of the residual."""
        table = self.checkpoint.stored(EMBEDDING)
        peak = max(float(np.abs(values.astype(np.float32)).max()) for (values,) in by_rows(table))
        return residual_frac(peak, self.fmt)

    @cached_property
    def embedding(self) -> Embedding:
        """The quantised embedding."""
        table = self.checkpoint.stored(EMBEDDING)
        return quantise_embedding(table, self._embedding_bits, self._embedding_group, self.residual_frac)

    def decay_words(self, layer: int) -> NDArray[np.int64]:
        """1 - LB of a layer with OMEGA_FRAC fraction bits; one without a lower bound."""
        d = self.config.hidden
        if not self.config.use_lower_bound or layer == 0:
            return np.full(d, 1 << OMEGA_FRAC)
        words: NDArray[np.int64] = np.rint((1 - self._bounds[layer]) * (1 << OMEGA_FRAC)).astype(np.int64)
        return words.clip(0, 1 << OMEGA_FRAC)

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        """Lower bounds of the forget gates [L, d]."""
        raw = self.checkpoint.values("model.lower_bounds").astype(np.float64)
        bounds: NDArray[np.float64] = np.exp(raw - raw.max(0))
        bounds /= bounds.sum(0)
        bounds = bounds.cumsum(0) - bounds[0]
        return bounds

    def layer(self, index: int) -> IntegerLayer:
        """The integers of one layer."""
        prefix, fmt, frac = f"model.layers.{index}.", self.fmt, self.fmt.frac

        def gain(name: str) -> NDArray[np.float32]:
            return self.checkpoint.values(prefix + name)

        def own(*names: str) -> list[NDArray[np.float32]]:
            return [gain(f"{name}_proj.norm.weight") for name in names]

        x = self.residual_frac
        folded = {
            "mix": fold_norm(gain("attn_norm.weight"), own("attn.f", "attn.i", "attn.g"), x, True, fmt),
            "out": fold_norm(gain("attn.g_norm.weight"), own("attn.o"), frac, True, fmt),
            "expand": fold_norm(gain("mlp_norm.weight"), own("mlp.gate"), x, True, fmt),
            "contract": fold_norm(None, own("mlp.down"), frac, False, fmt),
        }
        plan = {
            "f": ("attn.f", 0, frac),
            "i": ("attn.i", 1, frac),
            "g": ("attn.g", 2, frac),
            "o": ("attn.o", 0, x),
            "gate": ("mlp.gate", 0, frac),
            "down": ("mlp.down", 0, x),
        }
        matrices = {}
        for name, (path, which, out_frac) in plan.items():
            ternary = ternarise(self.checkpoint.stored(f"{prefix}{path}_proj.weight"))
            matrices[name] = folded[GROUPS[name]].matrix(ternary.trits, ternary.scale, which, out_frac, fmt)
        return IntegerLayer(self.decay_words(index), {k: f.norm for k, f in folded.items()}, matrices)

    @lru_cache(maxsize=1)  # noqa: B019 - one head a checkpoint, which lives as long as its user
    def head(self) -> IntegerHead:
        """The final norm and lm_head; logits are accumulators times one scale a token."""
        gain, fmt = self.checkpoint.values, self.fmt
        folded = fold_norm(gain("model.norm.weight"), [gain("lm_head.norm.weight")], self.residual_frac, True, fmt)
        ternary = ternarise(self.checkpoint.stored("lm_head.weight"))
        return IntegerHead(folded.norm, folded.matrix(ternary.trits, ternary.scale, 0, 0, fmt))
