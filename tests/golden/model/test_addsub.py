# SPDX-License-Identifier: Apache-2.0
"""The ternary products by additions and subtractions: the same bits, and no operator that multiplies."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.checkpoints import SMALL, random_checkpoint
from tests.command_line import invoke
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.model import addsub, integer
from tritforge.golden.model.integer import IntegerModel
from tritforge.golden.model.quantise import IntegerCheckpoint

Product = Callable[[Tensor, Tensor], Tensor]
ALLOWED = {
    "unsqueeze",
    "split",
    "slice",
    "gt",
    "lt",
    "where",
    "scalar_tensor",
    "sum",
    "sub",
    "cat",
    "permute",
    "_to_copy",
}
"""Comparisons, choices, sums and differences, and what only moves values."""


class NoMultiplier(TorchDispatchMode):
    """Refuses every operator that reaches PyTorch's kernels, but for the allowed ones."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name not in ALLOWED:
            raise AssertionError(f"{name} in a ternary product")
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("model"))


def samples(tokens: int, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Codes and trits; the first vector and the last row are the largest there are."""
    generator = torch.Generator().manual_seed(rows)
    codes = torch.randint(-127, 128, (tokens, columns), generator=generator)
    trits = torch.randint(-1, 2, (rows, columns), generator=generator, dtype=torch.int8)
    codes[0], trits[-1] = 127, 1
    return codes, trits


@pytest.mark.parametrize("chunk", [1, 1 << 17])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 77, 500), (2, 5, 6912)])
def test_products_equal_integer_products(
    shape: tuple[int, int, int], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addsub, "CHUNK", chunk)
    codes, trits = samples(*shape)
    acc = addsub.accumulate(codes, trits)
    assert acc.dtype == torch.int64 and torch.equal(acc, codes @ trits.long().T)


def test_every_observable_value_is_equal_and_no_product_multiplies(model: Path) -> None:
    """Under the same guard the default is caught, so the guard can fail."""

    def guarded(product: Product, seen: list) -> Product:
        def run(codes: Tensor, trits: Tensor) -> Tensor:
            seen.append(trits.shape)
            with NoMultiplier():
                return product(codes, trits)

        return run

    def taps(**given: Product) -> tuple[dict, Tensor]:
        found = {}
        source = IntegerCheckpoint(Checkpoint(model))
        _, state = IntegerModel(source, **given).forward(ids, tap=lambda n, unit, v: found.update({(n, unit): v}))
        return found, state

    ids = torch.randint(SMALL.vocab, (20,), generator=torch.Generator().manual_seed(0))
    products: list = []
    (expected, expected_state), (found, state) = taps(), taps(product=guarded(addsub.accumulate, products))
    assert len(products) == 6 * SMALL.layers + 1
    assert found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)
    assert torch.equal(state, expected_state)
    for product, name in (
        (integer.accumulate, "mm"),
        (lambda codes, trits: (codes.unsqueeze(1) * trits).sum(-1), "mul"),
    ):
        with pytest.raises(AssertionError, match=f"^{name} in a ternary product"):
            taps(product=guarded(product, []))


def test_commands_give_the_same_with_either_arithmetic(model: Path, tmp_path: Path) -> None:
    def ask(*arguments: object) -> dict:
        result = invoke(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def either(*arguments: object) -> dict:
        plain, added = (ask(*arguments, "--arith", arith) for arith in ("matmul", "addsub"))
        assert plain == added
        return plain

    np.save(tmp_path / "ids.npy", np.arange(150))
    (tmp_path / "text.txt").write_text("Es war einmal ein Müller. " * 6)
    assert either("generate", model, "--prompt", "Es war", "--max-new-tokens", 12)["tokens"]
    assert either("eval", model, "--text", tmp_path / "text.txt")["tokens"]
    for arith in ("matmul", "addsub"):
        ask("logits", model, "--ids", tmp_path / "ids.npy", "--out", tmp_path / f"{arith}.npz", "--arith", arith)
    with np.load(tmp_path / "matmul.npz") as plain, np.load(tmp_path / "addsub.npz") as added:
        assert set(plain) == set(added) and all(np.array_equal(plain[key], added[key]) for key in plain)


def test_commands_use_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default's product is broken here; only addsub still runs."""
    from tritforge.host.run import golden_backends

    def broken(codes: Tensor, trits: Tensor) -> Tensor:
        raise AssertionError("the default product")

    monkeypatch.setitem(golden_backends.PRODUCTS, golden_backends.Arith.MATMUL, broken)
    run = ["generate", str(model), "--prompt", "a", "--max-new-tokens", "1"]
    assert invoke(*run, "--arith", "addsub").exit_code == 0
    assert "the default product" in invoke(*run).stderr


def test_other_backends_refuse_it(model: Path) -> None:
    result = invoke("generate", str(model), "--prompt", "a", "--backend", "float", "--arith", "addsub")
    assert result.exit_code == 2 and "it needs --backend integer" in result.stderr
