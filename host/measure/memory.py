# SPDX-License-Identifier: Apache-2.0
"""Memory that generating takes beside the image.

The image is a file with a published shape's sections, of which only the tokenizer has contents, so that it takes no
room on the disk. This process generates, sampling, with a stand-in for the core that reads every byte of every packet
and answers with all logits, or with the simulated core. The pages of the image are
handed back as packets go on, as the system does when it needs them; so the peak that the system counts is all but the
image: interpreter, libraries, tokenizer, packets, results and the simulation.
"""

import mmap
import tempfile
import zlib
from collections.abc import Callable, Sequence
from itertools import chain, islice, product
from multiprocessing import get_context
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from tritforge.golden.checkpoints.config import ModelConfig
from tritforge.host.image.image import config_bytes, image_header
from tritforge.host.run.generate import Sampler, generate
from tritforge.host.run.models import Model
from tritforge.host.run.story import Story
from tritforge.hw.params import CoreParams
from tritforge.hw.register_map import REGISTERS, constants
from tritforge.hw.schedule import RESULT_MAGIC
from tritforge.sim.simulator import SimTransport

PIECE = 1 << 20
"""Bytes of a packet that are read at a time; of whole pages."""
PROMPT, SAMPLER = "once", Sampler(temperature=1.0, top_k=40)
FLAGS, SEQUENCE = 2, 3
"""Words of a packet's header (hw/packet.py)."""


def hand_back(piece: NDArray[np.uint8]) -> None:
    """Give the pages of a mapped piece back to the system."""
    mapping: object = piece
    while isinstance(mapping, np.ndarray):
        mapping = mapping.base
    if isinstance(mapping, mmap.mmap):
        start = piece.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        mapping.madvise(mmap.MADV_DONTNEED, first, start + piece.size - first)


class StandIn(SimTransport):
    """Instead of `sim.simulator.SimTransport`: reads packets, answers with logits that mean nothing."""

    read = 0
    """Bytes of packets so far."""

    def __init__(self, params: CoreParams, *unused: object, **more: object) -> None:
        told = constants(params) | {"TOKENS": 1}
        self._registers = {entry.offset: told.get(entry.name, 0) for entry in REGISTERS}
        self._vocab = params.max_vocab

    def __enter__(self) -> "StandIn":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """Read one packet of one context."""
        checksum = 0
        for segment in segments:
            for start in range(0, segment.size, PIECE):
                piece = segment[start : start + PIECE]
                checksum = zlib.crc32(piece.data, checksum)
                StandIn.read += piece.size
                hand_back(piece)
        asked = segments[0].view(np.uint32)
        logits = np.random.default_rng(checksum).integers(-1000, 1000, self._vocab).astype(np.int32)
        trailer = np.array([logits.argmax(), 1, 1 << 8 | RESULT_MAGIC << 16, asked[SEQUENCE]], dtype=np.uint32)
        return np.concatenate([logits.view(np.uint32), trailer]) if asked[FLAGS] >> 16 else trailer

    def read_register(self, offset: int) -> int:
        """What the core's parameters say, or zero; a token, so that cycles a token can be told."""
        return self._registers[offset]

    def write_register(self, offset: int, value: int) -> None:
        """Nothing that matters here."""


class Simulated(SimTransport):
    """The simulated core; the body's pages are handed back every few ten thousand cycles."""

    def exchange(
        self, segments: Sequence[NDArray[np.uint8]], last: bool = True, expect_result: bool = True
    ) -> NDArray[np.uint32]:
        """See `host.run.transport.Transport`."""
        shown = self.progress

        def progress(cycles: int, beats: int) -> None:
            hand_back(segments[-1])
            if shown is not None:
                shown(cycles, beats)

        self.progress = progress
        result = super().exchange(segments, last, expect_result)
        self.progress = shown
        return result


def tokenizer(vocab: int) -> bytes:
    """A byte-pair tokenizer of so many pieces: words of one letter, of two and so on, each merged in all ways."""
    words = chain.from_iterable(map("".join, product(ascii_lowercase, repeat=length)) for length in range(1, 5))
    pieces = {piece: index for index, piece in enumerate(("<unk>", "<s>", "</s>", *islice(words, vocab - 3)))}
    ways = ((piece[:at], piece[at:]) for piece in list(pieces)[3:] for at in range(1, len(piece)))
    return Tokenizer(models.BPE(vocab=pieces, merges=list(ways), unk_token="<unk>")).to_str().encode()


def write_image(path: Path, config: ModelConfig, params: CoreParams, bits: int) -> int:
    """Write an image with a tokenizer and otherwise nothing in its sections; return its bytes."""
    pieces = tokenizer(config.vocab)
    header = image_header(config, params, bits, 32, len(pieces))
    with path.open("wb") as file:
        file.write(header.pack())
        for name, data in (("config", config_bytes(config)), ("tokenizer", pieces)):
            file.seek(header.sections[name].offset)
            file.write(data)
        file.truncate(header.size)
    return header.size


def megabytes() -> dict[str, float]:
    """What the process takes now (`resident`, of which `anonymous` is no file's), and the most that it took."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = {key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in lines) if " kB" in value}
    found = {"resident": kib["VmRSS"], "anonymous": kib["RssAnon"] + kib["RssShmem"], "peak": kib["VmHWM"]}
    return {key: value * 1024 / 1e6 for key, value in found.items()}


def measure(
    config: ModelConfig,
    params: CoreParams,
    bits: int,
    tokens: int,
    simulate: bool = False,
    status: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Generate in this process; write the image in another, so that what that takes is not counted.

    Parameters
    ----------
    config, params
        The model, and parameters of a core that is large enough for it.
    bits
        Of an embedding value, 8 or 16.
    tokens
        To generate.
    simulate
        Whether the core is simulated.
    status
        Told what takes long.

    Returns
    -------
    Bytes of the `image`, bytes of packets that the stand-in `read`, `MB` before and after, and `tokens`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image")
        with get_context("spawn").Pool(1) as pool:
            size = pool.apply(write_image, (path, config, params, bits))
        taken = {"before": megabytes()}
        model = Model(path, params, status, simulator=Simulated if simulate else StandIn)
        ids = model.prompt(PROMPT)
        with model.core_session() as session, Story(model.codec, PROMPT, ids, None) as story:
            session.transport.progress = story.cycles
            for token in generate(session.backend, ids, tokens, SAMPLER, story.read):
                story.add(token)
        taken["after"] = megabytes()
    return {"image": size, "read": StandIn.read, "MB": taken, "tokens": tokens}


def keep(found: dict[str, Any], params: CoreParams, simulate: bool) -> None:
    """Keep the figures in perf/measured."""
    from tritforge.perf.measured.entries import made, on_verilog, put
    from tritforge.perf.measured.plan import MEMORY
    from tritforge.perf.measured.subject import machine, named
    from tritforge.rtl_gen.verilog.cached import TOP, cached_verilog

    one = MEMORY["simulated" if simulate else "stand-in"]
    on = on_verilog(named(params), cached_verilog(params), TOP) if simulate else {}
    put(one.file, {one.name: made(one.command, found, on, ("numpy",), machine())})
