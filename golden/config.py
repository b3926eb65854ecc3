# SPDX-License-Identifier: Apache-2.0
"""The shape of a MatMul-free language model and its public `config.json`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden import TritforgeError

CONFIG = "config.json"
GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

EPS = 1e-6
"""The only epsilon under a root: the public kernels fix it, whatever a config says."""

LINEARS = ("attn.i_proj", "attn.f_proj", "attn.g_proj", "attn.o_proj", "mlp.gate_proj", "mlp.down_proj")
"""The ternary products of a layer, in model order."""


class CheckpointError(TritforgeError):
    """A checkpoint that cannot be used; the message names the file or tensor and the remedy."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of a model.

    Attributes
    ----------
    hidden, layers, intermediate, vocab
        d, L, I and V.
    eps
        Added to every mean of squares before its root.
    use_lower_bound
        Whether the forget gates of layers above 0 are bounded from below.
    bos, eos
        Token ids.
    """

    hidden: int
    layers: int
    intermediate: int
    vocab: int
    eps: float = EPS
    use_lower_bound: bool = True
    bos: int = 1
    eos: int = 2

    def __post_init__(self) -> None:
        for field in ("hidden", "layers", "intermediate", "vocab"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise CheckpointError(f"The model's {field} size must be a positive integer, not {value!r}.")
        for field in ("bos", "eos"):
            value = getattr(self, field)
            if not isinstance(value, int) or not 0 <= value < self.vocab:
                raise CheckpointError(f"The {field} token id must lie in 0..{self.vocab - 1}, not {value!r}.")
        if self.eps != EPS:
            raise CheckpointError(f"rms_norm_eps must be {EPS}, which the hardware fixes, not {self.eps!r}.")

    @classmethod
    def from_json(cls, path: Path | str) -> "ModelConfig":
        """Read a public `config.json`; raise CheckpointError for a model that is not built."""
        raw = read_json(Path(path))
        _refuse_unbuilt(raw, Path(path))
        missing = [k for k in ("hidden_size", "num_hidden_layers", "vocab_size") if raw.get(k) is None]
        if missing:
            raise CheckpointError(f"{path} gives no {missing[0]}; take the config.json of the checkpoint.")
        hidden, ratio = raw["hidden_size"], raw.get("hidden_ratio") or 4
        return cls(
            hidden=hidden,
            layers=raw["num_hidden_layers"],
            intermediate=raw.get("intermediate_size") or default_intermediate(hidden, ratio),
            vocab=raw["vocab_size"],
            eps=raw.get("rms_norm_eps", EPS),
            use_lower_bound=raw.get("use_lower_bound", True),
            bos=raw.get("bos_token_id", 1),
            eos=raw.get("eos_token_id", 2),
        )

    def to_json(self, dtype: str) -> dict[str, Any]:
        """Return the public `config.json` of this model with weights stored as `dtype`, such as "float16"."""
        return {
            "architectures": ["HGRNBitForCausalLM"],
            "attn_mode": "fused_recurrent",
            "bos_token_id": self.bos,
            "eos_token_id": self.eos,
            "expand_ratio": 1,
            "hidden_act": "swish",
            "hidden_ratio": 4,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "model_type": "hgrn_bit",
            "num_heads": 1,
            "num_hidden_layers": self.layers,
            "rms_norm_eps": self.eps,
            "tie_word_embeddings": False,
            "torch_dtype": dtype,
            "use_cache": True,
            "use_lower_bound": self.use_lower_bound,
            "use_short_conv": False,
            "vocab_size": self.vocab,
        }

    def linear_shapes(self) -> dict[str, tuple[int, int]]:
        """Return (rows, columns) of every ternary product in model order; the head, `lm_head`, is last."""
        d, i = self.hidden, self.intermediate
        shape = {"mlp.gate_proj": (2 * i, d), "mlp.down_proj": (d, i)}
        inside = {f"model.layers.{n}.{k}": shape.get(k, (d, d)) for n in range(self.layers) for k in LINEARS}
        return inside | {"lm_head": (self.vocab, d)}

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor of the state dict, in model order."""
        d = self.hidden
        shapes: dict[str, tuple[int, ...]] = {"model.embeddings.weight": (self.vocab, d)}
        if self.use_lower_bound:
            shapes["model.lower_bounds"] = (self.layers, d)
        linears = self.linear_shapes()

        def add_linear(name: str) -> None:
            shapes[f"{name}.norm.weight"] = (linears[name][1],)
            shapes[f"{name}.weight"] = linears[name]

        for layer in (f"model.layers.{n}" for n in range(self.layers)):
            shapes[f"{layer}.attn_norm.weight"] = (d,)
            for kind in LINEARS:
                if kind == "attn.o_proj":
                    shapes[f"{layer}.attn.g_norm.weight"] = (d,)
                if kind == "mlp.gate_proj":
                    shapes[f"{layer}.mlp_norm.weight"] = (d,)
                add_linear(f"{layer}.{kind}")
        shapes["model.norm.weight"] = (d,)
        add_linear("lm_head")
        return shapes

    def parameters(self) -> int:
        """Return the number of values in the state dict."""
        return sum(map(math.prod, self.tensor_shapes().values()))


PUBLISHED = {
    "370M": ModelConfig(1024, 24, 2816, 32000),
    "1.3B": ModelConfig(2048, 24, 5632, 32000),
    "2.7B": ModelConfig(2560, 32, 6912, 32000),
}
"""The published models by name."""


def default_intermediate(hidden: int, ratio: float = 4) -> int:
    """Return the intermediate size of a config that gives none: 2/3 of ratio*d, up to a multiple of 256."""
    return -(-int(hidden * ratio * 2 / 3) // 256) * 256


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raise CheckpointError where there is none."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; give the folder of a checkpoint that holds it.") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no readable JSON ({error}); fetch it again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object; fetch it again.")
    return value


def _refuse_unbuilt(raw: Mapping[str, Any], path: Path) -> None:
    """Raise for settings that would change the arithmetic."""
    built = {
        "model_type": ("hgrn_bit",),
        "use_short_conv": (False, None),
        "expand_ratio": (1, None),
        "tie_word_embeddings": (False, None),
        "hidden_act": ("swish", "silu", None),
    }
    for key, allowed in built.items():
        if raw.get(key) not in allowed:
            raise CheckpointError(
                f"{path} asks for {key} = {raw.get(key)!r}, which is not built; it must be {allowed[0]!r}."
            )
