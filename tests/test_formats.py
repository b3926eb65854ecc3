# SPDX-License-Identifier: Apache-2.0
"""Importers of other projects' ternary formats, against those projects' own code."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from golden import TritforgeError
from golden.arrays import FLOAT32
from golden.preternary import dequantise
from golden.ternary import Ternary, ternarise
from host.formats import GGUF_KINDS, from_gguf, from_positional, read_gguf, to_positional

SCALE = float(np.float16(0.0173))


def sample(rows: int = 7, columns: int = 512) -> Ternary:
    """Trits with a whole block of zeros, whose scale in GGUF is zero."""
    trits = np.random.default_rng(rows).integers(-1, 2, (rows, columns), np.int8)
    trits[1, :256] = 0
    return Ternary(trits, SCALE)


def blocks(ternary: Ternary, kind: Kind) -> np.ndarray:
    return gguf.quantize(dequantise(ternary, FLOAT32), kind)


def equal(one: Ternary, other: Ternary) -> bool:
    return np.array_equal(one.trits, other.trits) and one.scale == other.scale


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_blocks_of_llama_cpp_give_trits_and_scale_there_and_back(kind: Kind) -> None:
    ternary = sample()
    data = blocks(ternary, kind)
    found = from_gguf(data, kind)
    assert equal(found, ternary) and found.trits.dtype == np.int8
    assert np.array_equal(gguf.dequantize(data, kind), dequantise(found, FLOAT32))
    assert np.array_equal(blocks(found, kind), data)


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_the_scale_rounds_to_half_precision_once(kind: Kind) -> None:
    found = from_gguf(blocks(Ternary(sample().trits, 0.0173), kind), kind)
    assert found.scale == SCALE != 0.0173 and np.array_equal(found.trits, sample().trits)


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_all_zeros_are_kept(kind: Kind) -> None:
    zeros = Ternary(np.zeros((3, 256), np.int8), 1.0)
    found = from_gguf(blocks(zeros, kind), kind)
    assert not found.trits.any() and found.scale == ternarise(np.zeros(1, np.float32)).scale


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_blocks_of_different_scales_are_refused(kind: Kind) -> None:
    data = blocks(sample(), kind)
    data[-1, -1] ^= 1  # the high byte of the last block's scale
    with pytest.raises(TritforgeError, match=r"mlp has blocks of different scales.*ternarise"):
        from_gguf(data, kind, "mlp")
    latent = np.random.default_rng(0).normal(scale=0.05, size=(4, 512)).astype(np.float32)
    with pytest.raises(TritforgeError, match="different scales"):
        from_gguf(gguf.quantize(latent, kind), kind)


def test_other_types_are_refused() -> None:
    data = gguf.quantize(dequantise(sample(), FLOAT32), Kind.Q8_0)
    with pytest.raises(TritforgeError, match=r"is of type Q8_0; ternary types are TQ1_0 and TQ2_0\."):
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
    with pytest.raises(TritforgeError, match=r"model\.gguf is no whole GGUF file"):
        list(read_gguf(path))


def test_positional_bytes_are_numbers_of_base_three() -> None:
    data = np.arange(243, dtype=np.uint8)
    trits = from_positional(data, 5 * 243).reshape(243, 5)
    assert trits.tolist() == [[byte // 3**k % 3 - 1 for k in range(5)] for byte in range(243)]
    assert trits.dtype == np.int8 and np.array_equal(to_positional(trits).reshape(-1), data)
    assert not from_positional(np.array([121], np.uint8), 5).any()


@pytest.mark.parametrize("shape", [(1,), (5,), (4, 23), (2, 3, 10)])
def test_positional_trits_come_back(shape: tuple[int, ...]) -> None:
    trits = np.random.default_rng(0).integers(-1, 2, shape).astype(np.int8)
    data = to_positional(trits)
    assert data.shape == (*shape[:-1], -(-shape[-1] // 5)) and data.dtype == np.uint8
    assert np.array_equal(from_positional(data, shape[-1]), trits)


def test_bytes_that_are_no_trits_are_refused() -> None:
    with pytest.raises(TritforgeError, match=r"The byte 243 is no five trits, which reach 242"):
        from_positional(np.array([[121], [243]], np.uint8), 5)
    with pytest.raises(TritforgeError, match="11 trits are 3 bytes, not 2"):
        from_positional(np.zeros((4, 2), np.uint8), 11)
