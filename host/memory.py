# SPDX-License-Identifier: Apache-2.0
"""Memory that a host needs beside the image while it generates: ``python -m host.memory SHAPE``.

The image is a file with a published shape's sections and nothing in them, which takes no room on the disk. A stand-in
for a core reads every byte of every packet and answers with all logits. It hands the pages of the image back as it
goes on, as the system does when it needs them; so the peak that the system counts is all but the image: interpreter,
libraries, packets and results.
"""

import argparse
import json
import mmap
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.config import PUBLISHED
from host.driver import Driver
from host.image import Image, config_bytes, image_header
from hw.packet import Context
from hw.params import CoreParams, preset
from hw.register_map import REGISTERS, constants
from hw.schedule import RESULT_MAGIC

PIECE = 1 << 20
"""Bytes of a packet that are read at a time; of whole pages."""


class Reader:
    """A stand-in for a core (see `host.transport.Transport`): reads packets, answers with logits that mean nothing.

    Parameters
    ----------
    core
        What it claims to be.
    image
        Of which it hands the pages back.

    Attributes
    ----------
    read
        Bytes of packets so far.
    """

    def __init__(self, core: CoreParams, image: Image) -> None:
        self.read = 0
        self._registers = {entry.offset: constants(core).get(entry.name, 0) for entry in REGISTERS}
        self._vocab = image.shape.vocab
        self._body, self._start = image.body, image.header.sections["body"].offset
        self._mapping = self._body
        while not isinstance(self._mapping, mmap.mmap):
            self._mapping = self._mapping.base

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """Read one packet of one context."""
        checksum = 0
        for segment in segments:
            for start in range(0, segment.size, PIECE):
                piece = segment[start : start + PIECE]
                checksum = zlib.crc32(piece, checksum)
                self.read += piece.size
                if np.may_share_memory(piece, self._body):
                    self._mapping.madvise(mmap.MADV_DONTNEED, self._start + start, piece.size)
        logits = np.random.default_rng(checksum).integers(-1000, 1000, self._vocab).astype(np.int32)
        sequence = segments[0].view(np.uint32)[3]
        trailer = np.array([logits.argmax(), 1, 1 << 8 | RESULT_MAGIC << 16, sequence], dtype=np.uint32)
        return np.concatenate([logits.view(np.uint32), trailer])

    def read_register(self, offset: int) -> int:
        """What the core's parameters say, or zero."""
        return self._registers[offset]

    def write_register(self, offset: int, value: int) -> None:
        """Nothing that matters here."""


def empty_image(path: Path, name: str, core: CoreParams, bits: int) -> Image:
    """An image of a published shape with nothing in its sections, opened."""
    config = PUBLISHED[name]
    header = image_header(config, core, bits, 32)
    with path.open("wb") as file:
        file.write(header.pack())
        file.seek(header.sections["config"].offset)
        file.write(config_bytes(config))
        file.truncate(header.size)
    return Image.open(path)


def step(reader: Reader, image: Image, tokens: int) -> None:
    """Generate with the driver alone, which needs NumPy."""
    driver, token = Driver(reader, image), image.config.bos
    for position in range(tokens):
        (result,) = driver.step([Context(token, zero=position == 0, logits=True)])
        token = result.token


def sample(reader: Reader, image: Image, tokens: int) -> None:
    """Generate as `tritforge generate` does, with a sampler, which needs PyTorch."""
    from host.backends import CoreBackend
    from host.generate import Sampler, generate

    backend = CoreBackend(reader, image)
    for _ in generate(backend, [image.config.bos], tokens, Sampler(temperature=1.0)):
        pass


def megabytes() -> dict[str, float]:
    """What the process takes now (`resident`, of which `anonymous` is no file's), and the most that it took."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = {key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in lines) if " kB" in value}
    found = {"resident": kib["VmRSS"], "anonymous": kib["RssAnon"] + kib["RssShmem"], "peak": kib["VmHWM"]}
    return {key: value * 1024 / 1e6 for key, value in found.items()}


def main() -> None:
    """Print a line before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=PUBLISHED, help="a published name")
    parser.add_argument("--tokens", type=int, default=4, help="to generate")
    parser.add_argument("--bits", type=int, default=16, choices=(8, 16), help="of an embedding value")
    parser.add_argument("--preset", default="wide", help="the core, with limits as large as the model")
    parser.add_argument("--sampler", action="store_true", help="sample as tritforge generate does, with PyTorch")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image = empty_image(Path(folder, "image"), given.shape, preset(given.preset), given.bits)
        facts: dict[str, dict[str, float]] = {"before": megabytes()}
        reader = Reader(image.core, image)
        if given.sampler:
            sample(reader, image, given.tokens)
        else:
            step(reader, image, given.tokens)
        facts["after"] = megabytes()
    if given.json:
        print(json.dumps({"image": image.header.size, "read": reader.read, "MB": facts}))
        return
    print(f"{given.shape}: {given.tokens} tokens from an image of {image.header.size / 1e6:.1f} MB, MB beside it")
    for when, values in facts.items():
        print(f"{when}: " + ", ".join(f"{key} {value:.1f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
