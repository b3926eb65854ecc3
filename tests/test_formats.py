# SPDX-License-Identifier: Apache-2.0
"""Importers of other projects' ternary formats, against those projects' own code."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind

from golden.preternary import dequantise
from golden.ternary import Ternary, ternarise
from host.formats import GGUF_KINDS, from_gguf, read_gguf

SCALE = torch.tensor(0.0173).half().item()


def sample(rows: int = 7, columns: int = 512) -> Ternary:
    """Trits with a whole block of zeros, whose scale in GGUF is zero."""
    generator = torch.Generator().manual_seed(rows)
    trits = torch.randint(-1, 2, (rows, columns), generator=generator, dtype=torch.int8)
    trits[1, :256] = 0
    return Ternary(trits, SCALE)


def blocks(ternary: Ternary, kind: Kind) -> np.ndarray:
    return gguf.quantize(dequantise(ternary, torch.float32).numpy(), kind)


def equal(one: Ternary, other: Ternary) -> bool:
    return torch.equal(one.trits, other.trits) and one.scale == other.scale


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_blocks_of_llama_cpp_give_trits_and_scale_there_and_back(kind: Kind) -> None:
    ternary = sample()
    data = blocks(ternary, kind)
    found = from_gguf(data, kind)
    assert equal(found, ternary) and found.trits.dtype == torch.int8
    assert np.array_equal(gguf.dequantize(data, kind), dequantise(found, torch.float32))
    assert np.array_equal(blocks(found, kind), data)


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_the_scale_rounds_to_half_precision_once(kind: Kind) -> None:
    found = from_gguf(blocks(Ternary(sample().trits, 0.0173), kind), kind)
    assert found.scale == SCALE != 0.0173 and torch.equal(found.trits, sample().trits)


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_all_zeros_are_kept(kind: Kind) -> None:
    zeros = Ternary(torch.zeros(3, 256, dtype=torch.int8), 1.0)
    found = from_gguf(blocks(zeros, kind), kind)
    assert not found.trits.any() and found.scale == ternarise(torch.zeros(1)).scale


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_blocks_of_different_scales_are_refused(kind: Kind) -> None:
    data = blocks(sample(), kind)
    data[-1, -1] ^= 1  # the high byte of the last block's scale
    with pytest.raises(ValueError, match=r"mlp has blocks of different scales.*ternarise"):
        from_gguf(data, kind, "mlp")
    latent = 0.05 * torch.randn(4, 512, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="different scales"):
        from_gguf(gguf.quantize(latent.numpy(), kind), kind)


def test_other_types_are_refused() -> None:
    data = gguf.quantize(dequantise(sample(), torch.float32).numpy(), Kind.Q8_0)
    with pytest.raises(ValueError, match=r"is of type Q8_0; ternary types are TQ1_0 and TQ2_0\."):
        from_gguf(data, Kind.Q8_0)


def test_the_ternary_tensors_of_a_file_are_read(tmp_path: Path) -> None:
    path, tensors = tmp_path / "model.gguf", {"one": sample(3), "two": sample(5)}
    writer = gguf.GGUFWriter(path, "hgrn_bit")
    for (name, ternary), kind in zip(tensors.items(), GGUF_KINDS, strict=True):
        writer.add_tensor(name, blocks(ternary, kind), raw_dtype=kind)
    writer.add_tensor("norm", np.ones(5, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = dict(read_gguf(path))
    assert found.keys() == tensors.keys() and all(equal(found[name], tensors[name]) for name in tensors)


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"no model at all, but long enough to have a header")
    with pytest.raises(ValueError, match=r"model\.gguf is no whole GGUF file"):
        list(read_gguf(path))
