# SPDX-License-Identifier: Apache-2.0
"""The float reference equals the public implementation, and the equations written out in NumPy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import silu

from tests.checkpoints import random_checkpoint
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.reader import Checkpoint, ModelConfig
from tritforge.golden.model.reference import ReferenceModel, bitlinear, quantise, round_half_away

PUBLIC = Path(__file__).parents[4] / "shared" / "reference"
INPUTS = {
    "i_proj": "attn_norm",
    "f_proj": "attn_norm",
    "g_proj": "attn_norm",
    "o_proj": "g_norm",
    "gate_proj": "mlp_norm",
}


class Public:
    """A checkpoint with what the public implementation made of it."""

    def __init__(self, folder: Path):
        self.model = ReferenceModel.from_checkpoint(Checkpoint(folder))
        with np.load(folder / "vectors.npz") as file:
            self.vectors = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}

    def product_input(self, name: str) -> Tensor:
        """What the public run fed to a product."""
        if name == "lm_head":
            return self.vectors["final_norm"]
        if name.endswith("down_proj"):
            gate, up = self.vectors[f"lin.{name.replace('down', 'gate')}"].chunk(2, -1)
            return silu(gate) * up
        return self.vectors[f"layer{name.split('.')[2]}.{INPUTS[name.split('.')[-1]]}"]


@pytest.fixture(scope="module", params=["a_h64_l2", "b_h128_l4_bf16"])
def public(request: pytest.FixtureRequest) -> Public:
    if not PUBLIC.is_dir():
        pytest.skip("the public implementation's vectors are not here")
    return Public(PUBLIC / request.param)


def test_products_equal_the_public_ones(public: Public) -> None:
    for name, weight in public.model.linears.items():
        gain = public.model.tensors[f"{name}.norm.weight"]
        product = bitlinear(public.product_input(name), gain, weight)
        assert np.array_equal(weight.trits, public.vectors[f"q.{name}.w"])
        assert weight.scale == pytest.approx(1 / public.vectors[f"q.{name}.wscale"].item(), rel=3e-7)
        assert torch.equal(product.codes, public.vectors[f"q.{name}.x"])
        assert torch.equal(product.acc, public.vectors[f"q.{name}.acc"])


def test_the_whole_run_equals_the_public_one(public: Public) -> None:
    """Codes are equal too; were one to flip on another machine, logits would move by some 0.01."""
    captured: dict[str, Tensor] = {}
    logits, state = public.model.forward(public.vectors["input_ids"], capture=captured)
    captured |= {"logits": logits, "lower_bounds": public.model.bounds}
    captured |= {f"layer{n}.state": row[None] for n, row in enumerate(state)}
    for name, value in captured.items():
        torch.testing.assert_close(value, public.vectors[name], rtol=1e-5, atol=2e-5, msg=name)


def test_greedy_tokens_equal_the_public_ones(public: Public) -> None:
    logits, state = public.model.forward(public.vectors["input_ids"])
    tokens = []
    for _ in public.vectors["greedy_ids"]:
        tokens.append(logits[-1].argmax())
        logits, state = public.model.forward(tokens[-1][None], state)
    assert torch.equal(torch.stack(tokens), public.vectors["greedy_ids"])


def literal(checkpoint: Checkpoint, ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and state by the equations, token by token in float64; only the trits are taken in float32."""
    weight = {name: checkpoint.tensor(name).numpy() for name in checkpoint.names()}
    config, state = checkpoint.config, np.zeros((checkpoint.config.layers, checkpoint.config.hidden))

    def sigmoid(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-v))

    def rms(v: np.ndarray, name: str) -> np.ndarray:
        return v / np.sqrt(np.mean(v * v) + 1e-6) * weight[f"{name}.weight"].astype(np.float64)

    def product(v: np.ndarray, name: str) -> np.ndarray:
        latent = weight[f"{name}.weight"]
        mean = np.float32(np.abs(latent).mean(dtype=np.float64))
        trits = np.clip(np.rint(latent * (np.float32(1) / mean)), -1, 1).astype(np.int64)
        y = rms(v, f"{name}.norm")
        scale = 127 / max(np.abs(y).max(), 1e-5)
        codes = np.clip(np.sign(y) * np.floor(np.abs(y * scale) + 0.5), -128, 127).astype(np.int64)
        return trits @ codes * float(mean) / scale

    bound = np.zeros_like(state)
    if config.use_lower_bound:
        share = np.exp(weight["model.lower_bounds"].astype(np.float64))
        bound = np.cumsum(share / share.sum(0), 0)
        bound -= bound[0]
    for token in ids:
        x = weight["model.embeddings.weight"][token].astype(np.float64)
        for n, name in enumerate(f"model.layers.{n}" for n in range(config.layers)):
            a = rms(x, f"{name}.attn_norm")
            i, f, g = (product(a, f"{name}.attn.{k}_proj") for k in "ifg")
            f = bound[n] + (1 - bound[n]) * sigmoid(f)
            state[n] = f * state[n] + i * sigmoid(i) * (1 - f)
            o = rms(g, f"{name}.attn.g_norm") * state[n] * sigmoid(state[n])
            r = x + product(o, f"{name}.attn.o_proj")
            gate, up = np.split(product(rms(r, f"{name}.mlp_norm"), f"{name}.mlp.gate_proj"), 2)
            x = r + product(gate * sigmoid(gate) * up, f"{name}.mlp.down_proj")
    return product(rms(x, "model.norm"), "lm_head"), state


@pytest.mark.parametrize("bounded", [True, False])
def test_the_model_equals_the_equations(tmp_path: Path, bounded: bool) -> None:
    config = ModelConfig(hidden=24, layers=3, intermediate=44, vocab=61, use_lower_bound=bounded)
    checkpoint = Checkpoint(random_checkpoint(tmp_path, config, tokenizer=False))
    ids = [1, 60, 7, 7, 0, 33]
    logits, state = ReferenceModel.from_checkpoint(checkpoint).forward(torch.tensor(ids))
    expected_logits, expected_state = literal(checkpoint, ids)
    np.testing.assert_allclose(logits[-1], expected_logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(state, expected_state, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ReferenceModel:
    return ReferenceModel.from_checkpoint(Checkpoint(random_checkpoint(tmp_path_factory.mktemp("model"))))


def test_a_sequence_in_parts_gives_the_same_logits(model: ReferenceModel) -> None:
    ids = torch.arange(17) * 13
    whole, last = model.forward(ids)
    state, parts = None, []
    for part in ids.split(5):
        before = None if state is None else state.clone()
        logits, after = model.forward(part, state)
        assert state is None or torch.equal(state, before)
        parts, state = [*parts, logits], after
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ids", [[], [-1], [301], [[1]]])
def test_senseless_tokens_are_refused(model: ReferenceModel, ids: list) -> None:
    with pytest.raises(TritforgeError, match=r"0\.\.300"):
        model.forward(torch.tensor(ids, dtype=torch.int64))


def test_ties_round_away_from_zero_and_nothing_else_does() -> None:
    below = torch.nextafter(torch.tensor(0.5), torch.tensor(0.0)).item()
    values = torch.tensor([0.5, -0.5, 1.5, 2.5, -2.5, below, -below, 126.5, 0.0])
    assert round_half_away(values).tolist() == [1, -1, 2, 3, -3, 0, 0, 127, 0]


def test_zeros_and_tiny_vectors_do_not_divide_by_zero() -> None:
    codes, scale = quantise(torch.tensor([[0.0, 0.0], [1e-6, -5e-6], [2e-5, -1e-5]]))
    assert codes.tolist() == [[0, 0], [13, -64], [127, -64]]
    assert torch.isfinite(scale).all()
