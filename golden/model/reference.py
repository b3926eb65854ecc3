# SPDX-License-Identifier: Apache-2.0
"""The model in float32: what the integer model and the hardware are judged against.

Every ternary product is computed literally, as integer codes times trits, so codes and accumulators
can be compared one by one. Only the recurrence runs token by token.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch.nn.functional import silu

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import EPS, ModelConfig
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.ternary import Ternary, ternarise

CODE_MAX = 127
"""Largest magnitude of an activation code of a vector's largest element."""
PEAK_FLOOR = 1e-5
"""Smallest largest magnitude, so that an all-zero vector gives zeros."""


class Product(NamedTuple):
    """One ternary product of T vectors of n elements with m rows.

    Attributes
    ----------
    codes
        int8 [T, n], the quantised activations.
    scale
        float32 [T], `127 / max|y|` of each vector.
    acc
        int32 [T, m], `codes @ trits.T`, exact.
    out
        float32 [T, m], `acc * weight scale / scale`.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    acc: torch.Tensor
    out: torch.Tensor


def rms_norm(x: torch.Tensor, gain: torch.Tensor, eps: float = EPS) -> torch.Tensor:
    """Return `x / sqrt(mean(x^2) + eps) * gain` over the last axis."""
    return x * (1.0 / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)) * gain


def round_half_away(x: torch.Tensor) -> torch.Tensor:
    """Round to the nearest integer, ties away from zero (adding 0.5 first would misround 0.49999997)."""
    whole = x.trunc()
    return torch.where((x - whole).abs() >= 0.5, whole + x.sign(), whole)


def quantise(y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the int8 codes of the vectors `y` [T, n] and their scales [T]."""
    scale = CODE_MAX / y.abs().amax(-1).clamp(min=PEAK_FLOOR)
    codes = round_half_away(y * scale[..., None]).clamp(-CODE_MAX - 1, CODE_MAX)
    return codes.to(torch.int8), scale


def bitlinear(x: torch.Tensor, gain: torch.Tensor, weight: Ternary) -> Product:
    """Normalise `x` [T, n] with its own `gain` [n], quantise, multiply with the trits [m, n], rescale."""
    codes, code_scale = quantise(rms_norm(x, gain))
    # A float32 product of these integers is exact while 127 n < 2^24, which every size here keeps.
    acc = codes.float() @ torch.from_numpy(weight.trits).float().T
    return Product(codes, code_scale, acc.to(torch.int32), acc * weight.scale / code_scale[..., None])


def lower_bounds(raw: torch.Tensor) -> torch.Tensor:
    """Return the floors of the forget gates [L, d] from the stored parameters; those of layer 0 are 0."""
    cumulated = raw.softmax(0).cumsum(0)
    return cumulated - cumulated[0]


class ReferenceModel:
    """A MatMul-free language model in float32.

    Attributes
    ----------
    config
        The model's shape.
    tensors
        Embeddings, gains and lower bounds by name, float32.
    linears
        The ternary products by name, without `.weight`.
    bounds
        float32 [L, d], the floors of the forget gates; zero where the model has none.
    """

    def __init__(self, config: ModelConfig, tensors: Mapping[str, torch.Tensor], linears: Mapping[str, Ternary]):
        self.config = config
        self.tensors = dict(tensors)
        self.linears = dict(linears)
        zero = torch.zeros(config.layers, config.hidden)
        self.bounds = lower_bounds(tensors["model.lower_bounds"]) if config.use_lower_bound else zero

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "ReferenceModel":
        """Read and ternarise a checkpoint, one tensor at a time."""
        linears = {name: ternarise(checkpoint.stored(f"{name}.weight")) for name in checkpoint.config.linear_shapes()}
        latent = {f"{name}.weight" for name in linears}
        tensors = {name: checkpoint.tensor(name) for name in checkpoint.names() if name not in latent}
        return cls(checkpoint.config, tensors, linears)

    def initial_state(self) -> torch.Tensor:
        """Return the state before the first token, zeros [L, d]."""
        return torch.zeros(self.config.layers, self.config.hidden)

    @torch.inference_mode()
    def forward(
        self,
        ids: torch.Tensor,
        state: torch.Tensor | None = None,
        capture: dict[str, torch.Tensor] | None = None,
        last: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run T tokens.

        Parameters
        ----------
        ids
            int64 [T], each in 0..V-1.
        state
            float32 [L, d], that of an earlier call; None starts afresh.
        capture
            Takes the intermediates where given: `embeddings`, `final_norm`; per layer N
            `layerN.{attn_norm,h,g_norm,attn_out,residual_mid,mlp_norm,mlp_out,out}`; and per product
            `lin.NAME` and `q.NAME.{x,scale,acc}`.
        last
            Compute the logits of the last token only.

        Returns
        -------
        logits, state
            float32 [T, V], or [1, V] of the last, and [L, d].

        Raises
        ------
        TritforgeError
            For an empty sequence or a token outside the vocabulary.
        """
        if ids.ndim != 1 or not len(ids) or ids.min() < 0 or ids.max() >= self.config.vocab:
            raise TritforgeError(f"Token ids must be a non-empty vector of values in 0..{self.config.vocab - 1}.")
        keep = {} if capture is None else capture
        state = self.initial_state() if state is None else state.clone()
        x = keep["embeddings"] = self.tensors["model.embeddings.weight"][ids]
        for layer in range(self.config.layers):
            x = self._mix_tokens(layer, x, state, keep)
            x = self._mix_channels(layer, x, keep)
        x = x[-1:] if last else x
        x = keep["final_norm"] = rms_norm(x, self.tensors["model.norm.weight"])
        return self._linear("lm_head", x, keep), state

    def _mix_tokens(
        self, n: int, x: torch.Tensor, state: torch.Tensor, keep: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Return the residual after layer n's MLGRU; advance `state[n]`."""
        name, tag = f"model.layers.{n}", f"layer{n}"
        a = keep[f"{tag}.attn_norm"] = rms_norm(x, self.tensors[f"{name}.attn_norm.weight"])
        i, f, g = (self._linear(f"{name}.attn.{k}_proj", a, keep) for k in "ifg")
        f = self.bounds[n] + (1 - self.bounds[n]) * f.sigmoid()
        u = silu(i) * (1 - f)
        h = torch.empty_like(u)
        for t in range(len(u)):
            h[t] = state[n] = f[t] * state[n] + u[t]
        keep[f"{tag}.h"] = h
        o = keep[f"{tag}.g_norm"] = rms_norm(g, self.tensors[f"{name}.attn.g_norm.weight"]) * silu(h)
        out = keep[f"{tag}.attn_out"] = self._linear(f"{name}.attn.o_proj", o, keep)
        x = keep[f"{tag}.residual_mid"] = x + out
        return x

    def _mix_channels(self, n: int, x: torch.Tensor, keep: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the residual after layer n's gated linear unit."""
        name, tag = f"model.layers.{n}", f"layer{n}"
        m = keep[f"{tag}.mlp_norm"] = rms_norm(x, self.tensors[f"{name}.mlp_norm.weight"])
        gate, up = self._linear(f"{name}.mlp.gate_proj", m, keep).chunk(2, -1)
        out = keep[f"{tag}.mlp_out"] = self._linear(f"{name}.mlp.down_proj", silu(gate) * up, keep)
        x = keep[f"{tag}.out"] = x + out
        return x

    def _linear(self, name: str, x: torch.Tensor, keep: dict[str, torch.Tensor]) -> torch.Tensor:
        product = bitlinear(x, self.tensors[f"{name}.norm.weight"], self.linears[name])
        keep[f"lin.{name}"] = product.out
        keep |= {f"q.{name}.x": product.codes, f"q.{name}.scale": product.scale, f"q.{name}.acc": product.acc}
        return product.out
