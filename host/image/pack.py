# SPDX-License-Identifier: Apache-2.0
"""Packs a checkpoint into an image, layer by layer: at no time are more than two layers in memory."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tritforge.golden import TritforgeError
from tritforge.golden.checkpoints.text import TOKENIZER
from tritforge.golden.files import make_folder, replacing
from tritforge.golden.model.quantise import Matrix, Norm
from tritforge.golden.model.source import Quantised
from tritforge.host.image.header import Header
from tritforge.host.image.image import Progress, config_bytes
from tritforge.host.image.layout import Bytes, encode_trits, group_bytes, group_view, in_blocks
from tritforge.hw import schedule as sc
from tritforge.hw.packet import BIAS_WORDS, constant_words, gain_word
from tritforge.hw.params import CoreParams

TENSORS = {
    "f": "attn.f_proj",
    "i": "attn.i_proj",
    "g": "attn.g_proj",
    "o": "attn.o_proj",
    "gate": "mlp.gate_proj (gate)",
    "up": "mlp.gate_proj (up)",
    "down": "mlp.down_proj",
}
_ZEROS = bytes(1 << 20)


@dataclass(frozen=True)
class Packed:
    """What became of a matrix.

    Attributes
    ----------
    tensor, shape
        Its name in the checkpoint and its dimensions.
    bytes
        In the image.
    bits_per_weight
        8 * bytes over the number of values, padding included.
    zeros
        Share of values that are zero.
    """

    tensor: str
    shape: tuple[int, int]
    bytes: int
    bits_per_weight: float
    zeros: float


@dataclass(frozen=True)
class Summary:
    """What was packed: its matrices, the bytes of the image, and those of each core's body."""

    tensors: list[Packed]
    size: int
    bodies: list[int]


def pack(
    checkpoint: Quantised, params: CoreParams, path: Path | str, progress: Progress | None = None, cores: int = 1
) -> Summary:
    """Write an image for cores with the geometry of `params`.

    Parameters
    ----------
    checkpoint
        Quantised with the core's formats.
    params
        Its limits are checked, its geometry decides the order of the bytes.
    path
        The image; it appears when it is complete.
    progress
        Called with the bytes written and their total after every group.
    cores
        Linked cores that share the model, each with a body of its own.

    Raises
    ------
    TritforgeError
        For a model beyond the core's limits or that so many cores cannot share, or other formats than the core's.
    CheckpointError
        For a tensor that cannot be used.
    """
    shape, path = sc.Shape.of(checkpoint.config), Path(path)
    limit = params.misfit(shape)
    if limit:
        raise TritforgeError(limit)
    if checkpoint.fmt != params.formats:
        raise TritforgeError("The checkpoint was quantised for other formats than the core's; use the core's.")
    shares = sc.shares(shape, cores, params.vector_rows)
    make_folder(path.parent)
    with replacing(path) as temporary, temporary.open("wb") as file:
        return _Packer(checkpoint, params, shares, file, progress).run()


class _Packer:
    """One image in the making."""

    def __init__(
        self,
        source: Quantised,
        params: CoreParams,
        shares: tuple[sc.Share, ...],
        file: BinaryIO,
        progress: Progress | None,
    ) -> None:
        self._source, self._params, self._shares = source, params, shares
        self._file, self._progress = file, progress
        self._tensors: list[Packed] = []
        self._layer = source.layer(0)

    def run(self) -> Summary:
        """Write all sections, then the header, which knows their CRCs."""
        parts = self._small_sections()
        header = self._header({name: part.nbytes for name, part in parts.items()})
        for name, part in parts.items():
            header = self._write(header, name, part)
        header = self._write_bodies(header)
        self._file.seek(0)
        self._file.write(header.pack())
        return Summary(self._tensors, header.size, [body.stop - body.start for body in header.bodies])

    def _small_sections(self) -> dict[str, NDArray[Any]]:
        embedding, norm = self._source.embedding, self._layer.norms["mix"]
        codes, scales = embedding.codes, embedding.scales
        self._note("model.embeddings", codes, codes.nbytes + scales.nbytes)
        tokenizer = self._source.checkpoint.folder / TOKENIZER
        return {
            "config": np.frombuffer(config_bytes(self._source.config), dtype=np.uint8),
            "tokenizer": np.fromfile(tokenizer, np.uint8) if tokenizer.is_file() else np.zeros(0, np.uint8),
            "codes": codes,
            "scales": scales,
            "entry": np.concatenate([_constants(self._params, {}, norm), _norm_words(norm).reshape(-1)]),
        }

    def _header(self, lengths: dict[str, int]) -> Header:
        embedding, shape = self._source.embedding, sc.Shape.of(self._source.config)
        header = Header(
            lanes=self._params.lanes,
            element_bytes=self._params.element_bytes,
            code=self._params.code,
            formats=self._params.formats,
            shape=shape,
            embedding_bits=8 * embedding.codes.itemsize,
            embedding_group=shape.hidden // embedding.scales.shape[1],
            residual_frac=embedding.residual_frac,
            cores=len(self._shares),
            granule=self._shares[0].granule,
        )
        return header.place(header.lengths() | lengths)

    def _write(self, header: Header, name: str, part: NDArray[Any]) -> Header:
        """Write a section and the padding behind it; return the header with its CRC."""
        reach = header.reach(name)
        self._file.seek(reach.start)
        self._file.write(part.data)
        padding = bytes(reach.stop - self._file.tell())
        self._file.write(padding)
        return _with_crc(header, name, zlib.crc32(padding, zlib.crc32(part.data)))

    def _write_bodies(self, header: Header) -> Header:
        """Write the bodies of all cores, group by group; return the header with the CRC of their section."""
        start, written = header.sections["body"].offset, 0
        places, crcs = [start + body.start for body in header.bodies], [0] * len(self._shares)
        for parts in self._groups():
            for core, part in enumerate(parts):
                self._file.seek(places[core])
                self._file.write(part.data)
                places[core] += part.nbytes
                written += part.nbytes
                crcs[core] = zlib.crc32(part.data, crcs[core])
            if self._progress is not None:
                self._progress(start + written, header.size)
        crc = end = 0
        for body, own in zip(header.bodies, crcs, strict=True):
            crc = _joined(zlib.crc32(bytes(body.start - end), crc), own, body.stop - body.start)
            end = body.stop
        return _with_crc(header, "body", crc)

    def _groups(self) -> Iterator[list[Bytes]]:
        """The groups after EMBED, of each core, each with the norm of the vector that it produces."""
        count = self._source.config.layers
        for index in range(count):
            norms, matrices = self._layer.norms, self._layer.matrices
            decay = gain_word(self._layer.omega)
            mixing = {name: matrices[name] for name in "fig"}
            gate, up = np.split(matrices["gate"].trits, 2)
            halves = {
                "gate": replace(matrices["gate"], trits=gate),
                "up": replace(matrices["gate"], trits=up),
            }
            yield self._group(sc.Group.MIX, index, mixing, norms["out"], decay)
            yield self._group(sc.Group.OUT, index, {"o": matrices["o"]}, norms["expand"])
            yield self._group(sc.Group.EXPAND, index, halves, norms["contract"])
            down = {"down": matrices["down"]}
            if index + 1 < count:
                self._layer = self._source.layer(index + 1)
            norm = self._layer.norms["mix"] if index + 1 < count else self._source.head().norm
            yield self._group(sc.Group.CONTRACT, index, down, norm)
        yield self._group(sc.Group.HEAD, count, {"lm_head": self._source.head().matrix}, None)

    def _group(
        self,
        group: sc.Group,
        layer: int,
        matrices: dict[str, Matrix],
        norm: Norm | None,
        decay: NDArray[np.uint32] | None = None,
    ) -> list[Bytes]:
        """The bytes of one group of each core; ``decay`` [n] are the words of MIX that go before the gains."""
        params, parts, sizes = self._params, [], dict.fromkeys(matrices, 0)
        words = None if norm is None else _norm_words(norm)
        if words is not None and decay is not None:
            words = np.concatenate([decay[:, np.newaxis], words], axis=1)
        for share in self._shares:
            own = share.own(group)
            data = np.zeros(group_bytes(params, share, group, layer), dtype=np.uint8)
            view = group_view(data, params, share, group, layer)
            view.constants[:] = _constants(params, matrices, norm)
            if share.index:
                view.constants[BIAS_WORDS] = 0
            if words is not None:
                view.gains[:] = in_blocks(words[own], params)
            for name, matrix in matrices.items():
                view.trits[name][:] = encode_trits(matrix.trits[own], params)
                sizes[name] += view.trits[name].size
            parts.append(data)
        for name, matrix in matrices.items():
            tensor = f"model.layers.{layer}.{TENSORS[name]}" if name in TENSORS else name
            self._note(tensor, matrix.trits, sizes[name])
        return parts

    def _note(self, tensor: str, values: NDArray[Any], size: int) -> None:
        zeros = 1 - int(np.count_nonzero(values)) / values.size
        self._tensors.append(Packed(tensor, values.shape, size, 8 * size / values.size, zeros))


def _with_crc(header: Header, name: str, crc: int) -> Header:
    section = replace(header.sections[name], crc=crc)
    return replace(header, sections=header.sections | {name: section})


def _joined(crc: int, own: int, length: int) -> int:
    """The CRC of bytes that have ``crc`` and, behind them, ``length`` bytes that have ``own`` by themselves.

    A CRC is linear but for what it starts with and ends in, so it is theirs over that of zero bytes in their place.
    """
    begun, alone = crc, 0
    for start in range(0, length, len(_ZEROS)):
        zeros = _ZEROS[: length - start]
        begun, alone = zlib.crc32(zeros, begun), zlib.crc32(zeros, alone)
    return begun ^ alone ^ own


def _norm_words(norm: Norm) -> NDArray[np.uint32]:
    """Gain words [n, gains] of a norm; the first carries the statistics gain."""
    first, *others = norm.gains
    stat = 0 if norm.stat is None else norm.stat
    return np.stack([gain_word(first, stat), *map(gain_word, others)], axis=1)


def _constants(params: CoreParams, matrices: dict[str, Matrix], norm: Norm | None) -> NDArray[np.uint32]:
    """The constants of a group; the second half of the gated matrix has the scale of the first."""
    scales = [(m.mantissa, m.exponent) for name, m in matrices.items() if name != "up"]
    words = constant_words(params, scales, *((norm.kappa, norm.bias) if norm else (0, 0)))
    return words[: sc.CONSTANT_WORDS]
