# SPDX-License-Identifier: Apache-2.0
"""Importers of other projects' ternary formats, against those projects' own code."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from tritforge.golden import TritforgeError
from tritforge.golden.arrays import FLOAT32
from tritforge.golden.checkpoints.preternary import dequantise
from tritforge.golden.ternary import Ternary, ternarise
from tritforge.host.image import foreign
from tritforge.host.image.foreign import GGUF_KINDS, from_gguf, from_positional, read_gguf, to_positional

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


def write(path: Path, tensors: dict[str, tuple[np.ndarray, Kind]], foreign: dict[str, int]) -> Path:
    """Write a file, then give some of its tensors other types."""
    writer = gguf.GGUFWriter(path, "hgrn_bit")
    for name, (data, kind) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = bytearray(path.read_bytes())
    for field in [tensor.field for tensor in gguf.GGUFReader(path).tensors if tensor.name in foreign]:
        where = field.offset + sum(part.nbytes for part in field.parts[:4])
        assert data[where : where + 4] == field.parts[4].tobytes()
        data[where : where + 4] = foreign[field.name].to_bytes(4, "little")
    path.write_bytes(data)
    return path


FOREIGN = {
    36: "36 (I2_S of bitnet.cpp)",
    37: "37 (I8_S of bitnet.cpp)",
    38: "38 (TL1 of bitnet.cpp)",
    39: "39 (MXFP4 or TL2 of bitnet.cpp)",
    99: "99",
}


@pytest.mark.parametrize("number", FOREIGN)
def test_beside_types_that_nobody_here_reads_the_others_are_read(tmp_path: Path, number: int) -> None:
    ternary, told = sample(3), []
    plain = np.ones((3, 512), np.float32)
    tensors = {
        "one": (blocks(ternary, Kind.TQ1_0), Kind.TQ1_0),
        "odd": (np.zeros((2, 34), np.uint8), Kind.Q8_0),
        "eight": (gguf.quantize(plain, Kind.Q8_0), Kind.Q8_0),
        "norm": (plain, Kind.F32),
        "two": (blocks(ternary, Kind.TQ2_0), Kind.TQ2_0),
    }
    path = write(tmp_path / "model.gguf", tensors, {"odd": number})
    found = dict(read_gguf(path, told.append))
    assert list(found) == ["one", "two"] and all(equal(value, ternary) for value in found.values())
    assert told == [
        f"Tensors of {path} that are not of the types TQ1_0 and TQ2_0 are left out: odd of type "
        f"{FOREIGN[number]}, eight of type Q8_0."
    ]


def test_of_floats_nothing_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", {"norm": (np.ones(5, np.float32), Kind.F32)}, {})
    assert not list(read_gguf(path, pytest.fail))


def test_left_out_tensors_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "model.gguf", {"odd": (np.zeros((2, 34), np.uint8), Kind.Q8_0)}, {"odd": 36})
    assert not list(read_gguf(path)) and "odd of type 36 (" in caplog.text


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(TritforgeError, match=r"is of type 36 \(I2_S of bitnet\.cpp\); ternary types are"):
        from_gguf(np.zeros((1, 34), np.uint8), 36)


@pytest.mark.parametrize("at", range(4))
def test_two_bits_that_are_no_trit_are_refused(at: int) -> None:
    for start in (sample(), Ternary(np.zeros((7, 512), np.int8), 1.0)):
        data = blocks(start, Kind.TQ2_0)
        data[2, 80] |= 3 << 2 * at
        with pytest.raises(TritforgeError, match=rf"mlp has the byte {data[2, 80]}, which stands for no trits"):
            from_gguf(data, Kind.TQ2_0, "mlp")


@pytest.mark.parametrize("tail", [False, True])
def test_bytes_that_are_no_number_of_base_three_are_refused(tail: bool) -> None:
    """Of five trits 243 bytes are left, of four 81; the library's own packing makes them."""
    trits = np.array([number // 3**k % 3 - 1 for number in range(243) for k in range(4, -1, -1)]).reshape(243, 5)
    rows = np.zeros((243, 256), np.int8)
    rows[:, 240::4] = trits[:, :4]
    rows[:, :160:32] = trits
    made = set(gguf.quantize(rows.astype(np.float32), Kind.TQ1_0)[:, 48 if tail else 0].tolist())
    assert len(made) == (81 if tail else 243)
    for byte in range(256):
        data = blocks(sample(2), Kind.TQ1_0)
        data[0, 54 + (49 if tail else 7)] = byte
        if byte in made:
            from_gguf(data, Kind.TQ1_0)
        else:
            with pytest.raises(TritforgeError, match=rf"mlp has the byte {byte}, which stands for no trits"):
                from_gguf(data, Kind.TQ1_0, "mlp")


@pytest.mark.parametrize("kind", GGUF_KINDS)
@pytest.mark.parametrize(
    ("value", "told"), [("nan", "nan"), ("inf", "inf"), ("-inf", "-inf"), ("-0.0173", "-0.0173")]
)
@pytest.mark.parametrize("everywhere", [False, True])
def test_scales_that_no_writer_makes_are_refused(kind: Kind, value: str, told: str, everywhere: bool) -> None:
    data = blocks(sample(), kind)
    size = gguf.GGML_QUANT_SIZES[kind][1]
    by_block = data.reshape(-1, size)
    by_block[slice(None) if everywhere else 3, -2:] = np.array([value], np.float16).view(np.uint8)
    with pytest.raises(TritforgeError, match=rf"mlp has a block with the scale {told}; the file is damaged"):
        from_gguf(data, kind, "mlp")


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_weights_with_the_scale_zero_are_refused(kind: Kind) -> None:
    data = blocks(sample(), kind)
    data[-1, -2:] = 0
    with pytest.raises(TritforgeError, match="mlp has a block with weights and the scale 0; the file is damaged"):
        from_gguf(data, kind, "mlp")


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_rows_that_are_no_blocks_are_refused(kind: Kind) -> None:
    with pytest.raises(TritforgeError, match="mlp has rows of 40 bytes, which are no blocks of"):
        from_gguf(np.zeros((2, 40), np.uint8), kind, "mlp")


@pytest.mark.parametrize("kind", GGUF_KINDS)
def test_a_tensor_of_no_values_is_refused(kind: Kind) -> None:
    with pytest.raises(TritforgeError, match=r"mlp has rows of 132 bytes, .*; fetch it again"):
        from_gguf(np.zeros((0, 132), np.uint8), kind, "mlp")


@pytest.mark.parametrize("order", [gguf.GGUFEndian.BIG])
def test_the_other_byte_order_is_refused(tmp_path: Path, order: gguf.GGUFEndian) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "hgrn_bit", endianess=order)
    writer.add_tensor("one", blocks(sample(), Kind.TQ1_0), raw_dtype=Kind.TQ1_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(TritforgeError, match="for machines of the other byte order"):
        list(read_gguf(tmp_path / "model.gguf"))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_a_cut_file_is_refused(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "model.gguf", {"one": (blocks(sample(), Kind.TQ1_0), Kind.TQ1_0)}, {})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(TritforgeError, match="is no whole GGUF file"):
        list(read_gguf(path))


def test_nothing_is_read_beyond_the_end(tmp_path: Path) -> None:
    """The library would go on with no values as long as it is told that there are some."""
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "none")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    reader, size = foreign._Reader(path), path.stat().st_size
    assert len(reader._get(0, np.uint8, size)) == size
    with pytest.raises(ValueError, match=f"ends before 2 values at byte {size - 1}"):
        reader._get(size - 1, np.uint8, 2)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(TritforgeError, match=r"cannot be read \(.*\); give a GGUF file"):
            list(read_gguf(path))


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
