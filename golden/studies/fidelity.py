# SPDX-License-Identifier: Apache-2.0
"""The integer model and what the public implementation computed with the same weights."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model.integer import IntegerModel, analyse
from tritforge.golden.model.numerics import rshift_round, silu
from tritforge.golden.model.quantise import IntegerCheckpoint

VECTORS = "vectors.npz"


def fed_codes(folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """(ours, theirs) codes of every BitLinear, ours made from the public implementation's own float inputs."""
    vectors = np.load(folder / VECTORS)
    source = IntegerCheckpoint(Checkpoint(folder))
    fmt, count, codes = source.fmt, source.config.layers, {}

    def wide(name: str, frac: int) -> Tensor:
        return torch.round(torch.from_numpy(vectors[name]).double() * 2.0**frac).long()

    for layer in range(count):
        prefix, norms = f"model.layers.{layer}.", source.layer(layer).norms
        x = wide("embeddings" if layer == 0 else f"layer{layer - 1}.out", source.residual_frac)
        for name, found in zip("fig", analyse(x, x, norms["mix"], fmt).codes, strict=True):
            codes[f"{prefix}attn.{name}_proj"] = found
        g = wide(f"lin.{prefix}attn.g_proj", fmt.frac)
        t = rshift_round(g * silu(wide(f"layer{layer}.h", fmt.frac), fmt), fmt.frac)
        codes[f"{prefix}attn.o_proj"] = analyse(t, g, norms["out"], fmt).codes[0]
        r = wide(f"layer{layer}.residual_mid", source.residual_frac)
        codes[f"{prefix}mlp.gate_proj"] = analyse(r, r, norms["expand"], fmt).codes[0]
        gate, up = wide(f"lin.{prefix}mlp.gate_proj", fmt.frac).chunk(2, dim=-1)
        z = rshift_round(up * silu(gate, fmt), fmt.frac)
        codes[f"{prefix}mlp.down_proj"] = analyse(z, z, norms["contract"], fmt).codes[0]
    x = wide(f"layer{count - 1}.out", source.residual_frac)
    codes["lm_head"] = analyse(x, x, source.head().norm, fmt).codes[0]
    return {name: (ours, torch.from_numpy(vectors[f"q.{name}.x"]).long()) for name, ours in codes.items()}


def measure(folder: Path) -> dict[str, float]:
    """Share of equal codes, rms logit errors (ours and half precision's) and share of equal argmaxes.

    Parameters
    ----------
    folder
        A checkpoint with `VECTORS`: inputs and outputs of every step of the public implementation.
    """
    if not (folder / VECTORS).is_file():
        raise TritforgeError(f"{folder} has no {VECTORS}; give a checkpoint with what the public code computed.")
    vectors = np.load(folder / VECTORS)
    expected, half = (torch.from_numpy(vectors[name]).float() for name in ("logits", "logits_fp16"))
    logits, _ = IntegerModel(IntegerCheckpoint(Checkpoint(folder))).forward(torch.from_numpy(vectors["input_ids"]))
    ours = logits.logits()
    difference = torch.cat([(a - b).abs().flatten() for a, b in fed_codes(folder).values()])
    return {
        "codes": difference.numel(),
        "equal codes": float((difference == 0).double().mean()),
        "largest code difference": float(difference.max()),
        "rms logit error": float((ours - expected).square().mean().sqrt()),
        "rms logit error of half precision": float((half - expected).square().mean().sqrt()),
        "equal argmaxes": float((ours.argmax(-1) == expected.argmax(-1)).double().mean()),
    }
