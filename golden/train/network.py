# SPDX-License-Identifier: Apache-2.0
"""The model as it is trained: latent weights, straight-through gradients, a parallel scan.

In evaluation mode it computes what `golden.model.reference.ReferenceModel` does, batched.
"""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import dropout, linear, silu

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.golden.model.reference import lower_bounds, quantise, rms_norm
from tritforge.golden.train.latent import ternarise_latent
from tritforge.golden.train.scan import scan


class Recurrence(torch.autograd.Function):
    """`scan` whose gradient is the same scan run backwards: linear memory in T."""

    @staticmethod
    def forward(ctx: Any, f: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        h = scan(f, u)
        ctx.save_for_backward(f, h)
        return h

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        f, h = ctx.saved_tensors
        f_next = torch.cat((f[:, 1:], torch.zeros_like(f[:, :1])), 1)
        grad_u = scan(f_next.flip(1), grad.flip(1)).flip(1)
        h_previous = torch.cat((torch.zeros_like(h[:, :1]), h[:, :-1]), 1)
        return grad_u * h_previous, grad_u


class TernaryProduct(torch.autograd.Function):
    """Quantised activations times trits; both quantisers count as identities in the gradient.

    The forward product is of integers, so it is exact in TF32 as well.
    """

    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        codes, code_scale = quantise(y)
        trits, scale = ternarise_latent(weight)
        ctx.save_for_backward(codes, code_scale, trits.to(torch.int8), scale)
        return (codes.float() @ trits.T) * scale / code_scale[..., None]

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        codes, code_scale, trits, scale = ctx.saved_tensors
        scaled = (grad / code_scale[..., None]).flatten(0, -2)
        return (grad @ trits.float()) * scale, scaled.T @ codes.flatten(0, -2).float()


class Gain(nn.Module):
    """RMS normalisation with a gain."""

    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return rms_norm(x, self.weight)


class BitLinear(nn.Module):
    """Ternary product of normalised, quantised activations; where `plain`, that of both as they are."""

    def __init__(self, columns: int, rows: int, plain: bool):
        super().__init__()
        self.norm = Gain(columns)
        self.weight = nn.Parameter(torch.randn(rows, columns) * 0.02)
        self.plain = plain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.plain:
            return linear(self.norm(x).bfloat16(), self.weight.bfloat16()).float()
        product: torch.Tensor = TernaryProduct.apply(self.norm(x), self.weight)  # type: ignore[no-untyped-call] # as PyTorch's
        return product


class Attention(nn.Module):
    """The MLGRU token mixer."""

    def __init__(self, d: int, plain: bool):
        super().__init__()
        self.i_proj, self.f_proj, self.g_proj, self.o_proj = (BitLinear(d, d, plain) for _ in range(4))
        self.g_norm = Gain(d)

    def forward(self, a: torch.Tensor, bound: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        f = bound + (1 - bound) * self.f_proj(a).sigmoid()
        u = silu(self.i_proj(a)) * (1 - f)
        u = torch.cat((u[:, :1] + f[:, :1] * state[:, None], u[:, 1:]), 1)
        h = Recurrence.apply(f, u)  # type: ignore[no-untyped-call] # as PyTorch's
        return self.o_proj(self.g_norm(self.g_proj(a)) * silu(h)), h[:, -1]


class Mlp(nn.Module):
    """The gated linear unit."""

    def __init__(self, d: int, intermediate: int, plain: bool):
        super().__init__()
        self.gate_proj, self.down_proj = BitLinear(d, 2 * intermediate, plain), BitLinear(intermediate, d, plain)

    def forward(self, m: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_proj(m).chunk(2, -1)
        out: torch.Tensor = self.down_proj(silu(gate) * up)
        return out


class Block(nn.Module):
    """One layer; `drop` is the share of each branch's output that training drops."""

    def __init__(self, d: int, intermediate: int, drop: float, plain: bool):
        super().__init__()
        self.attn_norm, self.mlp_norm = Gain(d), Gain(d)
        self.attn, self.mlp = Attention(d, plain), Mlp(d, intermediate, plain)
        self.drop = drop

    def forward(self, x: torch.Tensor, bound: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out, state = self.attn(self.attn_norm(x), bound, state)
        x = x + dropout(out, self.drop, self.training)
        return x + dropout(self.mlp(self.mlp_norm(x)), self.drop, self.training), state


class Body(nn.Module):
    """All but the head; its forward is `TrainModel`'s."""

    def __init__(self, config: ModelConfig, drop: float, plain: bool):
        super().__init__()
        self.embeddings = nn.Embedding(config.vocab, config.hidden)
        nn.init.normal_(self.embeddings.weight, std=0.02)
        if config.use_lower_bound:
            self.lower_bounds = nn.Parameter(torch.zeros(config.layers, config.hidden))
        blocks = [Block(config.hidden, config.intermediate, drop, plain) for _ in range(config.layers)]
        self.layers = nn.ModuleList(blocks)
        self.norm = Gain(config.hidden)


class TrainModel(nn.Module):
    """The whole model, its parameters named as in the public state dict.

    Parameters
    ----------
    config
        The model's shape.
    drop
        Share of the embeddings' and of each branch's outputs that training drops.
    plain
        Whether the products take weights and activations in bfloat16 instead of quantising them: for
        teachers, which no hardware will run.
    """

    def __init__(self, config: ModelConfig, drop: float = 0.0, plain: bool = False):
        super().__init__()
        if config.bos is None:
            raise TritforgeError("Texts are trained on with bos before them; give bos_token_id in config.json.")
        self.config, self.bos, self.drop = config, config.bos, drop
        self.model = Body(config, drop, plain)
        self.lm_head = BitLinear(config.hidden, config.vocab, plain)

    def forward(self, ids: torch.Tensor, state: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Run ids [B, T] from a state [L, B, d] or zeros; return logits [B, T, V] and the next state."""
        shape = (self.config.layers, len(ids), self.config.hidden)
        x = dropout(self.model.embeddings(ids), self.drop, self.training)
        bounds = lower_bounds(self.model.lower_bounds) if self.config.use_lower_bound else x.new_zeros(shape[::2])
        state = x.new_zeros(shape) if state is None else state
        after = []
        for n, block in enumerate(self.model.layers):
            x, last = block(x, bounds[n], state[n])
            after.append(last)
        return self.lm_head(self.model.norm(x)), torch.stack(after)

    def compile_parts(self) -> None:
        """Compile what the layers share, once for all of them."""
        for part in (*self.model.layers, self.lm_head):
            part.compile()


def pick_device(choice: str) -> str:
    """Return "cpu" or "cuda", for "auto" what there is; raise TritforgeError for one that is not there."""
    there = torch.cuda.is_available()
    if choice == "cuda" and not there:
        raise TritforgeError("There is no CUDA device; take --device cpu.")
    return ("cuda" if there else "cpu") if choice == "auto" else choice
