# SPDX-License-Identifier: Apache-2.0
"""The shape of a MatMul-free language model and its public `config.json`."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as short
from typing import Any

from tritforge.golden import TritforgeError

CONFIG = "config.json"
GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

EPS = 1e-6
"""The only epsilon under a root: the public kernels fix it, whatever a config says."""

LARGEST = 2**31 - 1
"""Of a dimension."""

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
    bos
        The token that begins a text; None where texts begin with their own first one.
    eos
        The tokens that end one, distinct.
    """

    hidden: int
    layers: int
    intermediate: int
    vocab: int
    eps: float = EPS
    use_lower_bound: bool = True
    bos: int | None = 1
    eos: tuple[int, ...] = (2,)

    def __post_init__(self) -> None:
        for field in ("hidden", "layers", "intermediate", "vocab"):
            _check_size(field, getattr(self, field))
        for field, ids in (("bos", () if self.bos is None else (self.bos,)), ("eos", self.eos)):
            for value in ids:
                if not _is_whole(value) or not 0 <= value < self.vocab:
                    raise CheckpointError(
                        f"The {field} token id must lie in 0..{self.vocab - 1}, not {short(value)}."
                    )
        object.__setattr__(self, "eos", tuple(dict.fromkeys(self.eos)))
        if self.eps != EPS:
            raise CheckpointError(f"rms_norm_eps must be {EPS}, which the hardware fixes, not {short(self.eps)}.")
        if not isinstance(self.use_lower_bound, bool):
            raise CheckpointError(f"use_lower_bound must be true or false, not {short(self.use_lower_bound)}.")

    @classmethod
    def from_json(cls, path: Path | str) -> "ModelConfig":
        """Read a public `config.json`; raise CheckpointError for a model that is not built.

        A `generation_config.json` beside it may give tokens that end a text too, and the one that begins it where
        `config.json` does not mention any.
        """
        path = Path(path)
        raw = read_json(path)
        beside = path.with_name(GENERATION)
        generation = read_json(beside) if beside.is_file() else {}
        _refuse_unbuilt(raw, path)
        missing = [k for k in ("hidden_size", "num_hidden_layers", "vocab_size") if raw.get(k) is None]
        if missing:
            raise CheckpointError(f"{path} gives no {missing[0]}; take the config.json of the checkpoint.")
        hidden, intermediate = raw["hidden_size"], raw.get("intermediate_size")
        # what only the file beside gives is added below, so that each is judged under its own name
        own = {"bos_token_id": 1, "eos_token_id": 2} | dict.fromkeys(generation) | raw
        with _used(path):
            if intermediate is None:
                ratio = raw.get("hidden_ratio")
                intermediate = default_intermediate(hidden, 4 if ratio is None else ratio)
            config = cls(
                hidden=hidden,
                layers=raw["num_hidden_layers"],
                intermediate=intermediate,
                vocab=raw["vocab_size"],
                eps=raw.get("rms_norm_eps", EPS),
                use_lower_bound=raw.get("use_lower_bound", True),
                bos=own["bos_token_id"],
                eos=listed(own["eos_token_id"]),
            )
        with _used(beside):
            return replace(
                config,
                bos=(generation | raw).get("bos_token_id", config.bos),
                eos=(*config.eos, *listed(generation.get("eos_token_id"))),
            )

    @property
    def public_eos(self) -> int | list[int] | None:
        """The tokens that end a text as files give them: one id, several or none."""
        return self.eos[0] if len(self.eos) == 1 else list(self.eos) or None

    def to_json(self, dtype: str) -> dict[str, Any]:
        """Return the public `config.json` of this model with weights stored as `dtype`, such as "float16"."""
        return {
            "architectures": ["HGRNBitForCausalLM"],
            "attn_mode": "fused_recurrent",
            "bos_token_id": self.bos,
            "eos_token_id": self.public_eos,
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
        ends = tuple(f"{name}.weight" for name in (*LINEARS, "lm_head"))
        found = ((name, shape) for name, shape in self.tensors() if name.endswith(ends))
        return {name.removesuffix(".weight"): (rows, columns) for name, (rows, columns) in found}

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor of the state dict, in model order."""
        return dict(self.tensors())

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield name and shape of every tensor of the state dict, in model order."""
        d, i = self.hidden, self.intermediate
        inside = {"mlp.gate_proj": (2 * i, d), "mlp.down_proj": (d, i)}
        before = {"attn.i_proj": "attn_norm", "attn.o_proj": "attn.g_norm", "mlp.gate_proj": "mlp_norm"}
        yield "model.embeddings.weight", (self.vocab, d)
        if self.use_lower_bound:
            yield "model.lower_bounds", (self.layers, d)
        for layer in (f"model.layers.{n}" for n in range(self.layers)):
            for kind in LINEARS:
                if kind in before:
                    yield f"{layer}.{before[kind]}.weight", (d,)
                shape = inside.get(kind, (d, d))
                yield f"{layer}.{kind}.norm.weight", shape[1:]
                yield f"{layer}.{kind}.weight", shape
        yield "model.norm.weight", (d,)
        yield "lm_head.norm.weight", (d,)
        yield "lm_head.weight", (self.vocab, d)

    def parameters(self) -> int:
        """Return the number of values in the state dict."""
        return sum(map(math.prod, self.tensor_shapes().values()))


def default_intermediate(hidden: int, ratio: float = 4) -> int:
    """Return the intermediate size of a config that gives none: 2/3 of ratio*d, up to a multiple of 256."""
    _check_size("hidden", hidden)
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio <= LARGEST:
        raise CheckpointError(f"hidden_ratio must be a positive number, not {short(ratio)}.")
    return -(-int(hidden * ratio * 2 / 3) // 256) * 256


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raise CheckpointError where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing; give the folder of a checkpoint that holds it.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no readable JSON ({error}); fetch it again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object; fetch it again.")
    return value


@contextmanager
def _used(path: Path) -> Iterator[None]:
    """Name the file of a value that makes no sense."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def listed(value: Any) -> tuple[Any, ...]:
    """What a file gives as a list, as one value or as null."""
    return tuple(value) if isinstance(value, list) else () if value is None else (value,)


def _check_size(field: str, value: Any) -> None:
    if not _is_whole(value) or value < 1:
        raise CheckpointError(f"The model's {field} size must be a positive integer, not {short(value)}.")
    if value > LARGEST:
        raise CheckpointError(f"The model's {field} size must be at most {LARGEST}, not {short(value)}.")


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
                f"{path} asks for {key} = {short(raw.get(key))}, which is not built; it must be {allowed[0]!r}."
            )


PUBLISHED = {
    "370M": ModelConfig(1024, 24, 2816, 32000),
    "1.3B": ModelConfig(2048, 24, 5632, 32000),
    "2.7B": ModelConfig(2560, 32, 6912, 32000),
}
"""The published models by name."""
