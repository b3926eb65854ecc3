# SPDX-License-Identifier: Apache-2.0
"""Readers of what others wrote: each takes anything, and gives one sentence or something right.

A target is made in a folder, where its files are, and called with what is drawn. It raises nothing: what a reader
raises must be a `TritforgeError` of one sentence, and what it returns must be right.
"""

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

from tests.cores import packed
from tests.fuzz.draw import Draw
from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.config import CONFIG, GENERATION, INDEX, WEIGHTS, ModelConfig
from tritforge.golden.checkpoints.reader import Checkpoint
from tritforge.golden.checkpoints.synthetic import write_random_checkpoint
from tritforge.golden.checkpoints.text import TOKENIZER, TextCodec
from tritforge.host.board.answers import Answers
from tritforge.host.board.link import Link
from tritforge.host.cli.options import chosen_core, parse_shape, read_ids
from tritforge.host.image.decode import DecodedImage
from tritforge.host.image.foreign import read_gguf
from tritforge.host.image.header import HEADER_BYTES
from tritforge.host.image.image import Image
from tritforge.hw.bridge.frames import START_FROM_BOARD, Kind, crc
from tritforge.hw.params import CoreParams

CONFIGURATION = ModelConfig(hidden=8, layers=2, intermediate=8, vocab=12)
TALES = Path(__file__).parents[2] / "models" / "tales"
Run = Callable[[Draw], None]


@contextmanager
def one_sentence() -> Iterator[None]:
    """What is refused is refused in words that someone can read."""
    try:
        yield
    except TritforgeError as error:
        said = str(error)
        assert said[:1].strip() and said.rstrip().endswith((".", "?")) and len(said) < 4000, said
        assert "Traceback" not in said, said


def configuration(folder: Path) -> Run:
    """`config.json`, with `generation_config.json` now and then."""
    public = CONFIGURATION.to_json("float16")
    names = [*public, "hidden_ratio", "rms_norm_eps"]
    beside = {"eos_token_id": [2, 3], "bos_token_id": 1}

    def run(draw: Draw) -> None:
        (folder / CONFIG).write_bytes(draw.json(public, names))
        (folder / GENERATION).unlink(missing_ok=True)
        if draw.below(4) == 0:
            (folder / GENERATION).write_bytes(draw.json(beside))
        with one_sentence():
            config = ModelConfig.from_json(folder / CONFIG)
            told = json.loads((folder / CONFIG).read_bytes())
            assert (config.hidden, config.layers) == (told["hidden_size"], told["num_hidden_layers"])
            assert all(0 <= token < config.vocab for token in config.eos)

    return run


def checkpoint(folder: Path) -> Run:
    """Weights whose names, shapes, types, places and values are changed; whole or in shards."""
    write_random_checkpoint(folder, CONFIGURATION, 1)
    data = (folder / WEIGHTS).read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header, values = json.loads(data[8 : 8 + length]), data[8 + length :]
    tensors, index = load_file(folder / WEIGHTS), {"weight_map": dict.fromkeys(header, "a.safetensors")}
    names = [*header, "dtype", "shape", "data_offsets", "__metadata__"]
    dtypes = ("F16", "BF16", "F32", "F64", "I8", "F8_E4M3")

    def run(draw: Draw) -> None:
        changed = dict(header)
        for _ in range(1 + draw.below(3)):
            changed = draw.altered(changed, names)
        if isinstance(changed, dict) and changed and draw.below(2):
            entry = changed[draw.pick(sorted(changed))]
            if isinstance(entry, dict):
                entry["dtype"] = draw.pick(dtypes)
        text = json.dumps(changed).encode()
        size = len(text) if draw.below(8) else draw.number() % 2**64
        body = values if draw.below(2) else draw.changed(values)
        sharded = draw.below(4) == 0
        (folder / INDEX).unlink(missing_ok=True)
        (folder / WEIGHTS).unlink(missing_ok=True)
        if sharded:
            (folder / INDEX).write_bytes(draw.json(index, ["a.safetensors", *header]))
        (folder / ("a.safetensors" if sharded else WEIGHTS)).write_bytes(struct.pack("<Q", size) + text + body)
        with one_sentence():
            found = Checkpoint(folder)
            for name in found.names():
                value = found.values(name)
                assert value.shape == tensors[name].shape and np.isfinite(value).all()

    return run


def image(folder: Path) -> Run:
    """Every field of the header with its CRC right again, and every section."""
    data = packed(CoreParams(lanes=8), folder, CONFIGURATION).path.read_bytes()
    path = folder / "fuzzed"

    def run(draw: Draw) -> None:
        header, body = bytearray(data[:HEADER_BYTES]), data[HEADER_BYTES:]
        for _ in range(draw.below(4)):
            at, size = 4 * draw.below(HEADER_BYTES // 4 - 1), draw.pick((4, 8))
            header[at : at + size] = (draw.number() % 2 ** (8 * size)).to_bytes(size, "little")
        header = header[: HEADER_BYTES - 4]
        header += struct.pack("<I", zlib.crc32(header) if draw.below(8) else draw.number() % 2**32)
        if draw.below(2):
            body = draw.changed(body)
        if len(body) < len(data) - HEADER_BYTES and draw.below(4):
            body = body.ljust(len(data) - HEADER_BYTES, b"\1")
        path.write_bytes(bytes(header) + body)
        with one_sentence():
            found = Image.open(path, verify=draw.below(2) == 0)
            decoded = DecodedImage(found)
            for layer in range(min(found.shape.layers, 4)):
                decoded.layer(layer)
            decoded.head()
        with one_sentence():
            Image.open(path).codec()

    return run


def tokenizer(folder: Path) -> Run:
    """`tokenizer.json` of the shipped model, and a text in and out."""
    tree = json.loads((TALES / TOKENIZER).read_bytes())
    tree["model"]["vocab"] = dict(list(tree["model"]["vocab"].items())[:300])
    tree["model"]["merges"] = tree["model"].get("merges", [])[:20]

    def run(draw: Draw) -> None:
        (folder / TOKENIZER).write_bytes(draw.json(tree, list(tree["model"])))
        with one_sentence():
            codec = TextCodec.from_folder(folder)
            codec.decode([*codec.encode("Once upon a <s> time\n\u00e9"), 0, codec.vocab - 1])

    return run


def foreign(folder: Path) -> Run:
    """A GGUF file of two ternary tensors and one that is none."""
    path, values = folder / "model.gguf", np.zeros((2, 256), np.float32)
    values[:, ::3] = 0.5
    writer = gguf.GGUFWriter(path, "fuzz")
    writer.add_uint32("fuzz.block_count", 1)
    writer.add_array("fuzz.names", ["a", "b"])
    for kind in (gguf.GGMLQuantizationType.TQ1_0, gguf.GGMLQuantizationType.TQ2_0):
        writer.add_tensor(f"{kind.name}.weight", gguf.quantize(values, kind), raw_dtype=kind)
    writer.add_tensor("norm.weight", values[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()

    def run(draw: Draw) -> None:
        path.write_bytes(draw.changed(data))
        with one_sentence():
            for _, ternary in read_gguf(path, lambda _: None):
                assert set(np.unique(ternary.trits)) <= {-1, 0, 1} and np.isfinite(ternary.scale)

    return run


def tokens(folder: Path) -> Run:
    """A `.npy` file of token ids."""
    path = folder / "ids.npy"
    np.save(path, np.arange(5, dtype=np.int32))
    data = path.read_bytes()

    def run(draw: Draw) -> None:
        path.write_bytes(draw.changed(data))
        with one_sentence():
            assert read_ids(path).ndim == 1

    return run


def options(_: Path) -> Run:
    """``--set`` and ``--shape``."""
    fields = [*CoreParams.__dataclass_fields__, "preset"]

    def value(draw: Draw) -> str:
        return str(draw.pick((draw.number, draw.text, lambda: draw.pick(("true", "nested", "1.5", "0x10"))))())

    def run(draw: Draw) -> None:
        with one_sentence():
            chosen_core(
                draw.pick((None, "tiny", "wide", draw.text())),
                [f"{draw.pick([*fields, draw.text()])}={value(draw)}" for _ in range(1 + draw.below(3))],
            )
        with one_sentence():
            parse_shape(",".join(value(draw) for _ in range(draw.below(6))))

    return run


def frames(_: Path) -> Run:
    """Bytes of the line in any pieces: when nothing more comes, a right frame is found behind anything."""
    right = frame(bytes([Kind.CONNECTED, 7, 0]))

    def run(draw: Draw) -> None:
        answers, found = Answers(), []
        while draw.more():
            part = frame(draw.bytes(1 + draw.below(16)))
            answers.feed(draw.pick((part, part[: draw.below(4)], part[1:])))
            found += answers.found()
        answers.feed(right)
        found += answers.rest()
        assert (found[-1].kind, found[-1].sequence) == (Kind.CONNECTED, 7)

    return run


def frame(content: bytes) -> bytes:
    """As the board sends it."""
    return bytes([START_FROM_BOARD]) + content + crc(content)


class Babbler:
    """A port at whose other end there is anything but a board; time goes on while it is read."""

    def __init__(self, draw: Draw) -> None:
        self._draw, self.now, self._sent = draw, 0.0, b""

    def write(self, data: bytes) -> None:
        self._sent = data

    def read(self, count: int, timeout_s: float) -> bytes:
        self.now += max(timeout_s / 2, 1e-3)
        if not self._draw.more():
            return b""
        if self._draw.below(3) == 0 and len(self._sent) > 3:
            content = bytes([self._draw.below(64), self._sent[2], self._draw.below(4)]) + self._draw.bytes(16)
            return frame(content)[:count]
        return self._draw.bytes(self._draw.below(20))[:count]

    def close(self) -> None:
        pass


def line(_: Path) -> Run:
    """A whole connection."""

    def run(draw: Draw) -> None:
        port: Any = Babbler(draw)
        link = Link(port, clock=lambda: port.now, tries=3)
        with one_sentence():
            link.connect()
            words = link.read(4 * draw.below(1 << 20), 1 + draw.below(8))
            assert words.dtype == np.uint32
            link.write(0, [1, 2, 3])
            link.listen(0.1)

    return run


TARGETS: dict[str, Callable[[Path], Run]] = {
    target.__name__: target
    for target in (configuration, checkpoint, image, tokenizer, foreign, tokens, options, frames, line)
}
